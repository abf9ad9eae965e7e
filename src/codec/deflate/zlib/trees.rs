//! Huffman codes as the family builds them.
//!
//! Many sets of code lengths are equally short; which one a program writes is decided by the order
//! in which its heap gives out nodes of the same weight, and by how it shortens codes that came
//! out too long. Both are those of gzip, which every member of the family has kept.

use super::super::codes::{LENGTH_CODES, LITERALS};

/// Nodes of the largest tree: leaves and what joins them.
const NODES: usize = 2 * LITERALS - 1;

/// Sets the code length of every symbol from how often it is used, and says which is the last
/// symbol that has a code. No code is longer than `longest`.
///
/// At least two symbols get a code, as PKZIP wanted it: where fewer are used, the next ones up to
/// 2 join them, or else 0.
pub(super) fn code_lengths(counts: &[u16], longest: u8, lengths: &mut [u8]) -> usize {
    let mut forest = Forest::new(counts);
    let last = forest.last;
    let joined = forest.join();
    forest.measure(joined, longest, lengths);
    last
}

/// Leaves and joined nodes, the lightest on top of a binary heap.
struct Forest {
    /// Number of leaves that could be there; joined nodes are numbered from here.
    symbols: usize,
    /// The last symbol that is there.
    last: usize,
    /// Weight of a node and, below it, its height: what the heap is ordered by.
    keys: [u32; NODES],
    parents: [u16; NODES],
    /// Places 1 to `size`; the children of place n are at 2n and 2n + 1.
    heap: [u16; LITERALS + 1],
    size: usize,
    /// Nodes in the order in which they were joined, the lightest first.
    order: [u16; NODES],
    ordered: usize,
}

impl Forest {
    fn new(counts: &[u16]) -> Self {
        let mut forest = Self {
            symbols: counts.len(),
            last: 0,
            keys: [0; NODES],
            parents: [0; NODES],
            heap: [0; LITERALS + 1],
            size: 0,
            order: [0; NODES],
            ordered: 0,
        };
        let mut used = None;
        for (symbol, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            forest.plant(symbol, u32::from(count));
            used = Some(symbol);
        }
        while forest.size < 2 {
            let added = match used {
                Some(used @ (0 | 1)) => used + 1,
                _ => 0,
            };
            forest.plant(added, 1);
            used = used.max(Some(added));
        }
        forest.last = used.unwrap_or(0);
        for place in (1..=forest.size / 2).rev() {
            forest.sink(place);
        }
        forest
    }

    /// Puts a leaf at the end of the heap.
    fn plant(&mut self, symbol: usize, count: u32) {
        self.keys[symbol] = count << 8;
        self.size += 1;
        self.heap[self.size] = symbol as u16;
    }

    /// Moves the node at a place down until no child is lighter than it.
    fn sink(&mut self, mut place: usize) {
        let node = self.heap[place];
        let key = self.keys[node as usize];
        let mut child = 2 * place;
        while child <= self.size {
            let mut lighter = self.keys[self.heap[child] as usize];
            if child < self.size {
                let right = self.keys[self.heap[child + 1] as usize];
                if right <= lighter {
                    (child, lighter) = (child + 1, right);
                }
            }
            if key <= lighter {
                break;
            }
            self.heap[place] = self.heap[child];
            place = child;
            child = 2 * place;
        }
        self.heap[place] = node;
    }

    /// Joins the two lightest nodes until one is left; says how many nodes there are.
    fn join(&mut self) -> usize {
        let mut node = self.symbols;
        while self.size >= 2 {
            let first = self.heap[1];
            self.heap[1] = self.heap[self.size];
            self.size -= 1;
            self.sink(1);
            let second = self.heap[1];
            self.put_in_order(first);
            self.put_in_order(second);
            let (a, b) = (self.keys[first as usize], self.keys[second as usize]);
            self.keys[node] = (a & !0xff) + (b & !0xff) + (a & 0xff).max(b & 0xff) + 1;
            self.parents[first as usize] = node as u16;
            self.parents[second as usize] = node as u16;
            self.heap[1] = node as u16;
            self.sink(1);
            node += 1;
        }
        self.put_in_order(self.heap[1]);
        node
    }

    fn put_in_order(&mut self, node: u16) {
        self.order[self.ordered] = node;
        self.ordered += 1;
    }

    /// Reads the code lengths off the tree.
    fn measure(&self, nodes: usize, longest: u8, lengths: &mut [u8]) {
        lengths.fill(0);
        let mut depths = [0u8; NODES];
        let mut counts = [0u16; 16];
        // Nodes, leaves or not, that lie deeper than a code may be long.
        let mut too_deep = 0;
        debug_assert_eq!(self.order[self.ordered - 1] as usize, nodes - 1);
        for &node in self.order[..self.ordered - 1].iter().rev() {
            let mut depth = depths[self.parents[node as usize] as usize] + 1;
            if depth > longest {
                depth = longest;
                too_deep += 1;
            }
            depths[node as usize] = depth;
            if self.is_leaf(node) {
                counts[depth as usize] += 1;
                lengths[node as usize] = depth;
            }
        }
        if too_deep == 0 {
            return;
        }
        while too_deep > 0 {
            // The deepest leaf that is not at the bottom goes down one, and one of the bottom
            // becomes its sibling.
            let mut depth = longest as usize - 1;
            while counts[depth] == 0 {
                depth -= 1;
            }
            counts[depth] -= 1;
            counts[depth + 1] += 2;
            counts[longest as usize] -= 1;
            too_deep -= 2;
        }
        let mut leaves = self.order[..self.ordered].iter().filter(|node| self.is_leaf(**node));
        for length in (1..=longest).rev() {
            for &leaf in leaves.by_ref().take(counts[length as usize].into()) {
                lengths[leaf as usize] = length;
            }
        }
    }

    fn is_leaf(&self, node: u16) -> bool {
        (node as usize) < self.symbols
    }
}

/// How code lengths themselves are written: a symbol and, for repetitions, a number in
/// [`extra_bits`] bits.
pub(super) struct Run {
    pub(super) symbol: u8,
    pub(super) extra: u8,
}

/// Bits of the number that follows a symbol of [`Run`].
pub(super) const fn extra_bits(symbol: u8) -> u8 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Cuts code lengths into [`Run`]s (RFC 1951, section 3.2.7), as greedily as the family does.
pub(super) fn runs(lengths: &[u8], counts: &mut [u16; LENGTH_CODES], runs: &mut Vec<Run>) {
    let mut push = |symbol: u8, extra: usize| {
        counts[symbol as usize] += 1;
        runs.push(Run { symbol, extra: extra as u8 });
    };
    let mut before = None;
    let mut rest = lengths;
    while let Some(&length) = rest.first() {
        let again = before == Some(length);
        let (most, least) = match length {
            0 => (138, 3),
            _ if again => (6, 3),
            _ => (7, 4),
        };
        let count = rest.iter().take(most).take_while(|other| **other == length).count();
        match (length, count) {
            _ if count < least => (0..count).for_each(|_| push(length, 0)),
            (0, ..=10) => push(17, count - 3),
            (0, _) => push(18, count - 11),
            _ if again => push(16, count - 3),
            _ => {
                push(length, 0);
                push(16, count - 4);
            }
        }
        before = Some(length);
        rest = &rest[count..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths_of(counts: &[u16], longest: u8) -> (Vec<u8>, usize) {
        let mut lengths = vec![9; counts.len()];
        let last = code_lengths(counts, longest, &mut lengths);
        (lengths, last)
    }

    #[test]
    fn two_symbols_have_codes_even_where_fewer_are_used() {
        assert_eq!(lengths_of(&[0, 0, 0, 0], 15), (vec![1, 1, 0, 0], 1));
        assert_eq!(lengths_of(&[7, 0, 0, 0], 15), (vec![1, 1, 0, 0], 1));
        assert_eq!(lengths_of(&[0, 7, 0, 0], 15), (vec![0, 1, 1, 0], 2));
        assert_eq!(lengths_of(&[0, 0, 0, 7], 15), (vec![1, 0, 0, 1], 3));
    }

    #[test]
    fn no_code_is_longer_than_allowed_and_the_codes_are_complete() {
        // Weights like Fibonacci's numbers make the deepest tree.
        let mut counts = vec![1u16, 1];
        while counts.len() < 19 {
            counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
        }
        for longest in [7, 15] {
            let (lengths, last) = lengths_of(&counts, longest);
            assert_eq!(last, 18);
            assert!(lengths.iter().all(|length| (1..=longest).contains(length)));
            let filled: u32 = lengths.iter().map(|length| 1 << (15 - length)).sum();
            assert_eq!(filled, 1 << 15);
        }
    }

    #[test]
    fn runs_are_as_long_as_they_may_be() {
        let mut lengths = vec![5; 9];
        lengths.extend([0; 140]);
        lengths.extend([3, 3]);
        let mut counts = [0; LENGTH_CODES];
        let mut cut = Vec::new();
        runs(&lengths, &mut counts, &mut cut);
        let cut: Vec<_> = cut.iter().map(|run| (run.symbol, run.extra)).collect();
        // Seven at first, of which one is written out; then two that are too few.
        let expected = [(5, 0), (16, 3), (5, 0), (5, 0), (18, 127), (0, 0), (0, 0), (3, 0), (3, 0)];
        assert_eq!(cut, expected);
        assert_eq!((counts[5], counts[16], counts[18], counts[0], counts[3]), (3, 1, 1, 2, 2));
    }
}
