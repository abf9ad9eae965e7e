//! Takes a tar apart into what describes files and what is in them.
//!
//! The contents of regular files go to one side, everything else (headers, long names, padding, the
//! end mark, and all that cannot be understood) to the other. The sides are noted as pairs of
//! lengths, so the tar is put together again byte for byte without understanding it: a header that
//! is misread costs sharing, never bytes.
//!
//! Formats: POSIX ustar and pax (IEEE Std 1003.1), GNU long names and base-256 numbers.

use super::stretches::Stretches;

/// Bytes of a tar block.
const BLOCK: usize = 512;

/// Longest pax header that is kept to look for a `size` record. Those with long names and
/// attributes reach a few KiB.
const PAX_KEPT: u64 = 64 << 10;

/// Takes the parts of a tar.
pub trait Parts {
    /// Bytes that describe.
    fn meta(&mut self, bytes: &[u8]);
    /// A regular file of `size` bytes begins; its path as the tar has it, as far as it was
    /// understood.
    fn file_begin(&mut self, path: &[u8], size: u64);
    /// Bytes of the file that is being read.
    fn content(&mut self, bytes: &[u8]);
    /// The file is complete.
    fn file_end(&mut self);
}

#[derive(Debug)]
enum State {
    /// Collecting a header block.
    Header,
    /// In the content of a regular file: bytes left, padding after them.
    Content { left: u64, padding: u64 },
    /// In something that describes: bytes left with their padding.
    Meta { left: u64, about: About },
    /// Not a tar from here on: all of it describes.
    Opaque,
}

/// What a describing stretch tells of the file after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Records of a pax header.
    Pax,
    /// GNU's long name.
    Name,
    Nothing,
}

/// Takes one tar apart, fed piece by piece.
#[derive(Debug)]
pub struct Splitter {
    state: State,
    block: Vec<u8>,
    /// What is being read about the next file.
    told: Vec<u8>,
    /// Size and path that a pax header or a long name gives to the next file.
    next_size: Option<u64>,
    next_path: Option<Vec<u8>>,
    stretches: Stretches,
    meta: u64,
    content: u64,
}

/// Whether these first bytes are a tar header: its checksum fits.
pub fn is_tar(head: &[u8]) -> bool {
    head.get(..BLOCK).is_some_and(checksum_fits)
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            state: State::Header,
            block: Vec::with_capacity(BLOCK),
            told: Vec::new(),
            next_size: None,
            next_path: None,
            stretches: Stretches::default(),
            meta: 0,
            content: 0,
        }
    }
}

impl Splitter {
    /// Takes the next bytes of the tar.
    pub fn push(&mut self, mut bytes: &[u8], parts: &mut dyn Parts) {
        while !bytes.is_empty() {
            let used = match self.state {
                State::Header => {
                    let used = (BLOCK - self.block.len()).min(bytes.len());
                    self.block.extend_from_slice(&bytes[..used]);
                    if self.block.len() == BLOCK {
                        self.header(parts);
                    }
                    used
                }
                State::Content { left, padding } => {
                    let used = bound(left, bytes.len());
                    parts.content(&bytes[..used]);
                    self.content += used as u64;
                    let left = left - used as u64;
                    self.state = State::Content { left, padding };
                    if left == 0 {
                        parts.file_end();
                        self.close_stretch();
                        self.state = State::Meta { left: padding, about: About::Nothing };
                        self.skip_empty_meta();
                    }
                    used
                }
                State::Meta { left, about } => {
                    let used = bound(left, bytes.len());
                    self.describe(&bytes[..used], parts);
                    if about != About::Nothing {
                        self.told.extend_from_slice(&bytes[..used]);
                    }
                    self.state = State::Meta { left: left - used as u64, about };
                    self.skip_empty_meta();
                    used
                }
                State::Opaque => {
                    self.describe(bytes, parts);
                    bytes.len()
                }
            };
            bytes = &bytes[used..];
        }
    }

    /// Ends the tar and returns its stretches. Their sums are the lengths of the two sides.
    pub fn finish(mut self, parts: &mut dyn Parts) -> Stretches {
        let rest = std::mem::take(&mut self.block);
        self.describe(&rest, parts);
        if matches!(self.state, State::Content { .. }) && self.content > 0 {
            parts.file_end();
        }
        self.close_stretch();
        self.stretches.shrink();
        self.stretches
    }

    fn describe(&mut self, bytes: &[u8], parts: &mut dyn Parts) {
        if !bytes.is_empty() {
            parts.meta(bytes);
            self.meta += bytes.len() as u64;
        }
    }

    fn close_stretch(&mut self) {
        if self.meta + self.content > 0 {
            self.stretches.push((self.meta, self.content));
            (self.meta, self.content) = (0, 0);
        }
    }

    fn skip_empty_meta(&mut self) {
        if let State::Meta { left: 0, about } = self.state {
            match about {
                About::Pax => {
                    let size = pax_record(&self.told, b"size");
                    let size = size.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
                    self.next_size = size.or(self.next_size);
                    let path = pax_record(&self.told, b"path").map(<[u8]>::to_vec);
                    self.next_path = path.or(self.next_path.take());
                }
                About::Name => {
                    let name = self.told.split(|&byte| byte == 0).next().unwrap_or_default();
                    self.next_path = Some(name.to_vec());
                }
                About::Nothing => {}
            }
            self.told.clear();
            self.state = State::Header;
        }
    }

    /// Acts on a complete header block.
    fn header(&mut self, parts: &mut dyn Parts) {
        let block = std::mem::take(&mut self.block);
        self.describe(&block, parts);
        let next = self.after(&block, parts);
        self.block = block;
        self.block.clear();
        self.state = next.unwrap_or(State::Opaque);
        self.skip_empty_meta();
    }

    /// What follows a header block; `None` where it is none.
    fn after(&mut self, block: &[u8], parts: &mut dyn Parts) -> Option<State> {
        if block.iter().all(|&byte| byte == 0) {
            return Some(State::Header);
        }
        if !checksum_fits(block) {
            return None;
        }
        let size = number(&block[124..136])?;
        let padding_of = |size: u64| size.wrapping_neg() % BLOCK as u64;
        match block[156] {
            // An old GNU sparse file may have more headers before its content.
            b'S' if block[482] != 0 => None,
            0 | b'0' | b'7' | b'S' => {
                let size = self.next_size.take().unwrap_or(size);
                let path = self.next_path.take();
                if size == 0 {
                    return Some(State::Header);
                }
                parts.file_begin(&path.unwrap_or_else(|| header_path(block)), size);
                Some(State::Content { left: size, padding: padding_of(size) })
            }
            // Links and devices have no content whatever their size field says.
            b'1'..=b'6' => {
                (self.next_size, self.next_path) = (None, None);
                Some(State::Header)
            }
            kind => {
                let left = size.checked_add(padding_of(size))?;
                let about = match kind {
                    _ if size > PAX_KEPT => About::Nothing,
                    b'x' => About::Pax,
                    b'L' => About::Name,
                    _ => About::Nothing,
                };
                Some(State::Meta { left, about })
            }
        }
    }
}

fn bound(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

/// The sum of all bytes with the checksum field taken as spaces; some old tars sum signed bytes,
/// and are read as opaque.
fn checksum_fits(block: &[u8]) -> bool {
    let Some(stored) = octal(&block[148..156]) else { return false };
    let field: u64 = block[148..156].iter().map(|&byte| u64::from(byte)).sum();
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    sum - field + 8 * u64::from(b' ') == stored
}

/// A numeric field: octal digits, or base-256 where the top bit is set.
fn number(field: &[u8]) -> Option<u64> {
    match field {
        [0x80, rest @ ..] => rest
            .iter()
            .try_fold(0u64, |value, &byte| value.checked_mul(256)?.checked_add(u64::from(byte))),
        [0x81..=0xff, ..] => None,
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The path in a header: prefix and name of ustar, or the name alone.
fn header_path(block: &[u8]) -> Vec<u8> {
    let text = |field: &[u8]| field.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    let (name, prefix) = (text(&block[..100]), text(&block[345..500]));
    // GNU tar has other things where ustar has the prefix.
    if &block[257..263] != b"ustar\0" || prefix.is_empty() {
        return name;
    }
    [prefix, name].join(&b'/')
}

/// A record of a pax header, the last with its key: lines of `LENGTH KEY=VALUE\n`.
fn pax_record<'a>(data: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut rest = data;
    let mut found = None;
    while let Some(space) = rest.iter().position(|&byte| byte == b' ') {
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?;
        let value = record.strip_prefix(key).and_then(|record| record.strip_prefix(b"="));
        found = value.and_then(|value| value.strip_suffix(b"\n")).or(found);
        rest = &rest[length..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Sides {
        meta: Vec<u8>,
        content: Vec<u8>,
        paths: Vec<String>,
        files: Vec<Vec<u8>>,
        open: Vec<u8>,
    }

    impl Parts for Sides {
        fn meta(&mut self, bytes: &[u8]) {
            self.meta.extend_from_slice(bytes);
        }
        fn file_begin(&mut self, path: &[u8], _: u64) {
            self.paths.push(String::from_utf8_lossy(path).into_owned());
        }
        fn content(&mut self, bytes: &[u8]) {
            self.content.extend_from_slice(bytes);
            self.open.extend_from_slice(bytes);
        }
        fn file_end(&mut self) {
            self.files.push(std::mem::take(&mut self.open));
        }
    }

    fn split(tar: &[u8], step: usize) -> (Sides, Stretches) {
        let (mut sides, mut splitter) = (Sides::default(), Splitter::default());
        for part in tar.chunks(step.max(1)) {
            splitter.push(part, &mut sides);
        }
        let stretches = splitter.finish(&mut sides);
        (sides, stretches)
    }

    fn join(sides: &Sides, stretches: &Stretches) -> Vec<u8> {
        let (mut meta, mut content) = (&sides.meta[..], &sides.content[..]);
        let mut out = Vec::new();
        for (m, c) in stretches {
            let (head, rest) = meta.split_at(m as usize);
            out.extend_from_slice(head);
            meta = rest;
            let (body, rest) = content.split_at(c as usize);
            out.extend_from_slice(body);
            content = rest;
        }
        assert!(meta.is_empty() && content.is_empty());
        out
    }

    fn sample() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, size) in [("a", 0usize), ("b", 1), ("c", 512), ("d", 100_000)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(size as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, &vec![b'x'; size][..]).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        builder.append_data(&mut header, "long/".repeat(60), &b"abc"[..]).unwrap();
        builder.append_pax_extensions([("size", &b"5"[..]), ("path", b"p")]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path("p").unwrap();
        header.set_size(5);
        header.set_cksum();
        builder.append(&header, &b"12345"[..]).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_are_found_and_the_tar_comes_back() {
        let tar = sample();
        for step in [1, 511, 512, 513, 10_000, tar.len()] {
            let (sides, stretches) = split(&tar, step);
            let lengths: Vec<usize> = sides.files.iter().map(Vec::len).collect();
            assert_eq!(lengths, [1, 512, 100_000, 3, 5]);
            let long = "long/".repeat(60);
            assert_eq!(sides.paths, ["b", "c", "d", &long, "p"]);
            assert_eq!(join(&sides, &stretches), tar);
        }
        assert!(is_tar(&tar) && !is_tar(&tar[1..]) && !is_tar(b"short"));
    }

    #[test]
    fn a_pax_size_wins_over_the_header() {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("size", &b"700"[..])]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
        let mut tar = builder.into_inner().unwrap();
        tar.truncate(tar.len() - 1024);
        tar.extend(vec![b'y'; 1024]);
        let (sides, stretches) = split(&tar, 4096);
        assert_eq!(sides.files.iter().map(Vec::len).collect::<Vec<_>>(), [700]);
        assert_eq!(join(&sides, &stretches), tar);
    }

    proptest! {
        #[test]
        fn damaged_and_random_tars_come_back_too(
            flips in prop::collection::vec((0usize..110_000, any::<u8>()), 0..8),
            cut in 0usize..120_000, step in 1usize..5000,
        ) {
            let mut tar = sample();
            for (at, value) in flips {
                let at = at % tar.len();
                tar[at] = value;
            }
            tar.truncate(cut.min(tar.len()));
            let (sides, stretches) = split(&tar, step);
            prop_assert_eq!(join(&sides, &stretches), tar);
        }
    }

    /// A header whose checksum fits, with these bytes in it.
    fn header(changes: &[(usize, &[u8])]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_path("f").unwrap();
        header.set_size(3);
        for (at, bytes) in changes {
            header.as_mut_bytes()[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn odd_headers_cost_sharing_and_never_bytes() {
        // Sizes in base 256: three bytes, more than 64 bits, a negative one.
        let wide = |last: u8, first: u8| {
            let mut field = [0; 12];
            (field[0], field[1], field[11]) = (0x80, first, last);
            field
        };
        let prefixed: &[(usize, &[u8])] = &[(345, b"usr/lib")];
        let gnu: &[(usize, &[u8])] = &[(257, b"ustar  \0"), (345, b"1234")];
        for (changes, found) in [
            (&[(124, &wide(3, 0)[..])][..], Some("f")),
            (&[(124, &wide(3, 1)[..])], None),
            (&[(124, &[0xff; 12][..])], None),
            (&[(124, &b"abc"[..])], None),
            (prefixed, Some("usr/lib/f")),
            (gnu, Some("f")),
            (&[(156, &b"S"[..])], Some("f")),
            // More headers of a sparse file follow before its content.
            (&[(156, &b"S"[..]), (482, &[1][..])], None),
            (&[(156, &b"1"[..])], None),
        ] {
            let mut tar = header(changes);
            tar.extend(b"abc");
            tar.resize(1024, 0);
            let (sides, stretches) = split(&tar, 100);
            assert_eq!(sides.paths, found.into_iter().collect::<Vec<_>>(), "{changes:?}");
            assert_eq!(sides.files.len(), usize::from(found.is_some()), "{changes:?}");
            assert_eq!(join(&sides, &stretches), tar);
        }
    }

    #[test]
    fn records_that_are_too_long_or_unknown_tell_nothing() {
        for (kind, size) in [(b'x', PAX_KEPT + 1), (b'L', PAX_KEPT + 1), (b'g', 20), (b'D', 20)] {
            let field = format!("{size:011o}");
            let mut tar = header(&[(156, &[kind][..]), (124, field.as_bytes())]);
            tar.extend(b"11 path=pp\n".repeat(size as usize / 11 + 1));
            tar.truncate(512 + size as usize);
            tar.resize(tar.len().next_multiple_of(512), 0);
            tar.extend(header(&[]));
            tar.extend(b"abc");
            let (sides, stretches) = split(&tar, 4096);
            assert_eq!(sides.paths, ["f"], "{kind}");
            assert_eq!(join(&sides, &stretches), tar);
        }
    }
}
