//! Tars: the walker over archives, and the splitter of layers.

use std::io::{Cursor, Read, Seek};

use sealift::codec::split::{Parts, Splitter};
use sealift::codec::stretches::Stretches;
use sealift::codec::tarball::Walker;

#[derive(Default)]
struct Sides {
    meta: Vec<u8>,
    content: Vec<u8>,
    open: bool,
}

impl Parts for Sides {
    fn meta(&mut self, bytes: &[u8]) {
        self.meta.extend_from_slice(bytes);
    }
    fn file_begin(&mut self, _: &[u8], size: u64) {
        assert!(!self.open && size > 0);
        self.open = true;
    }
    fn content(&mut self, bytes: &[u8]) {
        assert!(self.open);
        self.content.extend_from_slice(bytes);
    }
    fn file_end(&mut self) {
        assert!(self.open);
        self.open = false;
    }
}

fn join(sides: &Sides, stretches: &Stretches) -> Vec<u8> {
    let (mut meta, mut content) = (&sides.meta[..], &sides.content[..]);
    let mut out = Vec::new();
    for (described, contained) in stretches {
        out.extend_from_slice(super::take(&mut meta, described as usize));
        out.extend_from_slice(super::take(&mut content, contained as usize));
    }
    assert!(meta.is_empty() && content.is_empty());
    out
}

fn walk<R: Read>(mut walker: Walker<R>, length: u64) -> Option<Vec<(String, u64, u64)>> {
    let mut members = Vec::new();
    loop {
        match walker.next_member() {
            Ok(Some(member)) => {
                assert!(member.at <= length);
                members.push((member.path, member.at, member.size));
                let mut half = member.size / 2;
                while half > 0 {
                    match walker.content().read(&mut [0; 700]) {
                        Ok(0) | Err(_) => break,
                        Ok(n) => half = half.saturating_sub(n as u64),
                    }
                }
            }
            Ok(None) => return Some(members),
            Err(_) => return None,
        }
    }
}

fn from_start(data: &[u8]) -> Cursor<&[u8]> {
    let mut cursor = Cursor::new(data);
    cursor.rewind().expect("memory can be rewound");
    cursor
}

/// Any bytes as a tar: both ways to walk it find the same members, and what the splitter takes apart
/// comes together again, in whatever pieces it came.
pub fn tar(data: &[u8]) {
    let length = data.len() as u64;
    let streamed = walk(Walker::over_stream(data), length);
    let sought = walk(Walker::over_file(from_start(data)), length);
    assert_eq!(streamed, sought);
    for step in [data.len().max(1), 511] {
        let (mut sides, mut splitter) = (Sides::default(), Splitter::default());
        for piece in data.chunks(step) {
            splitter.push(piece, &mut sides);
        }
        let stretches = splitter.finish(&mut sides);
        assert!(stretches.iter().all(|(described, contained)| described + contained > 0));
        assert!(join(&sides, &stretches) == data);
    }
}
