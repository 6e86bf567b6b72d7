//! A reading request, before it is given a host and a credential.

use crate::http::encoding;

/// Answers to look-ups: one row or two, and few columns of them.
pub(crate) const MAX_LOOKUP_ANSWER_BYTES: u64 = 64 << 10;
/// Answers to questions about many rows, or about all columns of one.
pub(crate) const MAX_WHOLE_ANSWER_BYTES: u64 = 8 << 20;

/// A reading request.
#[derive(Debug, Clone)]
pub struct ReadRequest<'a> {
    /// Path from the root, not encoded: `/api/now/table/incident`.
    pub path: String,
    /// Query parameters with raw values. `sysparm_query` is shown in errors.
    pub params: Vec<(&'a str, String)>,
    /// Label of metrics: the path with its variable parts named.
    pub endpoint: &'static str,
    /// The object of the request in the user's words: ``table `incident` ``.
    pub what: String,
    /// Largest answer, where it is read whole: bytes as they are after inflating.
    pub max_answer_bytes: u64,
    /// `sysparm_query` holds a piece of a record: errors do not show it.
    pub private: bool,
    /// Others get on without this path, which a gateway may refuse on its own: an answer of no use says
    /// nothing about the instance.
    pub optional: bool,
}

/// Encoded path and query.
pub(super) fn target(path: &str, params: &[(&str, String)]) -> String {
    let mut target = String::new();
    encoding::push_path(&mut target, path);
    if !params.is_empty() {
        target.push('?');
    }
    let pairs = params.iter().map(|(name, text)| (*name, text.as_str()));
    encoding::push_pairs(&mut target, pairs);
    target
}
