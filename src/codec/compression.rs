//! The compressed forms in which layers and whole archives come: gzip (RFC 1952) and zstd
//! (RFC 8878), told apart by their first bytes.

use std::io::{self, BufRead, BufReader, Read};

use flate2::Compression as Level;
use flate2::bufread::MultiGzDecoder;

use crate::model::limits;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all, or in a way that we do not know.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// Tells by the first bytes; four are enough.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A skippable frame may come first: zstd:chunked and pzstd write them.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Opens a stream of known compression. Every gzip member and zstd frame is read to the end; the
/// zstd window is bounded by [`limits::ZSTD_WINDOW_LOG`].
pub fn open<'a, R: BufRead + Send + 'a>(
    compression: Compression,
    stream: R,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(stream),
        Compression::Gzip => Box::new(MultiGzDecoder::new(stream)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(stream)?;
            decoder.window_log_max(limits::ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// Opens a stream after looking at its first bytes.
pub fn open_detected<'a, R: Read + Send + 'a>(
    stream: R,
) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let compression = Compression::detect(stream.fill_buf()?);
    Ok((compression, open(compression, stream)?))
}

/// Compresses a layer the one way in which sealift compresses layers: gzip, level 6, no name and
/// no time in the header. The same bytes come out for the same bytes in; a test pins them.
pub fn gzip<'a, R: Read + Send + 'a>(plain: R) -> Box<dyn Read + Send + 'a> {
    let encoder = flate2::GzBuilder::new()
        .operating_system(255)
        .read(BufReader::with_capacity(64 << 10, plain), Level::new(6));
    Box::new(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    fn all(mut reader: impl Read) -> Vec<u8> {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn what_is_compressed_opens_again() {
        let plain: Vec<u8> = (0..100_000u32).flat_map(|n| (n % 977).to_le_bytes()).collect();
        let packed = all(gzip(&plain[..]));
        let (kind, reader) = open_detected(&packed[..]).unwrap();
        assert_eq!((kind, all(reader) == plain), (Compression::Gzip, true));
        let packed = zstd::encode_all(&plain[..], 3).unwrap();
        let (kind, reader) = open_detected(&packed[..]).unwrap();
        assert_eq!((kind, all(reader) == plain), (Compression::Zstd, true));
        let (kind, reader) = open_detected(&plain[..]).unwrap();
        assert_eq!((kind, all(reader) == plain), (Compression::None, true));
    }

    /// Two imports of one image must give one digest, for ever: a change of the encoder changes
    /// the digests of images that users already have, and must be seen here first.
    #[test]
    fn the_bytes_of_our_gzip_are_pinned() {
        let plain: Vec<u8> = (0..200_000u64).flat_map(|n| (n * n % 10_007).to_le_bytes()).collect();
        assert_eq!(
            Digest::of(&all(gzip(&plain[..]))).to_string(),
            "sha256:62d653bb28964a19271f24788d818fb7c7973c4ab4d3e0e61924b8264c890169"
        );
    }

    #[test]
    fn a_window_over_the_limit_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(28).unwrap();
        std::io::copy(&mut std::io::repeat(7).take(300 << 20), &mut encoder).unwrap();
        let packed = encoder.finish().unwrap();
        let (_, mut reader) = open_detected(&packed[..]).unwrap();
        assert!(std::io::copy(&mut reader, &mut std::io::sink()).is_err());
    }
}
