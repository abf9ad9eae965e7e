//! The tables of a bundle: manifest and index; and what parity says that it covers.

use sealift::bundle::parity::Description;
use sealift::bundle::{Index, Manifest};
use sealift::model::Digest;

use super::take;

/// The first line of a manifest.
const TYPE_LINE: &[u8] = b"sealift manifest 1\n";

/// The document of a manifest, with the first line or without.
pub fn manifest(data: &[u8]) {
    let whole = [TYPE_LINE, data.strip_prefix(TYPE_LINE).unwrap_or(data)].concat();
    let Ok(parsed) = Manifest::parse(&whole) else { return };
    let written = parsed.to_bytes().expect("what was read can be written");
    assert_eq!(Manifest::parse(&written).expect("what was written can be read"), parsed);
}

/// How many packs the manifest lists, the content length of each in three bytes, and the index.
pub fn index(mut data: &[u8]) {
    let count = take(&mut data, 1).first().map_or(0, |count| usize::from(count % 8));
    let packs: Vec<u64> = (0..count)
        .map(|_| take(&mut data, 3).iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
        .collect();
    let Ok(parsed) = Index::parse(data, &packs) else { return };
    // The first bundles had another spelling.
    if !data.starts_with(b"sealift index 1\n") {
        assert_eq!(parsed.to_bytes(packs.len()), data);
    }
    for blob in parsed.blobs() {
        assert_eq!(parsed.blob(&blob.digest), Some(blob));
        for (chunk, pack, _) in blob.recipe.runs().flat_map(|runs| parsed.chunks_of(runs)).take(999)
        {
            assert!((chunk as usize) < parsed.chunk_count() && (pack as usize) < packs.len());
        }
    }
}

/// The description in a volume of parity, without the digest at its end, which is made here.
pub fn parity(data: &[u8]) {
    let whole = [data, Digest::of(data).bytes()].concat();
    if let Some(again) = Description::again(&whole) {
        assert!(again == whole);
    }
}
