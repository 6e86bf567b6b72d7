//! `probe`: whether a running bridge is alive, or ready, told by the exit code.

use std::time::Duration;

use super::failure::{CommandFailure, ExitResult, exit_code};
use super::running_bridge::RunningBridge;
use super::terminal::Terminal;
use crate::cli::ProbeQuestion;

/// How long an answer may take. The port answers from memory; what takes longer is stuck.
const PROBE_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the bridge that listens on `addr`, and prints its answer.
pub(super) fn execute(
    addr: &str,
    question: ProbeQuestion,
    terminal: &mut Terminal<'_>,
) -> ExitResult {
    let bridge = RunningBridge::at(addr, PROBE_ANSWER_TIMEOUT)?;
    let path = question.path();
    let answer = bridge.request(path, None, None)?;
    let code = match answer.status {
        200 => exit_code::DONE,
        503 => exit_code::NOT_AS_ASKED,
        status => {
            let text =
                format!("what listens at {addr} is no bridge: {path} answers with status {status}");
            return Err(CommandFailure::new(exit_code::TRY_AGAIN, text));
        }
    };
    terminal.json(&answer.body)?;
    Ok(code)
}
