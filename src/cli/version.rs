//! Which build this is.

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Short id of the commit this was built from, or `unknown`.
pub const BUILD_REVISION: &str = match option_env!("SNKB_BUILD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Day of that commit, or `unknown`.
pub const BUILD_DATE: &str = match option_env!("SNKB_BUILD_DATE") {
    Some(date) => date,
    None => "unknown",
};

/// Target triple.
pub const BUILD_TARGET: &str = match option_env!("SNKB_BUILD_TARGET") {
    Some(target) => target,
    None => "unknown",
};

/// One line: name, version, commit, date, target.
pub fn version() -> String {
    format!("servicenow-kafka-bridge {VERSION} ({BUILD_REVISION} {BUILD_DATE}) {BUILD_TARGET}")
}
