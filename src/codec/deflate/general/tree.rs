//! Code lengths from counts, by the methods that encoders use.

use super::super::codes::LITERALS;

/// How code lengths come from counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// A heap of subtrees, the shallower first; codes that grow too long are mended afterwards (zlib).
    Heap,
    /// The best lengths under the limit; of two equal weights a package goes first (Go).
    PackageFirst,
    /// The best lengths under the limit; of two equal weights a symbol goes first.
    SymbolFirst,
    /// Two queues, a symbol first of two equal weights; too long codes are mended (libdeflate).
    Queues,
}

/// All methods, by their numbers.
pub(super) const METHODS: [Method; 4] =
    [Method::Heap, Method::PackageFirst, Method::SymbolFirst, Method::Queues];

/// Code lengths, at most `limit` bits, for symbols that occur so often.
pub(super) fn lengths(method: Method, counts: &[u32], limit: usize) -> Vec<u8> {
    let mut lengths = vec![0; counts.len()];
    match method {
        Method::Heap => heap(counts, limit, &mut lengths),
        Method::PackageFirst | Method::SymbolFirst => {
            packages(counts, limit, method == Method::PackageFirst, &mut lengths);
        }
        Method::Queues => queues(counts, limit, &mut lengths),
    }
    lengths
}

/// A node of the heap: weight and depth decide which is the lesser.
#[derive(Clone, Copy, Default)]
struct Node {
    weight: u64,
    depth: u32,
    parent: usize,
}

fn heap(counts: &[u32], limit: usize, lengths: &mut [u8]) {
    let mut nodes: Vec<Node> =
        counts.iter().map(|&count| Node { weight: count.into(), ..Node::default() }).collect();
    // Places of the heap count from 1.
    let mut heap = vec![0];
    heap.extend((0..counts.len()).filter(|&symbol| counts[symbol] > 0));
    // There are always two codes: the lowest symbols help out.
    let mut highest = heap.last().copied().filter(|_| heap.len() > 1);
    while heap.len() < 3 {
        let extra = highest.filter(|&symbol| symbol < 2).map_or(0, |symbol| symbol + 1);
        if extra >= counts.len() {
            return;
        }
        highest = highest.max(Some(extra));
        nodes[extra].weight = 1;
        heap.push(extra);
    }
    let leaves = counts.len();
    for place in (1..=(heap.len() - 1) / 2).rev() {
        sink(&mut heap, &nodes, place);
    }
    // Nodes in the order in which they were taken out.
    let mut taken = Vec::with_capacity(2 * heap.len());
    while heap.len() > 2 {
        let first = heap.swap_remove(1);
        sink(&mut heap, &nodes, 1);
        let second = heap[1];
        let parent = nodes.len();
        nodes.push(Node {
            weight: nodes[first].weight + nodes[second].weight,
            depth: nodes[first].depth.max(nodes[second].depth) + 1,
            parent: 0,
        });
        nodes[first].parent = parent;
        nodes[second].parent = parent;
        taken.extend([first, second]);
        heap[1] = parent;
        sink(&mut heap, &nodes, 1);
    }
    let mut depths = vec![0usize; nodes.len()];
    let mut of_length = vec![0usize; limit + 1];
    let mut too_long = 0;
    for &node in taken.iter().rev() {
        let depth = depths[nodes[node].parent] + 1;
        too_long += usize::from(depth > limit);
        depths[node] = depth.min(limit);
        if node < leaves {
            of_length[depths[node]] += 1;
        }
    }
    mend(&mut of_length, too_long);
    hand_out(&of_length, taken.into_iter().filter(|&node| node < leaves), lengths);
}

/// Restores the order of the heap below a place.
fn sink(heap: &mut [usize], nodes: &[Node], mut place: usize) {
    let lesser =
        |a: usize, b: usize| (nodes[a].weight, nodes[a].depth) <= (nodes[b].weight, nodes[b].depth);
    if place >= heap.len() {
        return;
    }
    let node = heap[place];
    loop {
        let mut below = 2 * place;
        if below >= heap.len() {
            break;
        }
        if below + 1 < heap.len() && lesser(heap[below + 1], heap[below]) {
            below += 1;
        }
        if lesser(node, heap[below]) {
            break;
        }
        heap[place] = heap[below];
        place = below;
    }
    heap[place] = node;
}

/// Mends a code of which so many nodes, inner ones too, were cut at the limit: each time a shorter
/// code makes room for two.
fn mend(of_length: &mut [usize], mut too_long: usize) {
    let limit = of_length.len() - 1;
    while too_long > 0 {
        let Some(length) = (1..limit).rev().find(|&length| of_length[length] > 0) else { return };
        of_length[length] -= 1;
        of_length[length + 1] += 2;
        of_length[limit] = of_length[limit].saturating_sub(1);
        too_long = too_long.saturating_sub(2);
    }
}

/// Gives lengths to symbols, the longest to the first.
fn hand_out(of_length: &[usize], symbols: impl Iterator<Item = usize>, lengths: &mut [u8]) {
    let mut symbols = symbols;
    for length in (1..of_length.len()).rev() {
        for symbol in symbols.by_ref().take(of_length[length]) {
            lengths[symbol] = length as u8;
        }
    }
}

/// Symbols that occur, the rarest first, of equally rare ones the lower.
fn sorted(counts: &[u32]) -> Vec<usize> {
    let mut symbols: Vec<usize> = (0..counts.len()).filter(|&symbol| counts[symbol] > 0).collect();
    symbols.sort_by_key(|&symbol| (counts[symbol], symbol));
    symbols
}

fn packages(counts: &[u32], limit: usize, package_first: bool, lengths: &mut [u8]) {
    let symbols = sorted(counts);
    if symbols.len() <= 2 {
        for &symbol in &symbols {
            lengths[symbol] = 1;
        }
        if symbols.is_empty() {
            lengths[0] = 1;
        }
        return;
    }
    let weights: Vec<u64> = symbols.iter().map(|&symbol| counts[symbol].into()).collect();
    // For each length, from the longest, whether an item of its list is a symbol or a package.
    let mut lists: Vec<Vec<bool>> = Vec::with_capacity(limit);
    let mut below: Vec<u64> = Vec::new();
    for _ in 0..limit {
        let mut packed = below.chunks_exact(2).map(|pair| pair[0] + pair[1]).peekable();
        let mut single = weights.iter().copied().peekable();
        let mut list = Vec::with_capacity(2 * LITERALS);
        let mut here = Vec::with_capacity(2 * LITERALS);
        loop {
            let is_symbol = match (single.peek(), packed.peek()) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(symbol), Some(package)) => {
                    if package_first {
                        symbol < package
                    } else {
                        symbol <= package
                    }
                }
            };
            here.extend(if is_symbol { single.next() } else { packed.next() });
            list.push(is_symbol);
        }
        lists.push(list);
        below = here;
    }
    let mut wanted = 2 * symbols.len() - 2;
    for list in lists.iter().rev() {
        let chosen = &list[..wanted.min(list.len())];
        let singles = chosen.iter().filter(|&&is_symbol| is_symbol).count();
        for &symbol in &symbols[..singles] {
            lengths[symbol] += 1;
        }
        wanted = 2 * (chosen.len() - singles);
    }
    // Of equally long codes in a row of equally rare symbols nothing is to be settled: the rarest
    // symbols have the longest codes, the lower of two before the higher.
}

fn queues(counts: &[u32], limit: usize, lengths: &mut [u8]) {
    let symbols = sorted(counts);
    if symbols.len() < 2 {
        let symbol = symbols.first().copied().unwrap_or(0);
        lengths[0] = 1;
        lengths[symbol.max(1)] = 1;
        return;
    }
    let leaves = symbols.len();
    let mut weights: Vec<u64> = symbols.iter().map(|&symbol| counts[symbol].into()).collect();
    let mut parents = vec![0; 2 * leaves - 1];
    let (mut leaf, mut inner) = (0, leaves);
    while weights.len() < 2 * leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let take_leaf =
                leaf < leaves && (inner == weights.len() || weights[leaf] <= weights[inner]);
            let next = if take_leaf { &mut leaf } else { &mut inner };
            weight += weights[*next];
            parents[*next] = weights.len();
            *next += 1;
        }
        weights.push(weight);
    }
    // From the root down each inner node turns one code into two longer ones, where they may be.
    let mut of_length = vec![0usize; limit + 1];
    of_length[1] = 2;
    let mut depths = vec![0usize; weights.len()];
    for node in (leaves..weights.len() - 1).rev() {
        depths[node] = depths[parents[node]] + 1;
        let mut length = depths[node];
        if length >= limit {
            length = limit - 1;
            while of_length[length] == 0 {
                length -= 1;
            }
        }
        of_length[length] -= 1;
        of_length[length + 1] += 2;
    }
    hand_out(&of_length, symbols.into_iter(), lengths);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_complete(lengths: &[u8]) -> bool {
        let parts = lengths.iter().filter(|&&length| length > 0);
        parts.map(|&length| 1u32 << (15 - length)).sum::<u32>() == 1 << 15
    }

    #[test]
    fn every_method_makes_complete_codes_within_the_limit() {
        let fibonacci = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 0, 9];
        let flat = [7; 19];
        for counts in [fibonacci, flat] {
            for method in METHODS {
                for limit in [7, 15] {
                    let found = lengths(method, &counts, limit);
                    assert!(is_complete(&found), "{method:?} {limit} {found:?}");
                    assert!(found.iter().all(|&length| usize::from(length) <= limit));
                    assert!(found.iter().zip(counts).all(|(&l, c)| (l > 0) == (c > 0)));
                }
            }
        }
    }

    #[test]
    fn rare_symbols_get_long_codes() {
        let counts = [10, 1, 1, 5, 0];
        for method in METHODS {
            assert_eq!(lengths(method, &counts, 15), [1, 3, 3, 2, 0], "{method:?}");
        }
    }

    #[test]
    fn a_single_symbol_or_none_gets_what_each_encoder_gives_it() {
        let expected = [
            (Method::Heap, [[1, 1, 0], [1, 0, 1]]),
            (Method::PackageFirst, [[1, 0, 0], [0, 0, 1]]),
            (Method::Queues, [[1, 1, 0], [1, 0, 1]]),
        ];
        for (method, found) in expected {
            assert_eq!(lengths(method, &[0, 0, 0], 15), found[0], "{method:?}");
            assert_eq!(lengths(method, &[0, 0, 4], 15), found[1], "{method:?}");
        }
    }
}
