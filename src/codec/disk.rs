//! What a disk can take: how much is free, and how large a file may be there.
//!
//! A file may be bounded by its file system (FAT32 ends one byte before 4 GiB) or by the limit of
//! the process (`ulimit -f`). Both are asked before anything is written; who writes all the same
//! still has to expect that the disk is full.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit};

use crate::model::{Error, Kind, Result};

/// The largest file that FAT holds: its length has 32 bits.
pub const FAT_FILE_BYTES: u64 = (1 << 32) - 1;

/// Why no larger file may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The file system is one of the FAT family, but not exFAT.
    Fat,
    /// The file system holds no larger file.
    FileSystem,
    /// The process may write no larger file: `RLIMIT_FSIZE`, which shells set by `ulimit -f`.
    Process,
}

/// The disk that a folder is on.
#[derive(Clone, Debug)]
pub struct Disk {
    folder: PathBuf,
    device: u64,
    free: Option<u64>,
    largest: Option<(u64, Bound)>,
}

impl Disk {
    /// The disk of a folder, or of the nearest one around it that is there. Nothing is written but
    /// a file without a name, which stays empty.
    ///
    /// # Errors
    /// [`Kind::Io`] where it cannot be looked at.
    pub fn of(folder: &Path) -> Result<Self> {
        let folder = existing(folder);
        let what = |e| Error::io(format!("cannot look at {}", folder.display()), e);
        let device = folder.metadata().map_err(what)?.dev();
        let room = rustix::fs::statvfs(&folder).map_err(|e| what(e.into()))?;
        // Some file systems do not say; they say that they are empty and have no room at all.
        let free = (room.f_blocks > 0).then(|| room.f_bavail.saturating_mul(room.f_frsize));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let whole = std::fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
        let fat = is_fat(&mounts, &whole).then_some((FAT_FILE_BYTES, Bound::Fat));
        let system = largest_offset(&folder).map(|bytes| match bytes {
            FAT_FILE_BYTES => (bytes, Bound::Fat),
            _ => (bytes, Bound::FileSystem),
        });
        let process = getrlimit(Resource::Fsize).current.map(|bytes| (bytes, Bound::Process));
        let all = [fat, system, process].into_iter().flatten();
        Ok(Self { device, free, largest: all.min_by_key(|(bytes, _)| *bytes), folder })
    }

    /// The folder that was looked at.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether two folders are on one disk, and so share what is free.
    pub fn is(&self, other: &Self) -> bool {
        self.device == other.device
    }

    /// Bytes that are free for this user, where the file system says so.
    pub fn free(&self) -> Option<u64> {
        self.free
    }

    /// Bytes of the largest file that may be there, and what bounds it; `None` where nothing does.
    pub fn largest_file(&self) -> Option<(u64, Bound)> {
        self.largest
    }

    /// Whether there is room for `what`, which takes at least `least` bytes and at most `most`.
    /// Gives a sentence where there may be too little.
    ///
    /// # Errors
    /// [`Kind::Io`] where there is too little even for the least.
    pub fn check_room(&self, what: &str, least: u64, most: u64) -> Result<Option<String>> {
        let Some(free) = self.free.filter(|&free| free < most) else { return Ok(None) };
        let place = self.folder.display();
        let (free_text, most_text) = (ByteSize::b(free), ByteSize::b(most));
        if free < least {
            let amount = if least == most {
                format!("{most_text} are needed")
            } else {
                format!("{} at the very least and up to {most_text} are needed", ByteSize::b(least))
            };
            return Err(Error::new(
                Kind::Io,
                format!("there is no room for {what} in {place}: {amount}, {free_text} are free"),
            )
            .hint("make room there, or choose a place on another disk"));
        }
        Ok(Some(format!(
            "{what} may not fit into {place}: up to {most_text} are needed, {free_text} are free"
        )))
    }

    /// Whether a file of so many bytes may be there.
    ///
    /// # Errors
    /// [`Kind::Io`], saying what bounds it.
    pub fn check_file(&self, what: &str, bytes: u64) -> Result<()> {
        match self.largest {
            Some((largest, bound)) if largest < bytes => {
                let place = self.folder.display();
                let (needed, why) = (ByteSize::b(bytes), bound.sentence(largest));
                Err(Error::new(
                    Kind::Io,
                    format!("{what} is {needed}, more than one file in {place} may have: {why}"),
                )
                .hint(bound.advice()))
            }
            _ => Ok(()),
        }
    }
}

impl Bound {
    /// Says what the bound is.
    pub fn sentence(self, largest: u64) -> String {
        match self {
            Self::Fat => "a FAT file system holds files of at most 4 GiB − 1".to_owned(),
            Self::FileSystem => {
                format!("its file system holds files of at most {largest} bytes")
            }
            Self::Process => {
                format!("this process may write files of at most {largest} bytes (ulimit -f)")
            }
        }
    }

    /// What can be done about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Fat | Self::FileSystem => {
                "write smaller files, or format the medium as exFAT or ext4"
            }
            Self::Process => "write smaller files, or raise the limit with ulimit -f unlimited",
        }
    }
}

/// The folder itself, or the nearest around it that is there.
fn existing(folder: &Path) -> PathBuf {
    let named = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
    named.into_iter().find(|path| path.is_dir()).unwrap_or(Path::new(".")).to_owned()
}

/// The largest offset that a file in the folder may have: the kernel refuses to go beyond what the
/// file system can hold, and going there writes nothing. `None` where no file can be made, which
/// whoever writes will be told, and where everything goes.
fn largest_offset(folder: &Path) -> Option<u64> {
    let mut file = tempfile::tempfile_in(folder).ok()?;
    let goes = |file: &mut File, to: u64| file.seek(SeekFrom::Start(to)).is_ok();
    let (mut least, mut most) = (0, i64::MAX as u64);
    if goes(&mut file, most) {
        return None;
    }
    while least + 1 < most {
        let middle = least + (most - least) / 2;
        if goes(&mut file, middle) { least = middle } else { most = middle }
    }
    (least > 0).then_some(least)
}

/// Whether the mount that a path is on is of the FAT family. A driver in user space says so only by
/// its name: the kernel would let a file grow there.
fn is_fat(mounts: &str, path: &Path) -> bool {
    let of_path = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let point = unescaped(place.split(' ').nth(4)?);
        path.starts_with(&point).then_some((point.len(), kind.split(' ').next()?))
    });
    // Of two at one place, the later one covers the earlier.
    let kind = of_path.max_by_key(|(length, _)| *length).map(|(_, kind)| kind.to_ascii_lowercase());
    kind.is_some_and(|kind| {
        matches!(&*kind, "vfat" | "msdos" | "umsdos")
            || kind.starts_with("fuse") && kind.contains("fat") && !kind.contains("exfat")
    })
}

/// A path of `/proc/self/mountinfo`: blanks and the like are written as `\` and three octal digits
/// (proc(5)).
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let digits = more.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let code = code.filter(|_| first == b'\\');
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &more[3..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 8:1 / /media/a\\040stick rw,nosuid - vfat /dev/sda1 rw,uid=1000
41 22 8:17 / /media/big rw - exfat /dev/sdb1 rw
42 22 0:50 / /media/old rw - fuse.fusefat /dev/sdc1 rw
43 22 0:51 / /media/new rw - fuse.exfat-fuse /dev/sdd1 rw
44 22 8:33 / /media/over rw - vfat /dev/sde1 rw
45 44 8:34 / /media/over rw - ext4 /dev/sde2 rw
";

    #[test]
    fn fat_is_known_by_the_mount() {
        let fat = |path: &str| is_fat(MOUNTS, Path::new(path));
        assert!(fat("/media/a stick") && fat("/media/a stick/x/y") && fat("/media/old"));
        assert!(!fat("/media/a stick2") && !fat("/") && !fat("/media/big") && !fat("/media/new"));
        assert!(!fat("/media/over/x"), "another file system covers it");
        assert!(!is_fat("", Path::new("/")));
    }

    #[test]
    fn a_disk_is_looked_at_without_leaving_anything() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::of(&folder.path().join("not/there/yet")).unwrap();
        assert_eq!(disk.folder(), folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(disk.is(&Disk::of(folder.path()).unwrap()));
        assert!(disk.largest_file().is_none_or(|(bytes, _)| bytes > FAT_FILE_BYTES));
    }

    #[test]
    fn too_little_room_is_refused_and_perhaps_too_little_is_said() {
        let disk = Disk { folder: "/m".into(), device: 1, free: Some(3 << 20), largest: None };
        assert_eq!(disk.check_room("it", 0, 3 << 20).unwrap(), None);
        let warning = disk.check_room("it", 3 << 20, 4 << 20).unwrap().unwrap();
        assert_eq!(warning, "it may not fit into /m: up to 4.0 MiB are needed, 3.0 MiB are free");
        let error = disk.check_room("it", 4 << 20, 5 << 20).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.message().contains("4.0 MiB") && error.message().contains("3.0 MiB"));
        let silent = Disk { free: None, ..disk };
        assert_eq!(silent.check_room("it", 1 << 40, 1 << 40).unwrap(), None);
    }

    #[test]
    fn a_file_that_would_be_too_large_is_refused() {
        let largest = Some((FAT_FILE_BYTES, Bound::Fat));
        let disk = Disk { folder: "/m".into(), device: 1, free: None, largest };
        disk.check_file("it", FAT_FILE_BYTES).unwrap();
        let error = disk.check_file("it", FAT_FILE_BYTES + 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.message().contains("4 GiB − 1"), "{error}");
    }
}
