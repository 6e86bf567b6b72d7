//! See [`bridge_fuzz::dead_letter`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bridge_fuzz::dead_letter(data));
