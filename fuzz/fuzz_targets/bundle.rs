//! libFuzzer around [`sealift_fuzz::bundle`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::bundle(data));
