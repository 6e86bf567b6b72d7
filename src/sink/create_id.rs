//! The identity that a new row gets before it is sent, so that a second attempt meets the first.
