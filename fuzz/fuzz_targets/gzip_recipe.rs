//! Any bytes as a deflate stream: refused in order, or analysed and rebuilt to the same bytes. And any
//! bytes as corrections: whatever they make stays in proportion.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use sealift::codec::deflate::general::{Analysis, Rebuild};
use sealift::codec::deflate::{BitWriter, Encoder};

fn rebuild(plain: &[u8], corrections: Vec<u8>) -> (Vec<u8>, bool) {
    let mut rebuild = Rebuild::new(Box::new(Cursor::new(corrections)));
    let mut out = BitWriter::default();
    for piece in plain.chunks(1 + plain.len() / 3) {
        rebuild.write(piece, &mut out);
    }
    rebuild.finish(&mut out);
    (out.finish(), rebuild.failure().is_none())
}

fuzz_target!(|data: &[u8]| {
    let (made, _) = rebuild(&[data, data].concat(), data.to_vec());
    assert!(made.len() <= 16 * data.len() + (72 << 10));

    let mut analysis = Analysis::new();
    let mut plain = Vec::new();
    let Ok(used) = analysis.write(data, &mut plain) else { return };
    if let Ok(corrections) = analysis.finish() {
        let (stream, whole) = rebuild(&plain, corrections);
        assert!(whole);
        assert_eq!(stream, &data[..used]);
    }
});
