//! What a record asks for.
