//! See [`bridge_fuzz::row`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bridge_fuzz::row(data));
