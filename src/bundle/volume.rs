//! Volumes: plain POSIX tars whose every byte is accounted for.
//!
//! Each member has one canonical header, made from its name, its size and the time of the bundle
//! alone. A reader that knows what must be there makes the header itself and compares, so that
//! nothing can hide in a field that nobody looks at.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::backing::Backing;
use super::naming::not_there;
use crate::codec::encryption::{self, Identities};
use crate::model::{Error, Kind, Result};

/// Bytes of a tar block.
pub(super) const BLOCK: u64 = 512;
/// What ends a tar: two blocks of zeros.
pub(super) const END_BYTES: u64 = 2 * BLOCK;

/// Name of the first member.
pub(super) const README: &str = "README.txt";
/// Name of the member that says which volume of which set this is.
pub(super) const VOLUME: &str = "volume";
/// Name of the manifest member.
pub(super) const MANIFEST: &str = "manifest";
/// Name of the last member.
pub(super) const TAIL: &str = "tail";

/// The text of the first member: enough for an auditor without sealift.
pub(super) const README_TEXT: &str = "\
This is a sealift bundle: container images, carried over an air gap.

It is a plain tar. To check it with common tools alone:

  tar xf BUNDLE                                    unpack into the current folder
  openssl pkeyutl -verify -rawin -pubin -inkey SENDER.pub \\
      -in manifest -sigfile signatures/KEY.sig     prove who sealed the manifest
  sha256sum packs/* index/*                        each file is named by its digest
  tail -n +2 manifest                              lists every one of those digests

Get SENDER.pub from the sender by another way than this medium. The files below
packs/ and index/ are zstd frames; some packs were compressed against earlier
content and need it to be opened (zstd --patch-from). `sealift verify` does all
of this and rebuilds and checks every image.
";

/// What eleven octal digits hold: no size and no time in a header is larger.
const OCTAL_LIMIT: u64 = 1 << 33;

/// Bytes of a member with header and padding.
pub(super) const fn member_bytes(size: u64) -> u64 {
    size.saturating_add(padding(size)).saturating_add(BLOCK)
}

/// Zeros after `size` bytes of content.
pub(super) const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

/// The canonical header of a member: ustar, mode 0644, no owner, the time of the bundle.
pub(super) fn header(name: &str, size: u64, time: u64) -> [u8; BLOCK as usize] {
    let mut header = tar::Header::new_ustar();
    // A name that does not fit leaves an empty one, which no reader takes for a member.
    let _ = header.set_path(name);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    *header.as_bytes()
}

/// Name and size of the member whose header this is; `None` where it is no header of ours.
pub(super) fn parse_header(block: &[u8; BLOCK as usize]) -> Option<(String, u64, u64)> {
    let parsed = tar::Header::from_byte_slice(block);
    let name = std::str::from_utf8(&parsed.path_bytes()).ok()?.to_owned();
    let (size, time) = (parsed.size().ok()?, parsed.mtime().ok()?);
    let octal = size < OCTAL_LIMIT && time < OCTAL_LIMIT;
    (octal && !name.is_empty() && name.len() <= 100 && header(&name, size, time) == *block)
        .then_some((name, size, time))
}

/// The content of the member that begins a volume.
pub(super) fn volume_text(set: &str, number: u64) -> String {
    format!("sealift volume 1\nset {set}\nnumber {number}\n")
}

/// The content of the last member: where the manifest's header begins.
pub(super) fn tail_text(manifest_at: u64) -> String {
    format!("sealift tail 1\nmanifest {manifest_at:020}\n")
}

/// Length of [`tail_text`].
pub(super) const TAIL_TEXT_BYTES: u64 = 15 + 9 + 20 + 1;

/// Where the manifest is said to begin, by the last bytes of a volume.
pub(super) fn parse_tail(end: &[u8]) -> Option<u64> {
    let length = (2 * BLOCK + END_BYTES) as usize;
    let end = end.get(end.len().checked_sub(length)?..)?;
    let block: &[u8; BLOCK as usize] = end.get(..BLOCK as usize)?.try_into().ok()?;
    let (name, size, _) = parse_header(block)?;
    if name != TAIL
        || size != TAIL_TEXT_BYTES
        || end[2 * BLOCK as usize..].iter().any(|&byte| byte != 0)
    {
        return None;
    }
    let text = std::str::from_utf8(&end[BLOCK as usize..(BLOCK + size) as usize]).ok()?;
    let at = text.strip_prefix("sealift tail 1\nmanifest ")?.strip_suffix('\n')?.parse().ok()?;
    (tail_text(at) == text).then_some(at)
}

/// A volume that is read.
#[derive(Debug)]
pub(super) struct Volume {
    backing: Backing,
    path: PathBuf,
    length: u64,
    identity: (u64, u64),
}

impl Volume {
    /// Opens a volume for reading that is not encrypted.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Identities::default())
    }

    /// As [`open`](Self::open); `None` for a file that is encrypted.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub(super) fn open_plain(path: &Path) -> Result<Option<Self>> {
        let (file, meta) = open_file(path)?;
        let encrypted = encryption::is_encrypted(&file, &path.display().to_string())?;
        (!encrypted).then(|| Self::of(file, &meta, &Identities::default(), path)).transpose()
    }

    /// Opens a volume for reading, with `identities` where it is encrypted.
    ///
    /// # Errors
    /// [`Kind::Io`], with a hint where it is a folder or not there; where it is encrypted, as
    /// [`Reader::open`](crate::codec::encryption::Reader::open).
    pub(super) fn open_with(path: &Path, identities: &Identities) -> Result<Self> {
        let (file, meta) = open_file(path)?;
        Self::of(file, &meta, identities, path)
    }

    fn of(file: File, meta: &Metadata, identities: &Identities, path: &Path) -> Result<Self> {
        let identity = (meta.dev(), meta.ino());
        let backing = Backing::of(file, meta.len(), identities, path)?;
        Ok(Self { length: backing.length(), backing, path: path.to_owned(), identity })
    }

    /// The same volume in another file, which is a copy of this one; errors name the original.
    ///
    /// # Errors
    /// [`Kind::Io`] where the system gives no second handle.
    pub(super) fn copied_to(&self, file: File) -> Result<Self> {
        let (path, length, identity) = (self.path.clone(), self.length, self.identity);
        let backing = self.backing.copied_to(file);
        let backing =
            backing.map_err(|e| Error::io(format!("cannot read {}", path.display()), e))?;
        Ok(Self { backing, path, length, identity })
    }

    /// Length of the file in bytes.
    pub(super) fn file_length(&self) -> u64 {
        self.backing.file_length()
    }

    /// Reads `length` bytes of the file at `offset`, encrypted or not: for a copy.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn read_file(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        self.backing.read_file(&mut bytes, offset, &self.path)?;
        Ok(bytes)
    }

    /// Whether the file is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.backing.is_encrypted()
    }

    /// What tells the file from every other: two names of one file have the same.
    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads `length` bytes at `offset`. The caller has compared `length` with a limit.
    ///
    /// # Errors
    /// [`Kind::Damaged`] past the end of the file, [`Kind::Io`] where the medium fails.
    pub(super) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>> {
        let end = offset.checked_add(length).filter(|&end| end <= self.length);
        if end.is_none() {
            return Err(Error::damaged(format!(
                "{} ends at byte {}, before the {length} bytes that should be at {offset}",
                self.path.display(),
                self.length
            )));
        }
        let mut bytes = vec![0; length as usize];
        self.backing.read(&mut bytes, offset, &self.path)?;
        Ok(bytes)
    }

    /// The header block at `offset`.
    pub(super) fn block(&self, offset: u64) -> Result<[u8; BLOCK as usize]> {
        let bytes = self.read(offset, BLOCK)?;
        bytes.try_into().map_err(|_| Error::damaged("a tar block has another length"))
    }
}

/// Opens a plain file, which a volume must be. Never waits for the other end of a pipe.
fn open_file(path: &Path) -> Result<(File, Metadata)> {
    let what = || format!("cannot open the bundle {}", path.display());
    let without_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(without_waiting).open(path);
    let file = opened.map_err(|e| not_there(path, e))?;
    let meta = file.metadata().map_err(|e| Error::io(what(), e))?;
    if meta.is_dir() {
        return Err(Error::new(Kind::Io, what())
            .because("it is a folder")
            .hint("name the file itself"));
    }
    // A block device has no length in its metadata; a bundle written straight to one does not
    // end where the device ends, so it is refused like any other thing that is no file.
    if !meta.is_file() {
        return Err(Error::new(Kind::Io, what())
            .because("it is not a plain file")
            .hint("a bundle is read at random: copy a pipe or device to a file first"));
    }
    Ok((file, meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_canonical_and_read_back() {
        let block = header("packs/x.zst", 12_345, 1_700_000_000);
        assert_eq!(parse_header(&block), Some(("packs/x.zst".into(), 12_345, 1_700_000_000)));
        for at in 0..block.len() {
            let mut other = block;
            other[at] ^= 1;
            assert_ne!(
                parse_header(&other),
                Some(("packs/x.zst".into(), 12_345, 1_700_000_000)),
                "byte {at}"
            );
        }
    }

    #[test]
    fn numbers_that_are_not_octal_are_no_header_of_ours() {
        for size in [1 << 33, u64::MAX - 511, u64::MAX] {
            assert_eq!(parse_header(&header("README.txt", size, 0)), None);
            assert!(member_bytes(size) >= size);
        }
        assert_eq!(parse_header(&header("README.txt", 1, 1 << 33)), None);
    }

    #[test]
    fn the_tail_says_where_the_manifest_is() {
        let mut end = header(TAIL, TAIL_TEXT_BYTES, 7).to_vec();
        end.extend(tail_text(987_654_321).bytes());
        end.resize((2 * BLOCK + END_BYTES) as usize, 0);
        assert_eq!(parse_tail(&end), Some(987_654_321));
        assert_eq!(parse_tail(&end[1..]), None);
        end[520] ^= 1;
        assert_eq!(parse_tail(&end), None);
    }

    #[test]
    fn the_longest_member_names_fit_a_header() {
        for name in
            [format!("packs/{}.zst", "f".repeat(64)), format!("signatures/{}.sig", "f".repeat(64))]
        {
            assert_eq!(parse_header(&header(&name, 1, 0)).unwrap().0, name);
        }
    }

    #[test]
    fn what_is_no_plain_file_is_no_volume() {
        let folder = tempfile::tempdir().unwrap();
        let error = Volume::open(folder.path()).unwrap_err();
        assert_eq!((error.kind(), error.get_hint()), (Kind::Io, Some("name the file itself")));
        let error = Volume::open(Path::new("/dev/zero")).unwrap_err();
        assert!(error.chain().ends_with("it is not a plain file"), "{error:?}");
        let error = Volume::open(&folder.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert_eq!(error.get_hint(), Some("check the path; is the stick mounted?"));
    }

    #[test]
    fn bytes_that_are_gone_since_it_was_opened_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v");
        std::fs::write(&path, [7; 2000]).unwrap();
        let volume = Volume::open(&path).unwrap();
        assert_eq!(volume.read(1999, 1).unwrap(), [7]);
        for (at, length) in [(1999, 2), (2001, 0), (u64::MAX, 1)] {
            let error = volume.read(at, length).unwrap_err();
            assert_eq!(error.kind(), Kind::Damaged);
            assert!(error.message().contains("ends at byte 2000, before the"), "{error}");
        }
        File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        let error = volume.read(990, 20).unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged);
        assert!(error.message().starts_with("cannot read 20 bytes at 990 of "), "{error}");
    }

    #[test]
    fn a_medium_that_fails_is_told_from_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v");
        std::fs::write(&path, [7; 2000]).unwrap();
        let volume = Volume::open(&path).unwrap();
        // A handle that cannot be read from.
        let copy = File::options().append(true).open(&path).unwrap();
        let copy = volume.copied_to(copy).unwrap();
        assert_eq!((copy.length(), copy.file_length(), copy.path()), (2000, 2000, &*path));
        for error in [copy.read(0, 10).unwrap_err(), copy.read_file(0, 10).unwrap_err()] {
            assert_eq!(error.kind(), Kind::Io);
            assert!(error.get_hint().unwrap().starts_with("the medium fails here"), "{error:?}");
        }
    }
}
