//! See [`bridge_fuzz::checkpoint_record`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bridge_fuzz::checkpoint_record(data));
