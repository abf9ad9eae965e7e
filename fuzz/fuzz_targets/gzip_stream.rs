//! libFuzzer around [`sealift_fuzz::gzip_stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::gzip_stream(data));
