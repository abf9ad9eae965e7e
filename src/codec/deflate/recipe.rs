//! How a gzip stream (RFC 1952) is made again from its plain bytes, and how that is written down.
//!
//! ```text
//! number   M                    members
//! M × member:
//!      number, bytes            the header as it stands: length, then its bytes
//!      number                   coder: which engine with which setting, or 0 for the general one
//!      number                   plain bytes of the member
//!      number                   bytes of its deflate stream
//!      number   0 or 1          1: CRC and length are not those of the plain bytes, and follow:
//!           8 bytes
//!      number                   only for coder 0: bytes of corrections
//!      number   S               marks
//!      S × mark:
//!           number, number      plain bytes and bits since the mark before
//!           number, bytes       state: length, at most 16, then its bytes
//! number, bytes                 what follows the last member: length, then the bytes
//! ```

use super::Mark;
use crate::codec::number::{Cursor, Odd, put};

/// Bytes of the state of a mark, at most.
const STATE_BYTES: usize = 16;

/// Which encoder makes a member: an engine with its setting, or the general one. Its number stands
/// in bundles and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coder(pub u16);

impl Coder {
    /// The general one: a prediction and its corrections.
    pub const GENERAL: Self = Self(0);
}

/// One member of a gzip stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its header, byte for byte.
    pub header: Vec<u8>,
    /// Who makes the deflate stream.
    pub coder: Coder,
    /// Plain bytes.
    pub plain: u64,
    /// Bytes of the deflate stream.
    pub packed: u64,
    /// CRC and length as they stand, where they are not those of the plain bytes.
    pub trailer: Option<[u8; 8]>,
    /// Bytes of corrections that the general coder takes for it.
    pub corrections: u64,
    /// Where fresh encoders can go on, in order.
    pub marks: Vec<Mark>,
}

/// A gzip stream without its plain bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GzipRecipe {
    /// Its members, in order.
    pub members: Vec<Member>,
    /// What follows the last one.
    pub rest: Vec<u8>,
}

impl GzipRecipe {
    /// Plain bytes of all members.
    pub fn plain(&self) -> u64 {
        self.members.iter().fold(0, |sum, member| sum.saturating_add(member.plain))
    }

    /// Bytes of the stream.
    pub fn packed(&self) -> u64 {
        self.members.iter().fold(self.rest.len() as u64, |sum, member| {
            sum.saturating_add(member.packed).saturating_add(member.header.len() as u64 + 8)
        })
    }

    /// Bytes of corrections of all members.
    pub fn corrections(&self) -> u64 {
        self.members.iter().fold(0, |sum, member| sum.saturating_add(member.corrections))
    }

    /// As it is written down.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, self.members.len() as u64);
        for member in &self.members {
            put_bytes(&mut out, &member.header);
            put(&mut out, u64::from(member.coder.0));
            put(&mut out, member.plain);
            put(&mut out, member.packed);
            put(&mut out, u64::from(member.trailer.is_some()));
            out.extend(member.trailer.iter().flatten());
            if member.coder == Coder::GENERAL {
                put(&mut out, member.corrections);
            }
            put(&mut out, member.marks.len() as u64);
            let mut before = (0, 0);
            for mark in &member.marks {
                put(&mut out, mark.plain - before.0);
                put(&mut out, mark.bit - before.1);
                put_bytes(&mut out, &mark.state);
                before = (mark.plain, mark.bit);
            }
        }
        put_bytes(&mut out, &self.rest);
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and nothing else. The caller has bounded the
    /// length of `bytes`, and with it everything here.
    pub fn parse(bytes: &[u8]) -> Result<Self, Odd> {
        let mut cursor = Cursor::new(bytes);
        let count = cursor.count(6)?;
        let mut members = Vec::new();
        for _ in 0..count {
            members.push(parse_member(&mut cursor)?);
        }
        let rest = take_bytes(&mut cursor)?.to_vec();
        if !cursor.is_empty() {
            return Err(Odd("something follows the recipe of a gzip stream"));
        }
        Ok(Self { members, rest })
    }
}

fn parse_member(cursor: &mut Cursor<'_>) -> Result<Member, Odd> {
    let header = take_bytes(cursor)?.to_vec();
    let coder = Coder(u16::try_from(cursor.number()?).map_err(|_| Odd("an engine is unknown"))?);
    let (end, packed) = (cursor.number()?, cursor.number()?);
    let trailer = match cursor.number()? {
        0 => None,
        1 => {
            let mut own = [0; 8];
            own.copy_from_slice(cursor.take(8)?);
            Some(own)
        }
        _ => return Err(Odd("the end of a gzip member is of an unknown kind")),
    };
    let corrections = if coder == Coder::GENERAL { cursor.number()? } else { 0 };
    let mut marks: Vec<Mark> = Vec::new();
    for _ in 0..cursor.count(3)? {
        let (before_plain, before_bit) = marks.last().map_or((0, 0), |mark| (mark.plain, mark.bit));
        let plain = before_plain.checked_add(cursor.number()?);
        let bit = before_bit.checked_add(cursor.number()?);
        let state = take_bytes(cursor)?;
        match (plain, bit) {
            (Some(at), Some(bit))
                if at > before_plain
                    && at <= end
                    && bit > before_bit
                    && bit <= packed.saturating_mul(8)
                    && state.len() <= STATE_BYTES =>
            {
                marks.push(Mark { plain: at, bit, state: state.to_vec() });
            }
            _ => return Err(Odd("a mark of an engine lies outside its stream")),
        }
    }
    if coder == Coder::GENERAL && !marks.is_empty() {
        return Err(Odd("the general coder has no marks"));
    }
    Ok(Member { header, coder, plain: end, packed, trailer, corrections, marks })
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Odd> {
    let length = cursor.count(1)?;
    cursor.take(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> GzipRecipe {
        let member = |coder, marks| Member {
            header: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
            coder: Coder(coder),
            plain: 9_000_000,
            packed: 3_000_000,
            trailer: (coder == 7).then_some([1; 8]),
            corrections: if coder == 0 { 77 } else { 0 },
            marks,
        };
        let marks = vec![
            Mark { plain: 4_200_000, bit: 9_000_003, state: vec![1, 2] },
            Mark { plain: 8_400_000, bit: 18_000_003, state: Vec::new() },
        ];
        GzipRecipe {
            members: vec![member(0, Vec::new()), member(7, marks), member(300, Vec::new())],
            rest: vec![0; 5],
        }
    }

    #[test]
    fn a_recipe_reads_back() {
        let recipe = sample();
        assert_eq!(GzipRecipe::parse(&recipe.to_bytes()).unwrap(), recipe);
        assert_eq!(recipe.plain(), 27_000_000);
        assert_eq!(recipe.packed(), 9_000_000 + 3 * 18 + 5);
        assert_eq!(recipe.corrections(), 77);
    }

    #[test]
    fn marks_outside_the_stream_are_refused() {
        for (plain, bit) in [(9_000_001, 30), (10, 8 * 3_000_000 + 8), (0, 30), (10, 0)] {
            let mut recipe = sample();
            recipe.members[1].marks = vec![Mark { plain, bit, state: Vec::new() }];
            assert!(GzipRecipe::parse(&recipe.to_bytes()).is_err(), "{plain} {bit}");
        }
    }

    #[test]
    fn what_no_recipe_says_is_refused() {
        let refused = |bytes: &[u8], says: &'static str| {
            assert_eq!(GzipRecipe::parse(bytes), Err(Odd(says)));
        };
        let good = sample().to_bytes();
        refused(&[&good[..], &[0]].concat(), "something follows the recipe of a gzip stream");
        refused(&good[..good.len() - 1], "it counts more than it holds");
        let mut marked = sample();
        marked.members[0].marks = marked.members[1].marks.clone();
        refused(&marked.to_bytes(), "the general coder has no marks");
        let mut long = sample();
        long.members[1].marks[0].state = vec![0; STATE_BYTES + 1];
        refused(&long.to_bytes(), "a mark of an engine lies outside its stream");
        // One member with an empty header: its coder, and what its end is.
        refused(&[1, 0, 0x80, 0x80, 4, 0, 0, 0, 0, 0], "an engine is unknown");
        refused(&[1, 0, 1, 0, 0, 2, 0, 0], "the end of a gzip member is of an unknown kind");
        assert!(GzipRecipe::parse(&[1, 0, 1, 0, 0, 0, 0, 0]).is_ok());
    }

    proptest! {
        #[test]
        fn no_recipe_does_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: prop::sample::Index) {
            let mut bytes = sample().to_bytes();
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            if let Ok(read) = GzipRecipe::parse(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }
}
