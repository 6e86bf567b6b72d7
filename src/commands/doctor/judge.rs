//! What is to be thought of what was seen: observations to findings. Pure.

pub(super) mod deletes;
pub(super) mod host;
pub(super) mod instance;
pub(super) mod kafka;
pub(super) mod reach;
pub(super) mod table;
