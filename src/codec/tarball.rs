//! Tars as streams: one walker for what comes, one writer for what goes.
//!
//! Image archives are tars from strangers. The walker therefore touches no file system, keeps no
//! more than one name at a time, and reads the forms that tools really write: ustar, GNU long
//! names, PAX paths and sizes (POSIX.1-2017, pax; tar(5) for GNU). Sparse members, whose stored
//! bytes are not their content, are refused. The writer makes the same bytes for the same content:
//! plain files, mode 0644, owner 0, time 0.

use std::io::{self, Read, Seek, SeekFrom, Write};

use tar::{EntryType, Header};

use crate::model::{Error, Result, limits};

const BLOCK: u64 = 512;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A plain file.
    File,
    /// A symbolic link and where it points to, as written.
    Symlink(String),
    /// A hard link and the name of the member that it repeats.
    HardLink(String),
    /// A directory, a device, or whatever else holds no bytes that we want.
    Other,
}

/// One member of a tar.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name as written; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What it is.
    pub kind: MemberKind,
    /// Bytes of content.
    pub size: u64,
    /// Where the content begins, in bytes from the start of the tar.
    pub at: u64,
}

/// Walks the members of a tar in order.
pub struct Walker<R> {
    inner: R,
    skip: fn(&mut R, u64) -> io::Result<()>,
    at: u64,
    content: u64,
    padding: u64,
    end_mark: bool,
}

impl<R: Read> Walker<R> {
    /// Over a stream: what is not read is read and dropped.
    pub fn over_stream(inner: R) -> Self {
        Self::new(inner, |inner, count| {
            let dropped = io::copy(&mut inner.take(count), &mut io::sink())?;
            if dropped < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
        })
    }

    fn new(inner: R, skip: fn(&mut R, u64) -> io::Result<()>) -> Self {
        Self { inner, skip, at: 0, content: 0, padding: 0, end_mark: false }
    }
}

impl<R: Read + Seek> Walker<R> {
    /// Over something that seeks, from its current position on: content that is not read is
    /// jumped over.
    pub fn over_file(inner: R) -> Self {
        Self::new(inner, |inner, count| {
            // A seek past the end succeeds; reading the last byte shows whether it is there.
            let jump = i64::try_from(count - 1).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            inner.seek(SeekFrom::Current(jump))?;
            inner.read_exact(&mut [0])
        })
    }
}

/// Names that came in records of their own, for the member that follows.
#[derive(Default)]
struct Extended {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl<R: Read> Walker<R> {
    /// The next member; `None` at the end. What is left of the last member's content is skipped.
    ///
    /// # Errors
    /// [`Kind::Damaged`](crate::model::Kind::Damaged) where the tar is cut short or a header is
    /// broken, [`Kind::Malformed`](crate::model::Kind::Malformed) for sparse members and names
    /// over [`limits::TAR_RECORD_BYTES`].
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        let mut extended = Extended::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.read_header()? else { return Ok(None) };
            let kind = header.entry_type();
            let mut size = header.entry_size().map_err(|e| self.broken("a size").because(e))?;
            match kind {
                EntryType::GNULongName | EntryType::GNULongLink => {
                    let mut name = self.read_record(size)?;
                    while name.last() == Some(&0) {
                        name.pop();
                    }
                    let name = String::from_utf8_lossy(&name).into_owned();
                    if kind == EntryType::GNULongName {
                        extended.path = Some(name);
                    } else {
                        extended.link = Some(name);
                    }
                    continue;
                }
                EntryType::XHeader => {
                    let record = self.read_record(size)?;
                    extended.add_pax(&record)?;
                    continue;
                }
                EntryType::XGlobalHeader => {
                    // A global name or size would apply to every member that follows: no image
                    // tool writes that, and readers disagree about it.
                    let mut global = Extended::default();
                    global.add_pax(&self.read_record(size)?)?;
                    if global.path.is_some() || global.link.is_some() || global.size.is_some() {
                        return Err(Error::malformed(
                            "tar gives one name or size to all its members",
                        ));
                    }
                    continue;
                }
                EntryType::GNUSparse => return Err(sparse()),
                _ => {}
            }
            let path = extended
                .path
                .take()
                .unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
            let link = extended.link.take().or_else(|| {
                header.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned())
            });
            size = extended.size.take().unwrap_or(size);
            let kind = match kind {
                EntryType::Regular | EntryType::Continuous => MemberKind::File,
                EntryType::Symlink => MemberKind::Symlink(link.unwrap_or_default()),
                EntryType::Link => MemberKind::HardLink(link.unwrap_or_default()),
                _ => MemberKind::Other,
            };
            // As Go and GNU tar have it: a size on these counts nothing.
            if matches!(
                header.entry_type(),
                EntryType::Link
                    | EntryType::Symlink
                    | EntryType::Char
                    | EntryType::Block
                    | EntryType::Directory
                    | EntryType::Fifo
            ) {
                size = 0;
            }
            self.enter(size)?;
            return Ok(Some(Member { path, kind, size, at: self.at }));
        }
    }

    /// The content of the member that came last, from where reading stopped.
    pub fn content(&mut self) -> Content<'_, R> {
        Content { walker: self }
    }

    /// Whether the end was marked as POSIX wants it, and not just reached. Meaningful after
    /// [`next_member`](Self::next_member) gave `None`.
    pub fn end_was_marked(&self) -> bool {
        self.end_mark
    }

    /// What lies under the tar, for whoever has to read what follows it.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn broken(&self, what: &str) -> Error {
        Error::damaged(format!("tar has {what} that cannot be read at byte {}", self.at))
            .hint("the archive is damaged, or is no tar: make it again")
    }

    fn cut_short(&self, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Error::damaged(format!("tar is cut short: a member goes on past byte {}", self.at))
                .hint("the archive was not written or transferred to its end: make it again")
        } else {
            Error::from_io("cannot read the tar", error)
        }
    }

    fn enter(&mut self, size: u64) -> Result<()> {
        let padding = size.wrapping_neg() % BLOCK;
        if size > limits::TAR_MEMBER_BYTES {
            return Err(Error::malformed(format!("tar has a member of {size} bytes"))
                .hint("no image has a layer of that size: the archive was tampered with"));
        }
        (self.content, self.padding) = (size, padding);
        Ok(())
    }

    fn skip_rest(&mut self) -> Result<()> {
        let rest = self.content + self.padding;
        if rest > 0 {
            (self.skip)(&mut self.inner, rest).map_err(|e| self.cut_short(e))?;
            self.at += rest;
            (self.content, self.padding) = (0, 0);
        }
        Ok(())
    }

    fn read_header(&mut self) -> Result<Option<Header>> {
        if self.end_mark {
            return Ok(None);
        }
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.cut_short(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.cut_short(e)),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            self.at += BLOCK;
            self.end_mark = true;
            return Ok(None);
        }
        if !has_checksum(block) {
            return Err(self.broken("a header"));
        }
        self.at += BLOCK;
        Ok(Some(header))
    }

    fn read_record(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > limits::TAR_RECORD_BYTES {
            return Err(Error::malformed(format!(
                "tar has a name of {size} bytes at byte {}",
                self.at
            )));
        }
        self.enter(size)?;
        let mut record = Vec::new();
        self.content()
            .read_to_end(&mut record)
            .map_err(|e| Error::from_io("cannot read the tar", e))?;
        Ok(record)
    }
}

fn sparse() -> Error {
    Error::malformed("tar has a sparse member")
        .hint("make the archive again without sparse members (tar without --sparse)")
}

impl Extended {
    /// Reads `LENGTH KEY=VALUE\n` records (POSIX.1-2017, pax Extended Header).
    fn add_pax(&mut self, mut rest: &[u8]) -> Result<()> {
        let bad = || Error::malformed("tar has a PAX record that cannot be read");
        while !rest.is_empty() {
            let space = rest.iter().take(20).position(|b| *b == b' ').ok_or_else(bad)?;
            let length: usize = std::str::from_utf8(&rest[..space])
                .ok()
                .and_then(|text| text.parse().ok())
                .filter(|length| *length > space + 1 && *length <= rest.len())
                .ok_or_else(bad)?;
            let record = rest[space + 1..length].strip_suffix(b"\n").ok_or_else(bad)?;
            rest = &rest[length..];
            let equals = record.iter().position(|b| *b == b'=').ok_or_else(bad)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            let text = || String::from_utf8_lossy(value).into_owned();
            match key {
                b"path" => self.path = Some(text()),
                b"linkpath" => self.link = Some(text()),
                b"size" => self.size = Some(text().parse().map_err(|_| bad())?),
                _ if key.starts_with(b"GNU.sparse.") => return Err(sparse()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a block carries the sum that a tar header must carry: a tar begins with such a block.
pub fn has_checksum(block: &[u8; 512]) -> bool {
    let sum = |byte: fn(u8) -> i64| -> i64 {
        block
            .iter()
            .enumerate()
            .map(|(at, value)| byte(if (148..156).contains(&at) { b' ' } else { *value }))
            .sum()
    };
    let Ok(stated) = Header::from_byte_slice(block).cksum() else { return false };
    let stated = i64::from(stated);
    // Some old tars summed signed bytes.
    stated == sum(i64::from) || stated == sum(|byte| i64::from(byte.cast_signed()))
}

/// Reads the content of one member.
pub struct Content<'a, R> {
    walker: &'a mut Walker<R>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.walker.content).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.walker.inner.read(&mut buffer[..most])?;
        if n == 0 {
            let error = io::ErrorKind::UnexpectedEof.into();
            return Err(self.walker.cut_short(error).into_io());
        }
        self.walker.content -= n as u64;
        self.walker.at += n as u64;
        Ok(n)
    }
}

/// Writes a tar of plain files. The end mark is written by [`finish`](Self::finish) only: a writer
/// that is dropped leaves a tar that is visibly cut short.
pub struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// A tar into `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Where the tar goes.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Adds one file of exactly `size` bytes, read from `content` to its end.
    ///
    /// # Errors
    /// Those of `content`, carried as [`Error::into_io`] does; and where it has more or fewer
    /// bytes than `size`. The tar is then of no use.
    pub fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let fail = |e| Error::from_io(format!("cannot write {path} into the archive"), e);
        self.headers(path, size).map_err(fail)?;
        let mut buffer = vec![0; 128 << 10];
        let mut left = size;
        loop {
            let n = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::from_io(format!("cannot read {path}"), e)),
            };
            left = left.checked_sub(n as u64).ok_or_else(|| {
                Error::damaged(format!("{path} is longer than the {size} bytes that were promised"))
            })?;
            self.inner.write_all(&buffer[..n]).map_err(fail)?;
        }
        if left > 0 {
            return Err(Error::damaged(format!(
                "{path} is {left} bytes shorter than the {size} that were promised"
            )));
        }
        let padding = (size.wrapping_neg() % BLOCK) as usize;
        self.inner.write_all(&[0; BLOCK as usize][..padding]).map_err(fail)
    }

    /// Adds a small file.
    pub fn bytes(&mut self, path: &str, mut content: &[u8]) -> Result<()> {
        self.file(path, content.len() as u64, &mut content)
    }

    /// Writes the end mark and gives back what the tar was written into.
    pub fn finish(mut self) -> Result<W> {
        self.inner
            .write_all(&[0; 2 * BLOCK as usize])
            .and_then(|()| self.inner.flush())
            .map_err(|e| Error::from_io("cannot write the end of the archive", e))?;
        Ok(self.inner)
    }

    fn headers(&mut self, path: &str, size: u64) -> io::Result<()> {
        let name = path.as_bytes();
        // Only sha512 blobs have names that the old field cannot hold.
        if name.len() > 100 {
            let mut long = header(EntryType::GNULongName, name.len() as u64 + 1);
            set_name(&mut long, b"././@LongLink");
            self.inner.write_all(long.as_bytes())?;
            self.inner.write_all(name)?;
            let padding = BLOCK as usize - name.len() % BLOCK as usize;
            self.inner.write_all(&[0; BLOCK as usize][..padding])?;
        }
        let mut plain = header(EntryType::Regular, size);
        set_name(&mut plain, &name[..name.len().min(100)]);
        self.inner.write_all(plain.as_bytes())
    }
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

fn set_name(header: &mut Header, name: &[u8]) {
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
}

#[cfg(test)]
mod tests;
