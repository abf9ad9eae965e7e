//! What one bundle has that another lacks: what a delta between them would carry.

use std::collections::HashSet;

use super::base::Base;
use super::index::{BlobEntry, Index, Place};
use super::reader::Contents;
use super::recipe::{Body, Run};

/// What is new about a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Its length.
    pub size: u64,
    /// Bytes of its content that the other bundle lacks and that no blob before it in this bundle
    /// has.
    pub content: u64,
    /// What this content takes in the packs of this bundle, at their average rate; a delta that
    /// compresses it against old content takes less.
    pub stored: u64,
}

/// Compares blob by blob, in the order in which it is asked.
pub struct Difference<'a> {
    old: &'a Base,
    new: &'a Contents,
    counted: HashSet<u32>,
}

impl<'a> Difference<'a> {
    /// What `new` has that `old` lacks.
    pub fn new(old: &'a Base, new: &'a Contents) -> Self {
        Self { old, new, counted: HashSet::new() }
    }

    /// What is new about a blob; `None` where the other bundle has it.
    pub fn of(&mut self, blob: &BlobEntry) -> Option<News> {
        if self.old.number(&blob.digest).is_some() {
            return None;
        }
        let index = &self.new.index;
        let mut news = News { size: blob.size, ..News::default() };
        if let Body::Inline(bytes) = &blob.recipe.body {
            news.content = bytes.len() as u64;
            return Some(news);
        }
        let mut stored = 0u128;
        for number in blob.recipe.runs().flat_map(numbers) {
            let Some((length, rate)) = self.rate(index, number) else { continue };
            if self.counted.insert(number) {
                news.content += u64::from(length);
                stored += u128::from(length) * rate;
            }
        }
        news.stored = (stored >> 16) as u64;
        Some(news)
    }

    /// Length of a chunk that the other bundle lacks, and what a byte of it takes, times 2^16.
    fn rate(&self, index: &Index, number: u32) -> Option<(u32, u128)> {
        let Place::Own(at) = index.place(number) else { return None };
        if self.old.piece(&index.ids[number as usize], at.length as usize).is_some() {
            return None;
        }
        let pack = &self.new.manifest.packs[at.pack as usize];
        Some((at.length, (u128::from(pack.size) << 16) / u128::from(pack.content.max(1))))
    }
}

fn numbers(runs: &[Run]) -> impl Iterator<Item = u32> + '_ {
    runs.iter().flat_map(|run| run.first..run.first + run.count)
}
