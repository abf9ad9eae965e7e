//! libFuzzer around [`sealift_fuzz::index`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::index(data));
