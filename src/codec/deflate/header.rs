//! What stands around a deflate stream in a gzip member (RFC 1952, section 2.3).

use std::io::{self, Read};

use flate2::Crc;

/// CRC and length after the stream.
pub(super) const TRAILER_BYTES: usize = 8;

/// Bytes of a header, with its name, comment and extra field. Names are as long as paths; the
/// longest extra fields, of indexed formats, hold 64 KiB.
const HEADER_BYTES: usize = 80 << 10;

const HAS_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// Reads a header, byte for byte; `None` where what stands here is none.
pub(super) fn read(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut header = Vec::new();
    let complete = (|| -> io::Result<bool> {
        let fixed = more(stream, &mut header, 10)?;
        let [0x1f, 0x8b, 8, flags, ..] = fixed[..] else { return Ok(false) };
        if flags & 0xe0 != 0 {
            return Ok(false);
        }
        if flags & HAS_EXTRA != 0 {
            let length = more(stream, &mut header, 2)?;
            let length = u16::from_le_bytes([length[0], length[1]]);
            more(stream, &mut header, length.into())?;
        }
        for field in [HAS_NAME, HAS_COMMENT] {
            while flags & field != 0 && more(stream, &mut header, 1)? != [0] {
                if header.len() > HEADER_BYTES {
                    return Ok(false);
                }
            }
        }
        if flags & HAS_CRC != 0 {
            more(stream, &mut header, 2)?;
        }
        Ok(true)
    })();
    match complete {
        Ok(true) => Ok(Some(header)),
        Ok(false) => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

/// Appends the next `count` bytes to `header` and gives them back.
fn more(stream: &mut impl Read, header: &mut Vec<u8>, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes)?;
    header.extend_from_slice(&bytes);
    Ok(bytes)
}

/// The trailer of a member: CRC-32 and length modulo 2^32 of its plain bytes.
pub(super) fn trailer(crc: &Crc) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[..4].copy_from_slice(&crc.sum().to_le_bytes());
    trailer[4..].copy_from_slice(&crc.amount().to_le_bytes());
    trailer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A medium that fails.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("medium"))
        }
    }

    #[test]
    fn headers_are_read_to_their_last_byte() {
        let plain = [0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 0, 3];
        let mut full = vec![0x1f, 0x8b, 8, HAS_CRC | HAS_EXTRA | HAS_NAME | HAS_COMMENT];
        full.extend([0, 0, 0, 0, 2, 255, 3, 0, b'a', b'b', b'c']);
        full.extend(b"name\0comment\0\x12\x34");
        for header in [&plain[..], &full] {
            let stream = [header, b"rest"].concat();
            let mut reader = &stream[..];
            assert_eq!(read(&mut reader).unwrap().unwrap(), header);
            assert_eq!(reader, b"rest");
            for cut in 0..header.len() {
                assert_eq!(read(&mut &header[..cut]).unwrap(), None, "{cut}");
            }
        }
        assert_eq!(read(&mut &b"PK\x03\x04 and more of it"[..]).unwrap(), None);
        // A flag that nobody knows; a name without an end.
        let mut unknown = plain;
        unknown[3] = 0x20;
        assert_eq!(read(&mut &unknown[..]).unwrap(), None);
        let mut endless = plain.to_vec();
        endless[3] = HAS_NAME;
        endless.resize(2 * HEADER_BYTES, b'n');
        let mut reader = &endless[..];
        assert_eq!(read(&mut reader).unwrap(), None);
        assert!(reader.len() > HEADER_BYTES / 2, "no more was read than a header may have");
        let broken = (&plain[..5]).chain(Broken);
        assert!(read(&mut { broken }).is_err());
    }
}
