//! The compressed forms in which layers and whole archives come: gzip (RFC 1952) and zstd
//! (RFC 8878), told apart by their first bytes.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use flate2::{Compress, Compression as Level, Crc, FlushCompress, Status};

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
/// no time in the header. The same bytes come out for the same bytes in, however either side is
/// cut into reads; a test pins them.
pub fn gzip<'a, R: Read + Send + 'a>(plain: R) -> Box<dyn Read + Send + 'a> {
    Box::new(Gzip {
        plain,
        block: vec![0; GZIP_BLOCK],
        deflate: Compress::new(Level::new(6), false),
        crc: Crc::new(),
        packed: GZIP_HEADER.to_vec(),
        at: 0,
        done: false,
    })
}

/// RFC 1952, section 2.3: magic, deflate, no flags, no time, no extra flags, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Bytes that are given to the encoder at once. Its output depends on where its input is cut, so
/// this is as much a part of the result as the level is.
const GZIP_BLOCK: usize = 64 << 10;

struct Gzip<R> {
    plain: R,
    block: Vec<u8>,
    deflate: Compress,
    crc: Crc,
    packed: Vec<u8>,
    at: usize,
    done: bool,
}

impl<R: Read> Gzip<R> {
    /// Packs the next block, or ends the stream.
    fn advance(&mut self) -> io::Result<()> {
        let mut filled = 0;
        while filled < self.block.len() {
            match self.plain.read(&mut self.block[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.packed.clear();
        self.at = 0;
        let mut input = &self.block[..filled];
        self.crc.update(input);
        let last = filled < self.block.len();
        let flush = if last { FlushCompress::Finish } else { FlushCompress::None };
        loop {
            self.packed.reserve(GZIP_BLOCK);
            let before = self.deflate.total_in();
            let status = self.deflate.compress_vec(input, &mut self.packed, flush)?;
            input = &input[(self.deflate.total_in() - before) as usize..];
            let full = self.packed.len() == self.packed.capacity();
            if status == Status::StreamEnd || (!last && input.is_empty() && !full) {
                break;
            }
        }
        if last {
            self.packed.extend_from_slice(&self.crc.sum().to_le_bytes());
            // The length modulo 2^32, as the format has it.
            self.packed.extend_from_slice(&(self.deflate.total_in() as u32).to_le_bytes());
            self.done = true;
        }
        Ok(())
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.packed.len() {
            if self.done {
                return Ok(0);
            }
            self.advance()?;
        }
        let n = buffer.len().min(self.packed.len() - self.at);
        buffer[..n].copy_from_slice(&self.packed[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
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
            "sha256:ad2c508a99b64465d3face6485e15466adef3defa4f15def17bd714f4f20a6f0"
        );
    }

    /// Gives its bytes in pieces of changing size.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 * 31 % 65_521 + 1;
            let n = self.1.min(buffer.len()).min(self.0.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn our_gzip_does_not_depend_on_how_it_is_read_or_fed() {
        let text = "the quick brown fox ".repeat(3000);
        let noise = (0..300_000u64).map(|n| (n.wrapping_mul(n) >> 7) as u8);
        let plain: Vec<u8> = text.bytes().chain(noise).chain(text.bytes()).collect();
        let whole = all(gzip(&plain[..]));
        for step in [1, 77, 12_345] {
            assert!(all(gzip(Dribble(&plain, step))) == whole);
            let mut slow = Vec::new();
            let mut reader = gzip(&plain[..]);
            let mut piece = vec![0; step];
            while let n @ 1.. = reader.read(&mut piece).unwrap() {
                slow.extend_from_slice(&piece[..n]);
            }
            assert!(slow == whole);
        }
        for edge in [0, 1, GZIP_BLOCK - 1, GZIP_BLOCK, GZIP_BLOCK + 1] {
            let packed = all(gzip(&plain[..edge]));
            assert!(all(open(Compression::Gzip, &packed[..]).unwrap()) == plain[..edge], "{edge}");
        }
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
