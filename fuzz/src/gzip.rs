//! Gzip streams that are taken apart, and recipes to make them again.

use std::io::{Cursor, Read};
use std::sync::{Arc, LazyLock};

use sealift::codec::deflate::general::{Analysis, Rebuild};
use sealift::codec::deflate::{BitWriter, Encoder, GzipRecipe, Pool, Rebuilt};

use super::{take, take_length};

fn rebuild(plain: &[u8], corrections: Vec<u8>) -> (Vec<u8>, bool) {
    let mut rebuild = Rebuild::new(Box::new(Cursor::new(corrections)));
    let mut out = BitWriter::default();
    for piece in plain.chunks(1 + plain.len() / 3) {
        rebuild.write(piece, &mut out);
    }
    rebuild.finish(&mut out);
    (out.finish(), rebuild.failure().is_none())
}

/// Any bytes as a deflate stream: refused in order, or analysed and rebuilt to the same bytes. And
/// any bytes as corrections: whatever they make stays in proportion.
pub fn gzip_stream(data: &[u8]) {
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
}

/// Bytes that a recipe is run for.
const MOST: u64 = 1 << 20;

static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| Arc::new(Pool::new(2)));

/// A recipe, its corrections and the plain bytes, with the length of the first two before them. A
/// recipe that is taken has one spelling, and running it ends.
pub fn gzip_recipe(mut data: &[u8]) {
    let lengths = (take_length(&mut data), take_length(&mut data));
    let (recipe, corrections) = (take(&mut data, lengths.0), take(&mut data, lengths.1));
    let Ok(parsed) = GzipRecipe::parse(recipe) else { return };
    assert_eq!(parsed.to_bytes(), recipe);
    // The index has compared these before a recipe is run.
    if parsed.plain() == data.len() as u64
        && parsed.corrections() == corrections.len() as u64
        && parsed.packed() <= MOST
    {
        let most = parsed.packed() + 1;
        let made = Rebuilt::new(data, parsed, corrections.to_vec(), POOL.clone());
        let _ = made.take(most).read_to_end(&mut Vec::new());
    }
}
