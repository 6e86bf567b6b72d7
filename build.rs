//! Puts commit, date and target into the binary for `version`, and a faster copy into the static one.
//!
//! The environment comes first, so that packagers can say what git cannot: `SNKB_GIT_REV` is the
//! commit, `SOURCE_DATE_EPOCH` the date. Without them git is asked. Without git it is "unknown".

use std::path::Path;
use std::process::Command;

fn main() {
    // The build environment is input here, unlike in the program, where config reads it.
    let revision = variable("SNKB_GIT_REV").or_else(|| git(&["rev-parse", "--short=8", "HEAD"]));
    let date = variable("SOURCE_DATE_EPOCH")
        .and_then(|seconds| day(seconds.parse().ok()?))
        .or_else(|| git(&["show", "-s", "--format=%cs", "HEAD"]));
    let target = variable("TARGET");
    for (name, value) in [
        ("SNKB_BUILD_REVISION", revision),
        ("SNKB_BUILD_DATE", date),
        ("SNKB_BUILD_TARGET", target),
    ] {
        let value = value.filter(|value| !value.is_empty() && !value.contains(char::is_control));
        put(&format!(
            "rustc-env={name}={}",
            value.as_deref().unwrap_or("unknown")
        ));
    }
    let target = |what: &str| variable(&format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("ENV") == "musl" && target("ARCH") == "x86_64" {
        faster_copy();
    }
    put("rerun-if-changed=build.rs");
    put("rerun-if-env-changed=SNKB_GIT_REV");
    put("rerun-if-env-changed=SOURCE_DATE_EPOCH");
    // HEAD changes with a checkout, the log of HEAD with every commit, also on a branch and in a
    // linked worktree. A file that is not there must not be named, or every build would run this.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) =
            git(&["rev-parse", "--git-path", name]).filter(|p| Path::new(p).exists())
        {
            put(&format!("rerun-if-changed={path}"));
        }
    }
}

/// Replaces musl's `memcpy` and `memmove` (docs/decisions/0010).
fn faster_copy() {
    const SOURCE: &str = "packaging/musl/copy.c";
    let mut build = cc::Build::new();
    build.file(SOURCE).opt_level(2);
    // The compiler must not see a copy in these loops and call the function that it compiles.
    for flag in [
        "-ffreestanding",
        "-fno-builtin",
        "-fno-tree-loop-distribute-patterns",
    ] {
        build.flag(flag);
    }
    build.compile("bridge_copy");
    put(&format!("rerun-if-changed={SOURCE}"));
}

fn put(line: &str) {
    println!("cargo::{line}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the build environment is the input here"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The answer of git about this very package, not about a repository that happens to be around it.
fn git(args: &[&str]) -> Option<String> {
    if !Path::new(".git").exists() {
        return None;
    }
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Day of epoch seconds as `YYYY-MM-DD`, by the usual count of days from March.
fn day(seconds: i64) -> Option<String> {
    let days = u32::try_from(seconds.div_euclid(86_400))
        .ok()?
        .checked_add(719_468)?;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}
