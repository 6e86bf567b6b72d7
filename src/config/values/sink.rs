//! Single values of `sink`.

use crate::config::names;

/// Columns of which the platform keeps the content, so that no row can be found by a value of ours.
const PLATFORM_KEPT_COLUMNS: [&str; 6] = [
    "sys_id",
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
];

/// A column that may carry an identity of ours.
pub(in crate::config) fn own_column(text: &str) -> Result<(), String> {
    names::check_column(text)?;
    if PLATFORM_KEPT_COLUMNS.contains(&text) {
        return Err(format!(
            "`{text}` is kept by the instance; name another column"
        ));
    }
    Ok(())
}
