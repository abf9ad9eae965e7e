//! What a parity volume says of itself: the files that it covers and a table of all shards.
//!
//! It stands twice in each parity volume and is the same in all of one set. Its own digest tells a
//! damaged copy from a whole one; it proves nothing about who made it.

use sha2::{Digest as _, Sha256};

use super::layout::{Covered, Layout};
use crate::codec::number::{self, Cursor, Odd};
use crate::model::limits;

/// What a description begins with.
pub(super) const TYPE_LINE: &[u8] = b"sealift parity 1\n";

/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// Bytes of a mark in the table.
const MARK: usize = 8 + DIGEST;

/// By what a shard is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Tells where it might lie.
    pub(super) weak: u64,
    /// Tells that it is the one.
    pub(super) digest: [u8; DIGEST],
}

/// Layout and table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name of the set, as its first volume claims it; an encrypted one claims nothing.
    pub(super) set: Option<[u8; 16]>,
    pub(super) layout: Layout,
    /// Marks of the shards of data, then of the recovery shards.
    pub(super) marks: Vec<Mark>,
}

/// Why bytes are no description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They are not what was written.
    Damaged,
    /// They are what was written, and cannot be meant.
    Malformed(&'static str),
}

impl Description {
    /// How the files are cut.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Name of the set, in hexadecimal digits; nobody vouches for it.
    pub fn set(&self) -> Option<String> {
        self.set.map(hex::encode)
    }

    /// Names the parity of a set: all its volumes have the same.
    pub(super) fn id(&self) -> [u8; DIGEST] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// What is written.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = TYPE_LINE.to_vec();
        match &self.set {
            Some(set) => {
                out.push(set.len() as u8);
                out.extend_from_slice(set);
            }
            None => out.push(0),
        }
        number::put(&mut out, self.layout.shard());
        number::put(&mut out, self.layout.files().len() as u64);
        for file in self.layout.files() {
            number::put(&mut out, file.length);
            number::put(&mut out, file.name.len() as u64);
            out.extend_from_slice(file.name.as_bytes());
        }
        number::put(&mut out, self.layout.recovery() as u64);
        for mark in &self.marks {
            out.extend_from_slice(&mark.weak.to_be_bytes());
            out.extend_from_slice(&mark.digest);
        }
        let own: [u8; DIGEST] = Sha256::digest(&out).into();
        out.extend_from_slice(&own);
        out
    }

    /// What `bytes` begin with, read and written again, where it is a description. For fuzz targets:
    /// who repairs reads it with all that says where it lies.
    #[doc(hidden)]
    pub fn again(bytes: &[u8]) -> Option<Vec<u8>> {
        Self::parse(bytes).ok().as_ref().map(Self::to_bytes)
    }

    /// Reads the description that `bytes` begin with; anything may follow it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let mut cursor = Cursor::new(bytes);
        let described = Self::read(&mut cursor);
        // Whatever is odd is damage, unless the digest says that it was written so. Where a count is
        // odd, nobody knows where the digest stands: it must be what the rest of the bytes ends with.
        let length = match described {
            Ok(_) => bytes.len() - cursor.rest().len(),
            Err(_) => bytes.len().saturating_sub(DIGEST),
        };
        let (before, behind) = bytes.split_at(length);
        let own: [u8; DIGEST] = Sha256::digest(before).into();
        if !behind.starts_with(&own) {
            return Err(Flaw::Damaged);
        }
        described.map_err(|Odd(what)| Flaw::Malformed(what))
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Odd> {
        if cursor.take(TYPE_LINE.len())? != TYPE_LINE {
            return Err(Odd("it has another type line"));
        }
        let set = match cursor.number()? {
            0 => None,
            16 => cursor.take(16)?.try_into().ok(),
            _ => return Err(Odd("the name of a set has another length")),
        };
        let shard = cursor.number()?;
        let count = cursor.count(3)?;
        if count > limits::VOLUMES {
            return Err(Odd("it covers too many files"));
        }
        let mut files = Vec::with_capacity(count);
        for _ in 0..count {
            let length = cursor.number()?;
            let name = cursor.count(1)?;
            let name = std::str::from_utf8(cursor.take(name)?)
                .map_err(|_| Odd("a file that it covers has a name that no volume has"))?;
            files.push(Covered { name: name.to_owned(), length });
        }
        let recovery = usize::try_from(cursor.number()?).unwrap_or(usize::MAX);
        let layout = Layout::new(shard, files, recovery).map_err(Odd)?;
        let table = cursor.take((layout.data() + layout.recovery()) * MARK)?;
        let mark = |row: &[u8]| {
            let (weak, digest) = row.split_first_chunk()?;
            Some(Mark { weak: u64::from_be_bytes(*weak), digest: digest.try_into().ok()? })
        };
        let marks = table.chunks_exact(MARK).filter_map(mark).collect();
        Ok(Self { set, layout, marks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Description {
        let files = vec![
            Covered { name: "app.001.sealift".to_owned(), length: 40_000 },
            Covered { name: "app.002.sealift".to_owned(), length: 3 },
        ];
        let layout = Layout::plan(files, 50).unwrap();
        let marks = (0..layout.data() + layout.recovery())
            .map(|n| Mark { weak: n as u64 + 1, digest: [n as u8; DIGEST] })
            .collect();
        Description { set: Some([7; 16]), layout, marks }
    }

    /// As somebody would write it who means it so.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let own = Sha256::digest(&bytes);
        bytes.extend_from_slice(&own);
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let description = sample();
        let mut bytes = description.to_bytes();
        assert_eq!(Description::parse(&bytes), Ok(description.clone()));
        bytes.extend_from_slice(b"padding, and more");
        assert_eq!(Description::parse(&bytes), Ok(description));
        let nameless = Description { set: None, ..sample() };
        assert_eq!(Description::parse(&nameless.to_bytes()), Ok(nameless));
    }

    #[test]
    fn no_damaged_copy_is_taken_for_a_whole_one() {
        let bytes = sample().to_bytes();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x11;
            assert_eq!(Description::parse(&other), Err(Flaw::Damaged), "byte {at}");
            assert_eq!(Description::parse(&bytes[..at]), Err(Flaw::Damaged), "cut at {at}");
        }
    }

    #[test]
    fn hostile_numbers_are_malformed() {
        let line = |numbers: &[u64]| {
            let mut bytes = TYPE_LINE.to_vec();
            for &number in numbers {
                number::put(&mut bytes, number);
            }
            sealed(bytes)
        };
        // As many files as no set has, with room for all of them.
        let many = [vec![0, 4096, 10_000], vec![1; 30_000]].concat();
        assert_eq!(
            Description::parse(&line(&many)),
            Err(Flaw::Malformed("it covers too many files"))
        );
        for numbers in [
            &[1][..],
            &[17],
            &[u64::MAX],
            &[0, u64::MAX, 1, 5, 1, 97, 1],
            &[0, 4096, 0, 1],
            &[0, 4096, u64::MAX, 1],
            &[0, 4096, 1, u64::MAX, 1, 97, 1],
            &[0, 4096, 1, 1 << 42, 1, 97, 1],
            &[0, 4096, 1, 5, u64::MAX, 97, 1],
            &[0, 4096, 1, 5, 1, 47, 1],
            &[0, 4096, 1, 5, 1, 97, 0],
            &[0, 4096, 1, 5, 1, 97, u64::MAX],
            &[0, 4096, 1, 5, 1, 97, 16_384],
        ] {
            let parsed = Description::parse(&line(numbers));
            assert!(matches!(parsed, Err(Flaw::Malformed(_))), "{numbers:?}: {parsed:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Description::parse(&bytes);
            let _ = Description::parse(&sealed([TYPE_LINE, &bytes].concat()));
        }
    }
}
