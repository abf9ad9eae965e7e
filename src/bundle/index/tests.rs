use std::sync::Arc;

use super::super::recipe::Encoding;
use super::*;
use crate::codec::stretches::Stretch;
use crate::model::limits;
use proptest::prelude::*;

fn sample() -> (Index, Vec<u64>) {
    let packs = vec![vec![([1; 16], 10), ([2; 16], 20)], vec![([3; 16], 5)]];
    let runs = |list: &[(u32, u32)]| {
        list.iter().map(|&(first, count)| Run { first, count }).collect::<Vec<_>>()
    };
    let blob = |text: &[u8], size, body: Body| BlobEntry {
        digest: Digest::of(text),
        size,
        plain: None,
        recipe: body.into(),
    };
    let mut layer = blob(
        b"c",
        45,
        Body::Tar {
            meta: runs(&[(0, 2)]),
            content: runs(&[(2, 1), (0, 1)]),
            stretches: [(12, 7), (18, 8)].into_iter().collect(),
        },
    );
    layer.plain = Some(Plain { digest: Digest::Sha512([9; 64]), size: 1 << 40 });
    let mut rebuilt = blob(b"d", 7, Body::Chunks(runs(&[(1, 1)])));
    rebuilt.plain = Some(Plain { digest: Digest::of(b"plain"), size: 20 });
    rebuilt.recipe.encoding =
        Encoding::Gzip { recipe: Arc::from(&b"anything"[..]), corrections: runs(&[(2, 1)]) };
    let blobs = vec![
        rebuilt,
        blob(b"a", 3, Body::Inline(Arc::from(&b"abc"[..]))),
        blob(b"b", 35, Body::Chunks(runs(&[(2, 1), (0, 2)]))),
        layer,
        blob(b"", 0, Body::Chunks(Vec::new())),
    ];
    let borrowed = Borrowed {
        blobs: vec![
            BaseBlob { digest: Digest::of(b"old"), size: 100, plain: None },
            BaseBlob {
                digest: Digest::of(b"kept"),
                size: 9,
                plain: Some(Plain { digest: Digest::of(b"kept, plain"), size: 50 }),
            },
        ],
        pieces: vec![
            Piece { blob: 0, offset: 3, length: 20 },
            Piece { blob: 0, offset: 90, length: 10 },
            Piece { blob: 1, offset: 0, length: 50 },
        ],
    };
    let prefixes = vec![runs(&[(4, 2)]), runs(&[])];
    let mut kept = blob(b"kept", 9, Body::Base(1));
    kept.plain = borrowed.blobs[1].plain;
    let mut blobs = blobs;
    blobs.push(blob(b"partly", 25, Body::Chunks(runs(&[(2, 2)]))));
    blobs.push(kept);
    (Index::new(&packs, prefixes, borrowed, blobs), vec![30, 5])
}

#[test]
fn an_index_reads_back() {
    let (index, packs) = sample();
    let again = Index::parse(&index.to_bytes(packs.len()), &packs).unwrap();
    assert_eq!((again.chunks, again.ids, again.blobs), (index.chunks, index.ids, index.blobs));
    assert_eq!((again.borrowed, again.prefixes), (index.borrowed, index.prefixes));
}

#[test]
fn packs_that_differ_from_the_manifest_are_refused() {
    let (index, _) = sample();
    let bytes = index.to_bytes(2);
    for packs in [&[30u64, 6][..], &[29, 5], &[30], &[30, 5, 1], &[]] {
        assert!(Index::parse(&bytes, packs).is_err(), "{packs:?}");
    }
}

#[test]
fn a_prefix_that_waits_for_another_is_refused() {
    let (index, packs) = sample();
    let run = |first, count| vec![Run { first, count }];
    for (pack, prefix) in [(0, run(0, 1)), (0, run(2, 1)), (1, run(2, 1)), (1, run(0, 1))] {
        let mut index = index.clone();
        index.prefixes[pack] = prefix;
        assert!(Index::parse(&index.to_bytes(2), &packs).is_err(), "{pack}");
    }
    let mut index = index.clone();
    index.prefixes = vec![Vec::new(), run(0, 2)];
    assert!(Index::parse(&index.to_bytes(2), &packs).is_ok());
}

#[test]
fn what_is_left_to_the_base_is_counted() {
    let (index, _) = sample();
    // The one that is kept, and of the one that is partly there the first piece.
    assert_eq!(index.left_out(), LeftOut { blobs: 1, bytes: 9, content: 20 });
    assert_eq!(Index::default().left_out(), LeftOut::default());
}

fn runs(list: &[(u32, u32)]) -> Vec<Run> {
    list.iter().map(|&(first, count)| Run { first, count }).collect()
}

fn entry(size: u64, recipe: impl Into<Recipe>) -> BlobEntry {
    BlobEntry { digest: Digest::of(b"blob"), size, plain: None, recipe: recipe.into() }
}

fn tar(meta: &[(u32, u32)], content: &[(u32, u32)], stretches: &[Stretch]) -> Body {
    Body::Tar {
        meta: runs(meta),
        content: runs(content),
        stretches: stretches.iter().copied().collect(),
    }
}

fn inline(bytes: &[u8]) -> Body {
    Body::Inline(Arc::from(bytes))
}

fn gzip(recipe: &[u8], body: Body) -> Recipe {
    Recipe { body, encoding: Encoding::Gzip { recipe: Arc::from(recipe), corrections: Vec::new() } }
}

/// Why these bytes are no index for packs of so much content.
#[track_caller]
fn refusal(bytes: &[u8], packs: &[u64]) -> String {
    let error = Index::parse(bytes, packs).unwrap_err();
    assert_eq!(error.kind(), crate::model::Kind::Malformed, "{error}");
    error.message().to_owned()
}

/// The sample with this blob alone.
fn with_blob(blob: BlobEntry) -> Index {
    let (mut index, _) = sample();
    index.blobs = vec![blob];
    index
}

#[test]
fn blobs_that_cannot_be_made_are_refused() {
    let plain = |size| Some(Plain { digest: Digest::of(b"plain"), size });
    let long = vec![0; limits::RECIPE_BYTES as usize + 1];
    let of_base = |number, digest: &[u8], size| BlobEntry {
        digest: Digest::of(digest),
        ..entry(size, Body::Base(number))
    };
    let outside = "is said to be another one of the base";
    for (what, blob, says) in [
        ("no plain form", entry(3, gzip(b"r", inline(b""))), "has no plain form"),
        ("its recipe", entry(3, gzip(&long, inline(b""))), "the recipe of a layer is longer"),
        ("a manifest", entry(limits::MANIFEST_BYTES + 1, inline(b"")), "longer than a manifest"),
        ("cut off", entry(3, inline(b"ab")), "it ends early"),
        ("another blob", of_base(0, b"other", 100), outside),
        ("another size", of_base(0, b"old", 99), outside),
        ("no such blob", of_base(2, b"old", 100), outside),
        (
            "encoded once more",
            BlobEntry {
                plain: plain(9),
                recipe: gzip(b"r", Body::Base(1)),
                ..of_base(1, b"kept", 9)
            },
            outside,
        ),
        ("shorter", entry(31, Body::Chunks(runs(&[(0, 2)]))), "not as long as the blob"),
        ("no chunk", entry(0, Body::Chunks(runs(&[(0, 0)]))), "a run leaves the chunk table"),
        (
            "past the table",
            entry(30, Body::Chunks(runs(&[(5, 2)]))),
            "a run leaves the chunk table",
        ),
        ("nothing", entry(0, tar(&[], &[], &[(0, 0)])), "a stretch of a tar is empty"),
        ("less", entry(30, tar(&[(0, 2)], &[], &[(29, 0)])), "not as long as the tar"),
        ("on the other side", entry(30, tar(&[(0, 2)], &[], &[(0, 30)])), "not as long as the tar"),
        ("more", entry(31, tar(&[(0, 2)], &[], &[(30, 0)])), "not as long as the tar"),
        (
            "past all numbers",
            entry(30, tar(&[(0, 2)], &[], &[(u64::MAX, 0), (31, 0)])),
            "larger than anything can be",
        ),
    ] {
        let says_so = refusal(&with_blob(blob).to_bytes(2), &[30, 5]);
        assert!(says_so.contains(says), "{what}: {says_so}");
    }
}

#[test]
fn what_is_written_in_no_index_is_refused() {
    // The last of its bytes: how many blobs, then one: digest, size, no plain form, encoding, body.
    let (_, packs) = sample();
    let good = with_blob(entry(0, inline(b""))).to_bytes(2);
    assert!(Index::parse(&good, &packs).is_ok());
    let end = good.len();
    for (at, byte, says) in [
        (end - 1, 9, "is made of something unknown"),
        (end - 2, 9, "needs encoding 9, which this version of sealift does not know"),
        (end - 3, 9, "has a plain form of an unknown kind"),
        (end - 37, 9, "a digest has an unknown algorithm"),
        (end - 37, ALGORITHM_SHA512, "it ends early"),
        (end - 38, 2, "counts more than it holds"),
        (end - 38, 0, "something follows its last blob"),
        (14, b'9', "of another type or version"),
        (16, 3, "it counts other packs than the manifest"),
        (17, 100, "it counts more than it holds"),
        (19, 0, "a chunk is longer than it may be"),
        (19, 9, "the chunks of a pack do not fill it"),
        (19, 11, "a chunk is longer than it may be"),
    ] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let said = refusal(&bytes, &packs);
        assert!(said.contains(says), "byte {at}: {said}");
    }
    let twice = sample().0;
    let mut blobs = twice.blobs().to_vec();
    blobs.push(blobs[1].clone());
    let twice = Index { blobs, ..twice };
    assert!(refusal(&twice.to_bytes(2), &packs).ends_with("a blob stands in it twice"));
    let longest = vec![0; limits::INDEX_BYTES as usize + 1];
    assert!(refusal(&longest, &packs).ends_with("it is longer than it may be"));
}

#[test]
fn pieces_lie_in_their_blob_of_the_base() {
    let (index, packs) = sample();
    for (number, offset, length) in [(1, 91, 10), (2, 1, 50), (0, 3, 0), (1, u64::MAX - 1, 1)] {
        let mut index = index.clone();
        let piece = &mut index.borrowed.pieces[number];
        (piece.offset, piece.length) = (offset, length);
        let said = refusal(&index.to_bytes(2), &packs);
        assert!(said.ends_with("a piece lies outside its blob of the base"), "{number}: {said}");
    }
}

#[test]
fn neither_prefixes_nor_uses_are_past_their_limits() {
    // A pack of more chunks than the prefix of another may have.
    let mebi = limits::CHUNK_BYTES as u32;
    let count = (limits::PREFIX_BYTES / limits::CHUNK_BYTES) as u32 + 1;
    let packs = [vec![([1; 16], mebi); count as usize], vec![([2; 16], 1)]];
    let lengths = [u64::from(count) * u64::from(mebi), 1];
    let index = |first, blobs| {
        let prefixes = vec![Vec::new(), runs(&[(first, count - first)])];
        Index::new(&packs, prefixes, Borrowed::default(), blobs).to_bytes(2)
    };
    assert!(Index::parse(&index(1, Vec::new()), &lengths).is_ok());
    let said = refusal(&index(0, Vec::new()), &lengths);
    assert!(said.ends_with("the prefix of a pack is longer than it may be"), "{said}");

    // Blobs that name each chunk again and again.
    let packs = [vec![([1; 16], 1); 1 << 16]];
    let times = (limits::CHUNK_USES >> 16) as usize;
    let uses = |more: usize| {
        let blob = |n: usize, times: usize| BlobEntry {
            digest: Digest::of(&n.to_le_bytes()),
            ..entry(
                (times as u64) << 16,
                Body::Chunks(vec![Run { first: 0, count: 1 << 16 }; times]),
            )
        };
        let blobs = vec![blob(1, times), blob(2, more)];
        Index::new(&packs, vec![Vec::new()], Borrowed::default(), blobs).to_bytes(1)
    };
    assert!(Index::parse(&uses(0), &[1 << 16]).is_ok());
    let said = refusal(&uses(1), &[1 << 16]);
    assert!(said.ends_with("it uses more chunks than any real one does"), "{said}");
}

#[test]
fn prefixes_cannot_use_chunks_without_end() {
    let many = 1 << 20;
    let mut packs = vec![vec![([1; 16], 1); many]];
    packs.resize(258, vec![([2; 16], 1)]);
    let lengths: Vec<u64> = packs.iter().map(|chunks| chunks.len() as u64).collect();
    let index = |uses: usize| {
        let mut prefixes = vec![vec![Run { first: 0, count: many as u32 }]; packs.len()];
        prefixes[0].clear();
        prefixes[uses + 1..].fill(Vec::new());
        Index::new(&packs, prefixes, Borrowed::default(), Vec::new()).to_bytes(packs.len())
    };
    let most = limits::CHUNK_USES as usize / many;
    assert!(Index::parse(&index(most), &lengths).is_ok());
    let refused = Index::parse(&index(most + 1), &lengths).unwrap_err();
    assert!(refused.to_string().contains("more chunks than any real one"), "{refused}");
}

proptest! {
    /// Whatever stands in an index, reading it ends, in bounds, and gives one meaning to one
    /// spelling.
    #[test]
    fn no_index_does_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: prop::sample::Index) {
        let (index, packs) = sample();
        let mut bytes = index.to_bytes(2);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let (Ok(read), true) = (Index::parse(&bytes, &packs), bytes.starts_with(MAGIC)) {
            prop_assert_eq!(read.to_bytes(2), bytes);
        }
    }
}
