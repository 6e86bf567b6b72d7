//! The writer against scripted servers.
