//! How single values are read that no general kind covers. What several keys say together is looked
//! at in `checks`, when all of them are read.

pub(super) mod headers;
pub(super) mod kafka;
pub(super) mod properties;
pub(super) mod registry;
pub(super) mod servicenow;
pub(super) mod sink;
pub(super) mod source;
pub(super) mod state;
pub(super) mod time_zone;
