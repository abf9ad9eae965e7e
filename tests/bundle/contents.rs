//! Content that shrinks, layers by various encoders, and bundles of them.

use std::io::{Read, Write};
use std::path::Path;

use sealift::bundle::{Authentic, Base, Bundle, Preset, WriterOptions};
use sealift::codec::deflate::go::GoFlate;
use sealift::codec::deflate::{BitWriter, Engine};
use sealift::endpoint::{Form, Origin, Silent, Source};
use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest};
use sealift::operation::export;
use sealift::operation::gather::Wanted;

use crate::Bench;
use crate::memory::{Memory, noise};

/// Names and contents of files.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// A number as letters: what differs in digits alone is taken for versions of one file.
pub(crate) fn letters(mut number: u64) -> String {
    let mut name = String::new();
    loop {
        name.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return name;
        }
    }
}

/// Lines of words, the same for the same seed: no two of them alike for long.
pub(crate) fn text(seed: u64, length: usize) -> Vec<u8> {
    let dice = noise(seed, length);
    let mut text = Vec::with_capacity(length + 16);
    for pair in dice.chunks_exact(2) {
        if text.len() >= length {
            break;
        }
        let word = u32::from(pair[0]) << 4 | u32::from(pair[1] & 15);
        let end = if pair[1] & 0x70 == 0 { '\n' } else { ' ' };
        write!(text, "{:x}{end}", word.wrapping_mul(2_654_435_761) >> 8).unwrap();
    }
    text.truncate(length);
    text
}

/// Records of small numbers: data that is no text.
pub(crate) fn records(seed: u64, length: usize) -> Vec<u8> {
    let dice = noise(seed, length / 4 + 1);
    let numbers = (0u32..).zip(&dice).flat_map(|(n, die)| {
        let value = (n & 0xff) * 3 + u32::from(die & 63);
        value.to_le_bytes()
    });
    numbers.take(length).collect()
}

/// The same with one stretch of it written anew.
pub(crate) fn edited(content: &[u8], edit: u64) -> Vec<u8> {
    let at = content.len() / 3;
    let line = format!("[changed by edit {edit}]");
    [&content[..at], line.as_bytes(), &content[at + 10..]].concat()
}

/// gzip as Go's `compress/gzip` writes it: what docker pushes with.
pub(crate) fn go_gzip(plain: &[u8], level: i8) -> Vec<u8> {
    let mut encoder = GoFlate::new(level).unwrap().begin();
    let mut out = BitWriter::default();
    encoder.write(plain, &mut out);
    encoder.finish(&mut out);
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    let hint = if level == 1 { 4 } else { 0 };
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, hint, 0xff];
    packed.extend(out.finish());
    packed.extend(crc.sum().to_le_bytes());
    packed.extend((plain.len() as u32).to_le_bytes());
    packed
}

/// gzip that no one program writes: the level changes on the way, and the stream is flushed where
/// nothing asks for it.
pub(crate) fn odd_gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    for (n, part) in plain.chunks(plain.len() / 3 + 1).enumerate() {
        let level = flate2::Compression::new([9, 1, 4][n % 3]);
        let mut encoder = flate2::GzBuilder::new().filename("part").write(&mut packed, level);
        for piece in part.chunks(77_777) {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap();
    }
    packed
}

/// A gzip stream that ends in the middle: it cannot be made again, and is carried as it came.
pub(crate) fn cut_gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = go_gzip(plain, 6);
    packed.truncate(packed.len() / 2);
    packed
}

/// A gzip stream whose check sum is wrong.
pub(crate) fn wrong_gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = go_gzip(plain, 6);
    let at = packed.len() - 8;
    packed[at] ^= 1;
    packed
}

/// Keeps a finished gzip layer.
pub(crate) fn gzip_layer(memory: &mut Memory, tar: &[u8], packed: &[u8]) -> (Descriptor, Digest) {
    (memory.put(media::OCI_LAYER_GZIP, packed), Digest::of(tar))
}

/// How a bundle is to be written.
pub(crate) struct Choice {
    pub(crate) threads: usize,
    pub(crate) preset: Preset,
    pub(crate) base: Option<Base>,
    /// Seconds since 1970.
    pub(crate) created: u64,
}

impl Default for Choice {
    fn default() -> Self {
        Self { threads: 2, preset: Preset::Balanced, base: None, created: 1_700_000_000 }
    }
}

impl Bench {
    /// Writes a bundle, and says how long it is.
    pub(crate) fn write(&self, memory: Memory, output: &Path, choice: Choice) -> u64 {
        let request = export::Request {
            origins: vec![Origin::Source(Box::new(memory))],
            wanted: Wanted { platforms: Vec::new(), attachments: true },
            output: output.to_owned(),
            signers: vec![self.key()],
            writer: WriterOptions {
                created: choice.created,
                set: "0".repeat(32),
                threads: choice.threads,
                preset: choice.preset,
                temporary: std::env::temp_dir(),
                volume_size: None,
                imprint: false,
            },
            recipients: None,
            base: choice.base,
            dating: sealift::operation::freshness::Dating::default(),
            resume: false,
            parity: None,
            temporary: self.folder.path(),
        };
        export::export(request, &Silent).unwrap().sealed.bytes
    }

    pub(crate) fn open(&self, path: &Path) -> Bundle<Authentic> {
        Bundle::open(path).unwrap().authenticate(&self.trust).unwrap()
    }
}

/// A blob as a bundle gives it.
pub(crate) fn read(bundle: &Bundle<Authentic>, blob: &Descriptor) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reader = bundle.open(blob, Form::Exact).map_err(sealift::model::Error::into_io);
    reader?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Every blob comes out of the bundle with the bytes that it had.
pub(crate) fn restores(bundle: &Bundle<Authentic>, originals: &Memory) {
    for (digest, bytes) in &originals.blobs {
        let entry = bundle.contents().index.blob(digest).expect("carried");
        let again = read(bundle, &Descriptor::new("", *digest, entry.size)).unwrap();
        assert!(again == bytes[..], "{digest} comes back as something else");
    }
}

/// The packs that are compressed against others, or against a base.
pub(crate) fn packs_with_prefix(bundle: &Bundle<Authentic>) -> Vec<u32> {
    let index = &bundle.contents().index;
    (0..bundle.pack_count()).filter(|&pack| !index.prefix(pack).is_empty()).collect()
}
