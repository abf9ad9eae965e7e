//! libFuzzer around [`sealift_fuzz::tar`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::tar(data));
