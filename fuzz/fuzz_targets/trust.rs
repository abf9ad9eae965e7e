//! libFuzzer around [`sealift_fuzz::trust`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::trust(data));
