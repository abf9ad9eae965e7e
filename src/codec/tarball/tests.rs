use super::*;
use crate::model::Kind;
use std::io::Cursor;

fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.bytes("a", b"first").unwrap();
    writer.bytes("empty", b"").unwrap();
    writer.bytes(&format!("blobs/sha512/{}", "f".repeat(128)), &[7; 1024]).unwrap();
    writer.bytes("z", &[1; 513]).unwrap();
    writer.finish().unwrap()
}

fn walk(bytes: &[u8], stream: bool) -> Result<Vec<(String, u64)>> {
    fn all<R: Read>(mut walker: Walker<R>) -> Result<Vec<(String, u64)>> {
        let mut names = Vec::new();
        while let Some(member) = walker.next_member()? {
            names.push((member.path, member.size));
        }
        Ok(names)
    }
    if stream {
        all(Walker::over_stream(bytes))
    } else {
        all(Walker::over_file(Cursor::new(bytes)))
    }
}

#[test]
fn what_is_written_is_walked_and_tar_agrees() {
    let bytes = sample();
    let names = walk(&bytes, true).unwrap();
    assert_eq!(names.len(), 4);
    assert_eq!(names[2].0.len(), 141);
    assert_eq!(names, walk(&bytes, false).unwrap());
    let mut theirs = tar::Archive::new(&bytes[..]);
    let found: Vec<(String, u64)> = theirs
        .entries()
        .unwrap()
        .map(|e| {
            let e = e.unwrap();
            (e.path().unwrap().display().to_string(), e.size())
        })
        .collect();
    assert_eq!(names, found);
}

#[test]
fn content_is_where_the_walker_says() {
    let bytes = sample();
    let mut walker = Walker::over_file(Cursor::new(&bytes));
    let first = walker.next_member().unwrap().unwrap();
    assert_eq!(&bytes[first.at as usize..][..5], b"first");
    let mut content = Vec::new();
    walker.content().read_to_end(&mut content).unwrap();
    assert_eq!(content, b"first");
    assert_eq!(walker.next_member().unwrap().unwrap().path, "empty");
}

#[test]
fn every_cut_is_seen() {
    let bytes = sample();
    let end = bytes.len() - 1024;
    for cut in (0..end).step_by(97) {
        for stream in [true, false] {
            match walk(&bytes[..cut], stream) {
                Err(e) => assert_eq!(e.kind(), Kind::Damaged, "cut at {cut}"),
                // Between two members a cut shows only in the missing end mark.
                Ok(_) => assert_eq!(cut % 512, 0, "cut at {cut}"),
            }
        }
    }
    let mut walker = Walker::over_stream(&bytes[..512 + 512]);
    while walker.next_member().unwrap().is_some() {}
    assert!(!walker.end_was_marked());
}

#[test]
fn a_flipped_header_is_damage() {
    let mut bytes = sample();
    bytes[3] ^= 1;
    assert_eq!(walk(&bytes, true).unwrap_err().kind(), Kind::Damaged);
}

fn raw(kind: EntryType, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = header(kind, size);
    set_name(&mut header, b"x");
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn pax_names_and_sizes_count() {
    let record = b"20 path=some/long/n\n12 size=600\n";
    let mut bytes = raw(EntryType::XHeader, record.len() as u64, record);
    bytes.extend(raw(EntryType::Regular, 0, &[5; 600]));
    bytes.extend(raw(EntryType::Regular, 0, b""));
    assert_eq!(walk(&bytes, true).unwrap(), [("some/long/n".to_owned(), 600), ("x".to_owned(), 0)]);
}

#[test]
fn hostile_headers_are_refused_without_allocation() {
    let cases: [(Vec<u8>, Kind); 7] = [
        (raw(EntryType::GNULongName, 1 << 40, b""), Kind::Malformed),
        (raw(EntryType::XHeader, u64::MAX, b""), Kind::Malformed),
        (raw(EntryType::Regular, u64::MAX - 3, b""), Kind::Malformed),
        (raw(EntryType::GNUSparse, 5, b"12345"), Kind::Malformed),
        (raw(EntryType::XHeader, 6, b"999 a="), Kind::Malformed),
        (raw(EntryType::XHeader, 22, b"22 GNU.sparse.major=1\n"), Kind::Malformed),
        (raw(EntryType::XGlobalHeader, 10, b"10 path=a\n"), Kind::Malformed),
    ];
    for (bytes, kind) in cases {
        for stream in [true, false] {
            assert_eq!(walk(&bytes, stream).unwrap_err().kind(), kind);
        }
    }
}

#[test]
fn links_and_directories_hold_nothing_whatever_they_claim() {
    let mut link = header(EntryType::Symlink, 4096);
    link.as_old_mut().linkname[..4].copy_from_slice(b"../y");
    set_name(&mut link, b"l");
    let mut bytes = link.as_bytes().to_vec();
    bytes.extend(raw(EntryType::Regular, 1, b"1"));
    let mut walker = Walker::over_stream(&bytes[..]);
    let first = walker.next_member().unwrap().unwrap();
    assert_eq!((first.kind, first.size), (MemberKind::Symlink("../y".to_owned()), 0));
    assert_eq!(walker.next_member().unwrap().unwrap().size, 1);
}

#[test]
fn a_content_of_another_length_is_refused() {
    let mut writer = Writer::new(Vec::new());
    assert!(writer.file("a", 3, &mut &b"four"[..]).is_err());
    let mut writer = Writer::new(Vec::new());
    assert!(writer.file("a", 5, &mut &b"four"[..]).is_err());
}

#[test]
fn links_that_are_too_long_for_a_header_are_read() {
    let target = "long/".repeat(30);
    let mut bytes = raw(EntryType::GNULongLink, target.len() as u64, target.as_bytes());
    let record = b"17 comment=hello\n";
    bytes.extend(raw(EntryType::XGlobalHeader, record.len() as u64, record));
    bytes.extend(raw(EntryType::Link, 700, b""));
    bytes.extend(raw(EntryType::Directory, 0, b""));
    let mut walker = Walker::over_stream(&bytes[..]);
    let first = walker.next_member().unwrap().unwrap();
    assert_eq!((first.kind, first.size), (MemberKind::HardLink(target), 0));
    assert_eq!(walker.next_member().unwrap().unwrap().kind, MemberKind::Other);
}

/// Gives what it has, and then fails.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("pulled out")),
            n => Ok(n),
        }
    }
}

#[test]
fn a_medium_that_fails_is_no_tar_that_ends() {
    let bytes = sample();
    for cut in [0, 3, 512, 514, 1600] {
        let mut walker = Walker::over_stream(Failing(&bytes[..cut]));
        let error = loop {
            match walker.next_member() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the end was reached"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), Kind::Io, "cut at {cut}");
        assert!(error.chain().ends_with("pulled out"), "{error:?}");
    }
    let error = Writer::new(Vec::new()).file("a", 5, &mut Failing(b"abc")).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Io, "cannot read a"));
}
