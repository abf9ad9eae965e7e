//! Single zstd frames (RFC 8878), packed and opened whole in memory.
//!
//! Every frame states its content size and carries a content checksum, has no dictionary, and
//! stands alone; on the way back all of that is demanded before a byte is allocated.

use std::io;

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, DParameter};

use crate::model::{Error, Result, limits};

/// How hard to try, and over which distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// zstd level, 1 to 19.
    pub level: i32,
    /// Whether matches are looked for over the whole window by a table of its own.
    pub long_distance: bool,
}

impl Effort {
    /// Packs `content` as one frame that is opened with the same `prefix`; an empty one is none.
    ///
    /// A context is made for each frame: it would be cleared for the next one anyway, and the
    /// tables of one that waits are memory that somebody else could use.
    pub fn encode(self, content: &[u8], prefix: &[u8]) -> io::Result<Vec<u8>> {
        let mut context = CCtx::create();
        let window = window_log(prefix.len() + content.len());
        for parameter in [
            CParameter::CompressionLevel(self.level),
            CParameter::ChecksumFlag(true),
            CParameter::ContentSizeFlag(true),
            CParameter::EnableLongDistanceMatching(self.long_distance),
            CParameter::WindowLog(window),
        ] {
            context.set_parameter(parameter).map_err(zstd_error)?;
        }
        if !prefix.is_empty() {
            context.ref_prefix(prefix).map_err(zstd_error)?;
        }
        let mut packed = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
        context.compress2(&mut packed, content).map_err(zstd_error)?;
        packed.shrink_to_fit();
        Ok(packed)
    }
}

/// Power of two of the window for a frame that has so many bytes with its prefix: all of them, but
/// no less than a MiB.
pub fn window_log(bytes: usize) -> u32 {
    bytes.next_power_of_two().ilog2().clamp(20, 27)
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

/// Opens `stored`, which must be exactly one frame of exactly `content` bytes that was packed with
/// `prefix`. The caller has compared `content` with a limit.
///
/// # Errors
/// [`Kind::Malformed`](crate::model::Kind::Malformed) where the frame is another than promised: its
/// bytes were hashed, so it was made like that. [`Kind::Damaged`](crate::model::Kind::Damaged) where
/// it does not decode with its prefix, which may come from elsewhere.
pub fn decode(stored: &[u8], content: u64, prefix: &[u8], what: &str) -> Result<Vec<u8>> {
    let odd = |why: &str| {
        Error::malformed(format!("{what} is not the zstd frame that was promised: {why}"))
    };
    if !stored.starts_with(&zstd_safe::MAGICNUMBER.to_le_bytes()) {
        return Err(odd("no frame begins here"));
    }
    match zstd_safe::get_frame_content_size(stored) {
        Ok(Some(size)) if size == content => {}
        Ok(_) => return Err(odd("it states another content size")),
        Err(_) => return Err(odd("its header is not readable")),
    }
    if zstd_safe::get_dict_id_from_frame(stored).is_some() {
        return Err(odd("it needs a dictionary"));
    }
    // Byte 4 is the frame header descriptor; bit 2 says that a checksum follows the content.
    if stored.get(4).is_none_or(|descriptor| descriptor & 0b100 == 0) {
        return Err(odd("it has no checksum"));
    }
    if window(stored) > 1 << limits::ZSTD_WINDOW_LOG {
        return Err(odd("it needs a larger window than any reader has to give it"));
    }
    match zstd_safe::find_frame_compressed_size(stored) {
        Ok(length) if length == stored.len() => {}
        Ok(_) => return Err(odd("something follows it")),
        Err(_) => return Err(odd("it ends early")),
    }
    let capacity = usize::try_from(content).map_err(|_| odd("it is too large for this machine"))?;
    let undecoded = |code| {
        let error = if prefix.is_empty() {
            odd("it does not decompress")
        } else {
            Error::damaged(format!("{what} does not decompress"))
        };
        error.because(zstd_error(code))
    };
    let mut plain = Vec::with_capacity(capacity);
    let mut context = DCtx::create();
    let window = DParameter::WindowLogMax(limits::ZSTD_WINDOW_LOG);
    context.set_parameter(window).map_err(undecoded)?;
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(undecoded)?;
    }
    context.decompress(&mut plain, stored).map_err(undecoded)?;
    if plain.len() as u64 != content {
        return Err(odd("it holds another number of bytes"));
    }
    Ok(plain)
}

/// Bytes of the window that a frame header states (RFC 8878, section 3.1.1.1.2); none where the frame
/// is a single segment, whose window is its content. The decoder does not look at it where it has
/// room for all content at once.
fn window(header: &[u8]) -> u64 {
    match header {
        [_, _, _, _, descriptor, window, ..] if descriptor & 0b10_0000 == 0 => {
            let base = 1u64 << (10 + (window >> 3));
            base + base / 8 * u64::from(window & 7)
        }
        _ => 0,
    }
}

/// Version of the zstd library that packs.
pub fn library_version() -> &'static str {
    zstd_safe::version_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    const EFFORT: Effort = Effort { level: 3, long_distance: true };

    fn pack(content: &[u8]) -> Vec<u8> {
        EFFORT.encode(content, &[]).unwrap()
    }

    #[test]
    fn a_frame_opens_to_what_was_packed() {
        for content in [&b""[..], b"a", &vec![7; 100_000]] {
            assert_eq!(decode(&pack(content), content.len() as u64, &[], "it").unwrap(), content);
        }
    }

    #[test]
    fn a_frame_with_a_prefix_needs_it() {
        let old: Vec<u8> = (0..400_000u64).flat_map(|n| (n * n * 7919).to_le_bytes()).collect();
        let mut new = old.clone();
        new[1_000_000] ^= 1;
        let packed = EFFORT.encode(&new, &old).unwrap();
        assert!(packed.len() < 10_000, "{}", packed.len());
        assert!(decode(&packed, new.len() as u64, &old, "it").unwrap() == new);
        let mut other = old.clone();
        other[2_000_000] ^= 1;
        for prefix in [&[][..], &other] {
            assert!(decode(&packed, new.len() as u64, prefix, "it").is_err());
        }
        let alone = EFFORT.encode(&new, &[]).unwrap();
        assert!(decode(&alone, new.len() as u64, &[], "it").unwrap() == new);
    }

    #[test]
    fn anything_but_the_promised_frame_is_refused() {
        let good = pack(b"hello hello hello");
        let twice = [good.clone(), good.clone()].concat();
        let unchecked = zstd::bulk::compress(b"hello hello hello", 3).unwrap();
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0][..], &good].concat();
        for bad in [&twice[..], &unchecked, &skippable, &good[..good.len() - 1], b"", b"hello"] {
            assert_eq!(decode(bad, 17, &[], "it").unwrap_err().kind(), Kind::Malformed);
        }
        assert_eq!(decode(&good, 16, &[], "it").unwrap_err().kind(), Kind::Malformed);
    }

    #[test]
    fn a_window_over_the_limit_is_refused() {
        // A raw block of one byte behind a header with content size, checksum and this window.
        let frame = |window: u8| {
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1100_0100, window];
            frame.extend(1u64.to_le_bytes());
            frame.extend([0b1001, 0, 0, b'a']);
            let checked = pack(b"a");
            frame.extend(&checked[checked.len() - 4..]);
            frame
        };
        assert_eq!(decode(&frame(17 << 3), 1, &[], "it").unwrap(), b"a");
        for window in [17 << 3 | 1, 21 << 3, 31 << 3 | 7] {
            assert_eq!(decode(&frame(window), 1, &[], "it").unwrap_err().kind(), Kind::Malformed);
        }
    }

    #[test]
    fn no_flipped_bit_decodes_to_something_else() {
        let content: Vec<u8> = (0..5000u32).flat_map(|n| (n * n % 251).to_le_bytes()).collect();
        let good = pack(&content);
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            if let Ok(plain) = decode(&bad, content.len() as u64, &[], "it") {
                assert_eq!(plain, content, "bit {at}");
            }
        }
    }
}
