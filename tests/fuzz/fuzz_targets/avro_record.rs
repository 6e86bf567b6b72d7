//! See [`bridge_fuzz::avro_record`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bridge_fuzz::avro_record(data));
