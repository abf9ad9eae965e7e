//! libFuzzer around [`sealift_fuzz::manifest`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::manifest(data));
