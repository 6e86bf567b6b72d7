//! Single values of `source`.

/// What an encoded query may hold in other places, and why not here.
const NOT_IN_QUERIES: [(&str, &str); 4] = [
    ("ORDERBY", "rows are read in the order of the cursor"),
    ("GROUPBY", "rows are read in the order of the cursor"),
    ("TRENDBY", "it is for reports, and rows are read one by one"),
    ("STARTAT", "where reading starts is told by the checkpoint"),
];

/// An encoded query that can be joined with a time window: it must not sort, and must not begin
/// with an operator that would tie it to the window.
pub(crate) fn encoded_query(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("must not hold line breaks or other control characters".to_owned());
    }
    let query = text.strip_prefix('^').unwrap_or(text);
    let query = query
        .strip_suffix("^EQ")
        .unwrap_or(query)
        .trim_end_matches('^');
    for (word, why) in NOT_IN_QUERIES {
        if query.split('^').any(|item| item.starts_with(word)) {
            return Err(format!("must not hold `{word}`: {why}"));
        }
    }
    if query.starts_with("OR") || query.starts_with("NQ") {
        return Err("must not begin with `^OR` or `^NQ`".to_owned());
    }
    // Each part behind `^NQ` is joined with other conditions as well.
    if query.contains("^NQOR") {
        return Err("must not hold `^NQOR`".to_owned());
    }
    if query.is_empty() || query == "EQ" {
        return Err("holds no condition; remove it".to_owned());
    }
    Ok(query.to_owned())
}
