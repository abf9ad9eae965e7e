//! What is remembered of a stream, and where.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::codec::atomic::{make_private_folder, write_file};
use crate::codec::checked::read_bounded;
use crate::codec::owned::{Others, file_is_its_owners, folder_is_its_owners};
use crate::model::{Digest, Error, Kind, Result, StreamName, json, limits};

const TYPE_LINE: &str = "sealift stream 1\n";
const RECORD: &str = "record";
const LOCK: &str = "lock";
const IMPORT: &str = "import";

/// For whoever cannot keep state where it is looked for.
const ELSEWHERE: &str = "name another folder with --state, or add --no-state to remember nothing";

/// Which side of the gap is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Sent,
    Received,
}

/// The highest bundle of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The stream, again: a record that was put into another folder is noticed.
    pub(super) stream: StreamName,
    /// Its number.
    pub(super) sequence: u64,
    /// Digest of its manifest; none for what was sent, which is numbered before it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Digest>,
    /// When it says that it was made.
    pub(super) created: u64,
    /// IDs of the trusted keys that signed it: for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) signers: Vec<String>,
}

/// Where a stream is remembered.
#[derive(Clone, Debug)]
pub(super) struct Place {
    state: PathBuf,
    folder: PathBuf,
    stream: StreamName,
}

/// A lock; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    _file: File,
}

impl Place {
    pub(super) fn new(state: &Path, side: Side, stream: &StreamName) -> Self {
        let side = match side {
            Side::Sent => "sent",
            Side::Received => "received",
        };
        let folder = state.join(side).join(stream.as_str());
        Self { state: state.to_owned(), folder, stream: stream.clone() }
    }

    /// Makes the folder where it is not there, and makes sure that something can be written.
    ///
    /// # Errors
    /// [`Kind::Io`] where nothing can; [`Kind::Usage`] where anybody can.
    pub(super) fn prepare(&self) -> Result<()> {
        make_private_folder(&self.folder.join(RECORD)).map_err(|e| e.hint(ELSEWHERE))?;
        for folder in [Some(&*self.state), self.folder.parent()].into_iter().flatten() {
            // Where a folder cannot be synced, it is as safe as its file system makes it.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        folder_is_its_owners(&self.state, Others::Strangers)?;
        self.open(LOCK).map(|_| ())
    }

    fn open(&self, name: &str) -> Result<File> {
        let path = self.folder.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        options.open(&path).map_err(|e| {
            Error::io(format!("cannot write to {}", path.display()), e).hint(ELSEWHERE)
        })
    }

    /// Waits until nobody else replaces the record. A file system that knows no locks has none.
    pub(super) fn lock(&self) -> Result<Held> {
        let file = self.open(LOCK)?;
        let _ = file.lock();
        Ok(Held { _file: file })
    }

    /// Keeps others from importing a bundle of the stream meanwhile.
    ///
    /// # Errors
    /// [`Kind::Io`] where somebody is at it.
    pub(super) fn hold(&self) -> Result<Held> {
        let file = self.open(IMPORT)?;
        if matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
            return Err(Error::new(
                Kind::Io,
                format!("another bundle of stream {} is being imported", self.stream),
            )
            .hint("wait until that is done: two at once could leave the older images in place"));
        }
        Ok(Held { _file: file })
    }

    /// What is remembered; `None` where nothing was.
    ///
    /// # Errors
    /// [`Kind::Stale`] where it is damaged; [`Kind::Usage`] where anybody can change it.
    pub(super) fn read(&self) -> Result<Option<Record>> {
        let path = self.folder.join(RECORD);
        let shown = path.display();
        let file = match File::open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| Error::io(format!("cannot read {shown}"), e))?,
        };
        file_is_its_owners(&path, Others::Strangers)?;
        folder_is_its_owners(&self.state, Others::Strangers)?;
        let damaged = |why: Error| {
            Error::new(
                Kind::Stale,
                format!("what is remembered of stream {} is damaged: {shown}", self.stream),
            )
            .because(why)
            .hint(format!(
                "put the file back from a backup; or move it away, and the next bundle of {} is taken without comparing it with those before",
                self.stream
            ))
        };
        let bytes = read_bounded(file, limits::STREAM_RECORD_BYTES, &shown.to_string())
            .map_err(|e| if e.kind() == Kind::Io { e } else { damaged(e) })?;
        let record = parse(&bytes).map_err(damaged)?;
        if record.stream != self.stream {
            return Err(damaged(Error::malformed(format!("it is about stream {}", record.stream))));
        }
        Ok(Some(record))
    }

    /// Puts another record in place of it. Take the [`lock`](Self::lock) first.
    pub(super) fn replace(&self, record: &Record) -> Result<()> {
        let text = text(record)?;
        write_file(&self.folder.join(RECORD), 0o600, text.as_bytes()).map_err(|e| e.hint(ELSEWHERE))
    }
}

/// The type, the record as JSON, and the digest of both: a bit that turned over is noticed.
fn text(record: &Record) -> Result<String> {
    let json = serde_json::to_string(record)
        .map_err(|e| Error::new(Kind::Io, "a stream cannot be noted").because(e))?;
    let text = format!("{TYPE_LINE}{json}\n");
    let digest = Digest::of(text.as_bytes());
    Ok(format!("{text}{digest}\n"))
}

fn parse(bytes: &[u8]) -> Result<Record> {
    let bad = |why: &str| Error::malformed(why.to_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is no text"))?;
    let body = text.strip_prefix(TYPE_LINE).ok_or_else(|| bad("its first line is another one"))?;
    let (json, digest) = body.split_once('\n').ok_or_else(|| bad("it ends early"))?;
    let signed = text.len() - digest.len();
    if digest != format!("{}\n", Digest::of(&bytes[..signed])) {
        return Err(bad("its last line is not the digest of the others"));
    }
    json::parse_strict(json.as_bytes(), "it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: &str) -> Record {
        Record {
            stream: stream.parse().unwrap(),
            sequence: u64::MAX,
            digest: Some(Digest::of(b"x")),
            created: 1_790_000_000,
            signers: vec!["0".repeat(64)],
        }
    }

    #[test]
    fn a_record_comes_back_and_no_bit_of_it_turns_unnoticed() {
        let folder = tempfile::tempdir().unwrap();
        let stream = "prod".parse().unwrap();
        let place = Place::new(folder.path(), Side::Received, &stream);
        assert_eq!(place.read().unwrap(), None);
        place.prepare().unwrap();
        assert_eq!(place.read().unwrap(), None);
        place.replace(&record("prod")).unwrap();
        assert_eq!(place.read().unwrap(), Some(record("prod")));
        let path = folder.path().join("received/prod/record");
        let good = std::fs::read(&path).unwrap();
        let longest = good.len() + limits::SIGNATURES * 70 + 64;
        assert!(longest as u64 <= limits::STREAM_RECORD_BYTES);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            std::fs::write(&path, bad).unwrap();
            assert_eq!(place.read().unwrap_err().kind(), Kind::Stale, "byte {at}");
        }
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(place.read().unwrap_err().kind(), Kind::Stale, "{length} bytes");
        }
        std::fs::write(&path, text(&record("other")).unwrap()).unwrap();
        assert!(place.read().unwrap_err().chain().contains("about stream other"));
        let huge = vec![b'x'; limits::STREAM_RECORD_BYTES as usize + 1];
        std::fs::write(&path, huge).unwrap();
        assert_eq!(place.read().unwrap_err().kind(), Kind::Stale);
    }

    #[cfg(unix)]
    #[test]
    fn state_that_anybody_can_change_is_none() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let stream = "prod".parse().unwrap();
        let place = Place::new(folder.path(), Side::Sent, &stream);
        place.prepare().unwrap();
        place.replace(&record("prod")).unwrap();
        for mode in [0o777, 0o1777] {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(place.prepare().unwrap_err().kind(), Kind::Usage);
            assert_eq!(place.read().unwrap_err().kind(), Kind::Usage);
        }
    }

    #[test]
    fn only_one_imports_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), Side::Received, &"prod".parse().unwrap());
        place.prepare().unwrap();
        let held = place.hold().unwrap();
        assert_eq!(place.hold().unwrap_err().kind(), Kind::Io);
        drop(held);
        place.hold().unwrap();
    }
}
