//! Scripts that let a shell complete commands, flags and their values.

mod bash;
mod fish;
mod offered;
mod zsh;

use super::values::Shell;

/// The script for a shell.
pub fn completions(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash::script(),
        Shell::Zsh => zsh::script(),
        Shell::Fish => fish::script(),
    }
}
