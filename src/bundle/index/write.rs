//! The index as bytes.

use super::{
    ALGORITHM_SHA256, ALGORITHM_SHA512, BODY_BASE, BODY_CHUNKS, BODY_INLINE, BODY_TAR,
    ENCODING_GZIP, ENCODING_NONE, Index, MAGIC,
};
use crate::bundle::recipe::{Body, Encoding, Run};
use crate::codec::number::put;
use crate::endpoint::Plain;
use crate::model::{Algorithm, Digest};

impl Index {
    /// The unpacked bytes of the index.
    pub fn to_bytes(&self, pack_count: usize) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let mut counts = vec![0u64; pack_count];
        for chunk in &self.chunks {
            counts[chunk.pack as usize] += 1;
        }
        put(&mut out, pack_count as u64);
        for count in counts {
            put(&mut out, count);
        }
        for chunk in &self.chunks {
            put(&mut out, u64::from(chunk.length));
        }
        for id in &self.ids {
            out.extend_from_slice(id);
        }
        put(&mut out, self.borrowed.blobs.len() as u64);
        // They are in the order of their blobs.
        let mut pieces = &self.borrowed.pieces[..];
        for (number, blob) in (0u32..).zip(&self.borrowed.blobs) {
            put_head(&mut out, &blob.digest, blob.size, blob.plain.as_ref());
            let own;
            (own, pieces) = pieces.split_at(pieces.partition_point(|piece| piece.blob == number));
            put(&mut out, own.len() as u64);
            let mut end = 0;
            for piece in own {
                put(&mut out, piece.offset - end);
                put(&mut out, u64::from(piece.length));
                end = piece.offset + u64::from(piece.length);
            }
        }
        for prefix in &self.prefixes {
            put_runs(&mut out, prefix);
        }
        put(&mut out, self.blobs.len() as u64);
        for blob in &self.blobs {
            put_head(&mut out, &blob.digest, blob.size, blob.plain.as_ref());
            match &blob.recipe.encoding {
                Encoding::None => put(&mut out, ENCODING_NONE),
                Encoding::Gzip { recipe, corrections } => {
                    put(&mut out, ENCODING_GZIP);
                    put(&mut out, recipe.len() as u64);
                    out.extend_from_slice(recipe);
                    put_runs(&mut out, corrections);
                }
            }
            match &blob.recipe.body {
                Body::Inline(bytes) => {
                    put(&mut out, BODY_INLINE);
                    out.extend_from_slice(bytes);
                }
                Body::Base(number) => {
                    put(&mut out, BODY_BASE);
                    put(&mut out, u64::from(*number));
                }
                Body::Chunks(runs) => {
                    put(&mut out, BODY_CHUNKS);
                    put_runs(&mut out, runs);
                }
                Body::Tar { meta, content, stretches } => {
                    put(&mut out, BODY_TAR);
                    put_runs(&mut out, meta);
                    put_runs(&mut out, content);
                    put(&mut out, stretches.count() as u64);
                    out.extend_from_slice(stretches.as_bytes());
                }
            }
        }
        out
    }
}

fn put_digest(out: &mut Vec<u8>, digest: &Digest) {
    out.push(match digest.algorithm() {
        Algorithm::Sha256 => ALGORITHM_SHA256,
        Algorithm::Sha512 => ALGORITHM_SHA512,
    });
    out.extend_from_slice(digest.bytes());
}

fn put_head(out: &mut Vec<u8>, digest: &Digest, size: u64, plain: Option<&Plain>) {
    put_digest(out, digest);
    put(out, size);
    put(out, u64::from(plain.is_some()));
    if let Some(plain) = plain {
        put_digest(out, &plain.digest);
        put(out, plain.size);
    }
}

fn put_runs(out: &mut Vec<u8>, runs: &[Run]) {
    put(out, runs.len() as u64);
    let mut expected = 0i64;
    for run in runs {
        let step = i64::from(run.first) - expected;
        put(out, ((step << 1) ^ (step >> 63)).cast_unsigned());
        put(out, u64::from(run.count));
        expected = i64::from(run.first) + i64::from(run.count);
    }
}
