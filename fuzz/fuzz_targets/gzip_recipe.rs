//! libFuzzer around [`sealift_fuzz::gzip_recipe`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::gzip_recipe(data));
