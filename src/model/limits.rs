//! Every limit on what comes from outside, in one place, with its reason.
//!
//! A length that is read from a bundle, an archive, a registry or a daemon is compared with one
//! of these before anything is allocated for it.

/// Bytes of an image manifest or index. Registries refuse more (distribution: 4 MiB).
pub const MANIFEST_BYTES: u64 = 4 << 20;

/// Bytes of an image configuration that is read into memory. Real ones are a few KiB; those with
/// embedded SBOM labels reach a few hundred.
pub const CONFIG_BYTES: u64 = 4 << 20;

/// How deep indexes may nest. Real images use one level, some artifact tools two.
pub const GRAPH_DEPTH: usize = 8;

/// Manifests in the graph of one image: 16 platforms with attestations are 33.
pub const GRAPH_NODES: usize = 4096;

/// Descriptors in one manifest. Docker itself stops at 127 layers; indexes of big multi-platform
/// artifacts list hundreds.
pub const DESCRIPTORS: usize = 4096;

/// Attached artifacts (signatures, attestations, SBOMs) of one image.
pub const ATTACHMENTS: usize = 1024;

/// How far attachments of attachments are followed: a signature on an SBOM is two.
pub const ATTACHMENT_DEPTH: usize = 3;

/// Small JSON documents of a streamed archive that are held until its table of contents is known.
pub const HELD_DOCUMENTS_BYTES: u64 = 64 << 20;

/// Entries of one image archive: 1,000 images of 127 layers with three files each fit.
pub const ARCHIVE_ENTRIES: usize = 1 << 20;

/// Bytes of all names that an image archive's table of contents may keep; at 100 bytes a name this
/// is what [`ARCHIVE_ENTRIES`] needs.
pub const ARCHIVE_NAMES_BYTES: usize = 128 << 20;

/// Bytes of a long name or PAX record inside a tar: Go's reader stops there too.
pub const TAR_RECORD_BYTES: u64 = 1 << 20;

/// Bytes of one tar member. Far beyond any layer (64 TiB), and far from where sums overflow.
pub const TAR_MEMBER_BYTES: u64 = 1 << 46;

/// Bytes of the `index.json` of a layout: thousands of images of a few hundred bytes each.
pub const LAYOUT_INDEX_BYTES: u64 = 32 << 20;

/// Images that one layout, archive or daemon may list.
pub const LISTED_IMAGES: usize = 1 << 16;

/// Bytes of a JSON answer of a daemon: a list of some ten thousand images.
pub const DAEMON_ANSWER_BYTES: u64 = 64 << 20;

/// Bytes of one line of the progress that a daemon reports while it loads.
pub const DAEMON_LINE_BYTES: u64 = 1 << 20;

/// Headers of an answer of a daemon, and bytes of each: real ones send ten short ones.
pub const DAEMON_HEADERS: usize = 128;
/// See [`DAEMON_HEADERS`].
pub const DAEMON_HEADER_BYTES: u64 = 16 << 10;

/// Bytes of the manifest of a bundle: at about 200 bytes a pack this is 80,000 packs, or 1.2 TB.
pub const BUNDLE_MANIFEST_BYTES: u64 = 16 << 20;

/// Bytes of the README of a bundle: ours is one screen.
pub const README_BYTES: u64 = 64 << 10;

/// Signatures on one bundle.
pub const SIGNATURES: usize = 16;

/// Bytes of the unpacked index of a bundle. At about 20 bytes a chunk: 25 million chunks, or
/// roughly one terabyte of layers.
pub const INDEX_BYTES: u64 = 512 << 20;

/// Chunks that the blobs of a bundle and the prefixes of its packs use, each as often as it is used. A thousand images that share
/// a terabyte of layers use as many; a hostile index could otherwise name each chunk for each blob.
pub const CHUNK_USES: u64 = 1 << 28;

/// Bytes of all manifests of one image. The largest indexes with all their platforms and
/// attestations stay below one MiB.
pub const GRAPH_BYTES: u64 = 64 << 20;

/// Manifests that are read to list what a bundle holds, in bytes: a thousand images of 100 KiB.
pub const INSPECT_BYTES: u64 = 256 << 20;

/// Bytes that a descriptor may claim. Sums of as many as a graph may hold stay below 2^64.
pub const BLOB_BYTES: u64 = 1 << 42;

/// Content of one pack, unpacked: what one reader must hold.
pub const PACK_CONTENT_BYTES: u64 = 64 << 20;

/// Content that a pack has as prefix: held beside the pack while it is opened.
pub const PREFIX_BYTES: u64 = 64 << 20;

/// Bytes of one chunk.
pub const CHUNK_BYTES: u64 = 1 << 20;

/// Bytes of the recipe of one layer: a mark every 2 MiB takes ten bytes, a member of an indexed
/// format some fifty.
pub const RECIPE_BYTES: u64 = 8 << 20;

/// Bytes of the corrections of one layer, which are held while it is rebuilt.
pub const CORRECTIONS_BYTES: u64 = 64 << 20;

/// Volumes of one set.
pub const VOLUMES: usize = 9999;

/// Files of a folder that are looked at for volumes: each volume of the largest set three times, and
/// whatever else lies there.
pub const FOLDER_FILES: usize = 1 << 15;

/// Volumes that are open at a time: a process may have 1,024 files open, and needs some for itself.
pub const OPEN_VOLUMES: usize = 64;

/// Copies of a last volume that are tried, where they differ.
pub const TAILS: usize = 8;

/// `windowLog` of a zstd frame that we accept from outside (128 MiB): what docker and skopeo
/// accept, and what `zstd --long=27` makes.
pub const ZSTD_WINDOW_LOG: u32 = 27;

/// Ratio by which a gzip layer may grow when opened before we call it a bomb; DEFLATE
/// itself cannot pass 1032.
pub const EXPANSION: u64 = 1100;

/// The same for zstd, which writes a block of 128 KiB in as little as four bytes.
pub const ZSTD_EXPANSION: u64 = 40_000;

/// Bytes of a key file.
pub const KEY_FILE_BYTES: u64 = 64 << 10;

/// Bytes of a trust.toml: a thousand keys with the repositories that each may sign.
pub const TRUST_FILE_BYTES: u64 = 1 << 20;

/// Bytes of an endorsement of a key: it has six short lines.
pub const ENDORSEMENT_BYTES: u64 = 4 << 10;

/// Bytes of what is remembered of a stream: a line a signature, and a few more.
pub const STREAM_RECORD_BYTES: u64 = 16 << 10;

/// Bytes of a file with rules for names: at 100 bytes a rule as many as [`MAPPING_RULES`].
pub const MAPPING_FILE_BYTES: u64 = 4 << 20;

/// Rules for names: one for each of more images than any bundle has held.
pub const MAPPING_RULES: usize = 40_000;

/// Bytes of the header of an encrypted volume: as many recipients as [`AGE_STANZAS`], each with twice
/// what an X25519 key takes.
pub const AGE_HEADER_BYTES: u64 = 64 << 10;

/// Recipients of an encrypted volume. Each identity is tried on each, which takes some 60 µs.
pub const AGE_STANZAS: usize = 256;

/// Steps of scrypt that it may take to try a passphrase, as a power of two: 1 GiB of memory and a few
/// seconds. age itself writes 2^18, rage up to 2^20 on a quick machine.
pub const AGE_WORK: u8 = 20;

/// Files of a folder on which a passphrase is tried in vain: whoever fills a stick with such files
/// costs its reader a few tries, not one for each.
pub const AGE_MISSES: usize = 4;

/// Shards of data that parity may have, and recovery shards: what keeps the table of a set of any
/// size at 1.3 MiB, and both together far from the 65,536 that the code allows.
pub const PARITY_SHARDS: usize = 16_384;

/// Bytes of one shard: a set of [`VOLUMES`] of 4 GiB has shards of 2.5 GiB.
pub const PARITY_SHARD_BYTES: u64 = 4 << 30;

/// Bytes of the name of a file that parity covers: what file systems allow.
pub const PARITY_NAME_BYTES: usize = 255;

/// Bytes of the description of parity: 32,768 marks of 40 bytes, and the longest names of as many
/// volumes as there may be.
pub const PARITY_DESCRIPTION_BYTES: u64 = 4 << 20;

/// Bytes of one line of the log: a hundred files with long names fit.
pub const JOURNAL_LINE_BYTES: u64 = 1 << 20;

/// Bytes of what a receipt says of an import: at 80 bytes a blob, 200,000 blobs.
pub const STATEMENT_BYTES: u64 = 16 << 20;
