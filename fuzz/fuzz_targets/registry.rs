//! libFuzzer around [`sealift_fuzz::registry`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::registry(data));
