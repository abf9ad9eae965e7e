//! Which bytes of a tar come from which of its two sides.

use super::number::{Cursor, put};

/// One stretch: so many bytes of the describing side, then so many of content.
pub type Stretch = (u64, u64);

/// The stretches of a tar, in order. They are held as they are written, as numbers of a few bytes: a
/// table that somebody sends takes no more memory than it has bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretches {
    count: usize,
    numbers: Vec<u8>,
}

impl Stretches {
    /// Adds one.
    pub fn push(&mut self, (meta, content): Stretch) {
        put(&mut self.numbers, meta);
        put(&mut self.numbers, content);
        self.count += 1;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Each as two numbers, one stretch after another.
    pub fn as_bytes(&self) -> &[u8] {
        &self.numbers
    }

    /// All of them.
    pub fn iter(&self) -> Iter<'_> {
        Iter(Cursor::new(&self.numbers))
    }

    /// Lets go of room that nothing fills.
    pub fn shrink(&mut self) {
        self.numbers.shrink_to_fit();
    }
}

impl FromIterator<Stretch> for Stretches {
    fn from_iter<I: IntoIterator<Item = Stretch>>(stretches: I) -> Self {
        let mut all = Self::default();
        for stretch in stretches {
            all.push(stretch);
        }
        all.shrink();
        all
    }
}

impl<'a> IntoIterator for &'a Stretches {
    type Item = Stretch;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Goes through the stretches of a tar.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Cursor<'a>);

impl Iterator for Iter<'_> {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        // What was put there can be read, up to the end.
        Some((self.0.number().ok()?, self.0.number().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_and_take_little_room() {
        let all = [(512, 0), (0, 1), (1536, 70_000), (u64::MAX, u64::MAX)];
        let stretches: Stretches = all.into_iter().collect();
        assert_eq!(stretches.iter().collect::<Vec<_>>(), all);
        assert_eq!(stretches.count(), all.len());
        assert_eq!(stretches.as_bytes().len(), (2 + 1) + (1 + 1) + (2 + 3) + (10 + 10));
        assert_eq!(Stretches::default().iter().next(), None);
    }
}
