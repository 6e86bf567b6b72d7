//! See [`bridge_fuzz::http_head`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bridge_fuzz::http_head(data));
