//! A journal: a file of JSON lines that only grows, each line holding the digest of the one before.
//!
//! ```text
//! {…,"before":"sha256:…","sha256":"…"}
//! ```
//!
//! `before` is the SHA-256 of the line before, its line end included; of nothing for the first.
//! `sha256` is that of everything in the line before `,"sha256"`. So a line that was changed, taken
//! out, put in or moved shows; only lines taken off the end do not, and whoever has noted the digest of
//! the last one finds those out too.
//!
//! A power cut can leave a line without its end. The next line then begins on a new one and holds the
//! digest of what was left as `torn`: it is told, and breaks nothing.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::atomic::{make_private_folder, sync_directory};
use crate::model::{Digest, Error, Kind, Result, json, limits};

const SEAL: &str = ",\"sha256\":\"";

/// A journal that can be written to.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// What a line of a journal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It is as it was written: its text without the line end, and its digest with it.
    Whole(String, Digest),
    /// Somebody was stopped while writing it.
    Torn,
    /// It is not what was written; what is wrong.
    Broken(String),
}

impl Journal {
    /// Opens a journal, which is made where it is not there, for its owner alone.
    ///
    /// # Errors
    /// [`Kind::Io`]: it cannot be written; [`Kind::Damaged`]: its last line is none of a journal's.
    pub fn open(path: &Path) -> Result<Self> {
        make_private_folder(path)?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
        }
        let file = options
            .open(path)
            .map_err(|e| Error::io(format!("cannot write {}", path.display()), e))?;
        sync_directory(path)?;
        let journal = Self { file, path: path.to_owned() };
        journal.end()?;
        Ok(journal)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one JSON object, written on one line, and syncs. Gives the digest of its line.
    ///
    /// # Errors
    /// [`Kind::Io`]; [`Kind::Malformed`] for an object that is over the limit.
    pub fn append(&mut self, object: &str) -> Result<Digest> {
        let what = format!("cannot write {}", self.path.display());
        let failed = |e| Error::io(&what, e);
        // Nobody else finds the same end. A file system that knows no locks has none.
        match self.file.lock() {
            Err(e) if e.kind() != std::io::ErrorKind::Unsupported => return Err(failed(e)),
            _ => {}
        }
        let end = self.end()?;
        let line = sealed(object, &end)?;
        let text = if end.open { format!("\n{line}") } else { line.clone() };
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        let _ = self.file.unlock();
        written.map_err(failed)?;
        Ok(Digest::of(line.as_bytes()))
    }

    /// Reads how the file ends.
    fn end(&self) -> Result<End> {
        let failed = |e| Error::io(format!("cannot read {}", self.path.display()), e);
        let mut file = &self.file;
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let most = length.min(2 * limits::JOURNAL_LINE_BYTES);
        file.seek(SeekFrom::Start(length - most)).map_err(failed)?;
        let mut bytes = Vec::with_capacity(most as usize);
        file.take(most).read_to_end(&mut bytes).map_err(failed)?;
        End::of(&bytes, length == most).ok_or_else(|| {
            Error::damaged(format!("the last line of {} is none of a log", self.path.display()))
                .hint("move the file away: a new one is begun")
        })
    }
}

/// How a journal ends.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// Digest of the last line that has an end, or lacks nothing else.
    before: Digest,
    /// Whether the line end is missing.
    open: bool,
    /// Digest of what has no end.
    torn: Option<Digest>,
}

impl End {
    /// By the last bytes of the file, or all of them; `None` where a line is too long.
    fn of(bytes: &[u8], all: bool) -> Option<Self> {
        let body = bytes.strip_suffix(b"\n");
        let begin_of = |text: &[u8]| match text.iter().rposition(|&byte| byte == b'\n') {
            Some(at) => Some(at + 1),
            None => all.then_some(0),
        };
        if bytes.is_empty() || body.is_some() {
            let begin = begin_of(body.unwrap_or_default())?;
            return Some(Self { before: Digest::of(&bytes[begin..]), open: false, torn: None });
        }
        let begin = begin_of(bytes)?;
        let (rest, tail) = bytes.split_at(begin);
        if std::str::from_utf8(tail).is_ok_and(|line| parse(line).is_some()) {
            let ended = [tail, b"\n"].concat();
            return Some(Self { before: Digest::of(&ended), open: true, torn: None });
        }
        let last = begin_of(rest.strip_suffix(b"\n").unwrap_or_default())?;
        let before = Digest::of(&rest[last..]);
        Some(Self { before, open: true, torn: Some(Digest::of(tail)) })
    }
}

/// An object as a line of the chain.
fn sealed(object: &str, end: &End) -> Result<String> {
    let open = object.strip_suffix('}').filter(|text| text.len() > 1 && !text.contains('\n'));
    let open = open.ok_or_else(|| Error::malformed("what is logged is no object on one line"))?;
    let mut line = format!("{open},\"before\":\"{}\"", end.before);
    if let Some(torn) = &end.torn {
        let _ = write!(line, ",\"torn\":\"{torn}\"");
    }
    let seal = Digest::of(line.as_bytes()).hex();
    let _ = writeln!(line, "{SEAL}{seal}\"}}");
    if line.len() as u64 > limits::JOURNAL_LINE_BYTES {
        return Err(Error::malformed("what is logged is more than a line of the log may hold"));
    }
    Ok(line)
}

/// The links of a line.
struct Links {
    before: Digest,
    torn: Option<Digest>,
}

/// Reads the links of a line without its end; `None` where it is not as it was written.
fn parse(line: &str) -> Option<Links> {
    let (body, rest) = line.rsplit_once(SEAL)?;
    if rest.strip_suffix("\"}")? != Digest::of(body.as_bytes()).hex() {
        return None;
    }
    let parsed: serde_json::Value =
        json::parse_strict(line.as_bytes(), "a line of the log").ok()?;
    let link = |name: &str| parsed.get(name)?.as_str()?.parse::<Digest>().ok();
    Some(Links { before: link("before")?, torn: link("torn") })
}

/// Follows the chain, line by line.
struct Chain {
    before: Digest,
    /// A line that is not as it was written: its bytes' digest, and what `before` was.
    suspect: Option<(Digest, Digest)>,
}

impl Chain {
    fn new() -> Self {
        Self { before: Digest::of(b""), suspect: None }
    }

    /// Takes a line with its end, if it has one. Gives what it is, and what the line before it turns
    /// out to be where that had to wait.
    fn next(&mut self, bytes: &[u8]) -> (Option<Line>, Option<Line>) {
        let ended = [bytes.strip_suffix(b"\n").unwrap_or(bytes), b"\n"].concat();
        let text = &ended[..ended.len() - 1];
        let digest = Digest::of(&ended);
        let line = std::str::from_utf8(text).ok();
        let links = line.and_then(parse);
        let suspect = self.suspect.take();
        let Some((line, links)) = line.zip(links) else {
            let waiting = suspect.map(|_| Line::Broken(CHANGED.to_owned()));
            if bytes.ends_with(b"\n") {
                self.suspect = Some((Digest::of(text), self.before));
                self.before = digest;
                return (waiting, None);
            }
            return (waiting, Some(Line::Torn));
        };
        let whole = Line::Whole(line.to_owned(), digest);
        let waiting = suspect.map(|(torn, before)| {
            if links.torn == Some(torn) && links.before == before {
                self.before = before;
                Line::Torn
            } else {
                Line::Broken(CHANGED.to_owned())
            }
        });
        let adopted = matches!(waiting, Some(Line::Torn));
        let fits = links.before == self.before && links.torn.is_some() == adopted;
        self.before = digest;
        let broken = || Line::Broken("the line before it is not the one that was there".to_owned());
        (waiting, Some(if fits { whole } else { broken() }))
    }
}

const CHANGED: &str = "it was changed after it was written";

/// Reads a journal and gives every line, counted from 1, in order. One that is not there has none.
///
/// # Errors
/// [`Kind::Io`] where it cannot be read; what `each` fails with.
pub fn read(path: &Path, each: &mut dyn FnMut(u64, Line) -> Result<()>) -> Result<()> {
    let failed = |e| Error::io(format!("cannot read {}", path.display()), e);
    let file = match File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(failed)?,
    };
    if !file.metadata().map_err(failed)?.is_file() {
        let error = Error::new(Kind::Io, format!("cannot read {}", path.display()));
        return Err(error.because("it is not a plain file"));
    }
    // Nobody is in the middle of a line. A file system that knows no locks has none.
    let _ = file.lock_shared();
    check(&mut BufReader::new(file), &failed, each)
}

fn check(
    from: &mut dyn BufRead,
    failed: &dyn Fn(std::io::Error) -> Error,
    each: &mut dyn FnMut(u64, Line) -> Result<()>,
) -> Result<()> {
    let mut chain = Chain::new();
    let mut number = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let most = limits::JOURNAL_LINE_BYTES;
        from.take(most).read_until(b'\n', &mut bytes).map_err(failed)?;
        if bytes.is_empty() {
            break;
        }
        if bytes.len() as u64 == most && !bytes.ends_with(b"\n") {
            skip_line(from).map_err(failed)?;
            bytes.push(b'\n');
        }
        number += 1;
        let (waiting, line) = chain.next(&bytes);
        if let Some(waiting) = waiting {
            each(number - 1, waiting)?;
        }
        if let Some(line) = line {
            each(number, line)?;
        }
    }
    if chain.suspect.is_some() {
        each(number, Line::Broken(CHANGED.to_owned()))?;
    }
    Ok(())
}

/// Passes over the rest of a line that is longer than any.
fn skip_line(from: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let bytes = from.fill_buf()?;
        let (used, ended) = match bytes.iter().position(|&byte| byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (bytes.len(), bytes.is_empty()),
        };
        from.consume(used);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A journal with these objects, as its file has it.
    fn written(objects: &[&str]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/log.jsonl");
        for object in objects {
            Journal::open(&path).unwrap().append(object).unwrap();
        }
        std::fs::read(&path).unwrap_or_default()
    }

    fn lines(mut bytes: &[u8]) -> Vec<(u64, Line)> {
        let mut found = Vec::new();
        let failed = |e: std::io::Error| Error::io("reading", e);
        check(&mut bytes, &failed, &mut |number, line| {
            found.push((number, line));
            Ok(())
        })
        .unwrap();
        found
    }

    /// Appends to a file that has these bytes.
    fn appended(bytes: &[u8], object: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        std::fs::write(&path, bytes).unwrap();
        Journal::open(&path).unwrap().append(object).unwrap();
        std::fs::read(&path).unwrap()
    }

    fn texts(bytes: &[u8]) -> Option<Vec<String>> {
        let whole = |(_, line)| match line {
            Line::Whole(text, _) => Some(text),
            _ => None,
        };
        lines(bytes).into_iter().map(whole).collect()
    }

    const THREE: [&str; 3] = [r#"{"a":1}"#, r#"{"b":"x\u202e"}"#, r#"{"c":[]}"#];

    #[test]
    fn lines_are_chained_as_sha256sum_sees_them() {
        let bytes = written(&THREE);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        assert_eq!(all.len(), 3);
        assert!(all[0].starts_with(r#"{"a":1,"before":"sha256:e3b0c44298fc1c149afbf4c8996fb924"#));
        for pair in all.windows(2) {
            let digest = Digest::of(pair[0].as_bytes()).to_string();
            assert!(pair[1].contains(&format!("\"before\":\"{digest}\"")), "{text}");
        }
        assert_eq!(texts(&bytes).unwrap().len(), 3);
        let Line::Whole(_, last) = lines(&bytes).pop().unwrap().1 else { panic!("whole") };
        assert_eq!(last, Digest::of(all[2].as_bytes()));
    }

    #[test]
    fn its_owner_alone_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/log.jsonl");
        Journal::open(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(Journal::open(&link).unwrap_err().kind(), Kind::Io);
    }

    #[test]
    fn a_line_that_a_power_cut_has_torn_is_told_and_breaks_nothing() {
        let bytes = written(&THREE);
        let second = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for cut in second + 1..bytes.len() - 1 {
            let torn = &bytes[..cut];
            if bytes[cut - 1] == b'\n' {
                continue;
            }
            let whole = texts(torn).is_some();
            assert_eq!(whole, bytes[cut] == b'\n', "{cut}");
            let kinds = lines(&appended(torn, r#"{"d":4}"#));
            assert!(matches!(kinds.last(), Some((_, Line::Whole(..)))), "{cut}: {kinds:?}");
            let count = kinds.iter().filter(|(_, line)| *line == Line::Torn).count();
            assert_eq!(count, usize::from(!whole), "{cut}: {kinds:?}");
            let broken = kinds.iter().any(|(_, line)| matches!(line, Line::Broken(_)));
            assert!(!broken, "{cut}: {kinds:?}");
        }
        let zeros = [&bytes[..], &[0; 700]].concat();
        let kinds = lines(&appended(&zeros, r#"{"d":4}"#));
        assert_eq!((kinds.len(), &kinds[3].1), (5, &Line::Torn));
    }

    #[test]
    fn what_follows_a_changed_line_does_not_make_it_good() {
        let mut bytes = written(&THREE);
        let at = bytes.len() - 90;
        bytes[at] ^= 1;
        let kinds = lines(&appended(&bytes, r#"{"d":4}"#));
        assert!(matches!(kinds[2], (3, Line::Broken(_))), "{kinds:?}");
        assert!(matches!(kinds[3], (4, Line::Whole(..))), "{kinds:?}");
    }

    #[test]
    fn a_line_longer_than_any_is_broken_and_stops_nobody() {
        let mut bytes = written(&THREE);
        bytes.extend(vec![b'x'; 3 << 20]);
        bytes.push(b'\n');
        let kinds = lines(&bytes);
        assert!(matches!(kinds[3], (4, Line::Broken(_))), "{}", kinds.len());
        assert!(
            sealed(&format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20)), &End::of(b"", true).unwrap())
                .is_err()
        );
        assert_eq!(End::of(&bytes[bytes.len() - (2 << 20)..], false), None);
    }

    proptest! {
        /// Whatever is done to a journal: if nothing shows, it is a beginning of what was written.
        #[test]
        fn any_edit_is_found(at in 0usize..2000, cut in 0usize..400, put in prop::collection::vec(any::<u8>(), 0..40)) {
            let bytes = written(&THREE);
            let at = at % bytes.len();
            let end = (at + cut).min(bytes.len());
            let edited = [&bytes[..at], &put, &bytes[end..]].concat();
            let before = texts(&bytes).unwrap();
            if let Some(after) = texts(&edited) {
                prop_assert!(before.starts_with(&after), "{:?}", String::from_utf8_lossy(&edited));
            }
        }

        /// The same for lines that are taken out, doubled or moved.
        #[test]
        fn lines_keep_their_order(order in prop::collection::vec(0usize..3, 0..6)) {
            let bytes = written(&THREE);
            let all: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
            let edited = order.iter().map(|&line| all[line]).collect::<Vec<_>>().concat();
            let is_beginning = order.iter().enumerate().all(|(at, &line)| at == line);
            prop_assert_eq!(texts(&edited).is_some(), is_beginning);
        }
    }
}
