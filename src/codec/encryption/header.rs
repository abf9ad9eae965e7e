//! The header of an age file, measured before any of it is worked on.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::NONCE;
use crate::model::{Error, Result, limits};

/// What every age file begins with.
const INTRO: &[u8] = b"age-encryption.org/";

/// The first line of those that are read here.
const VERSION_1: &[u8] = b"age-encryption.org/v1\n";

/// Bytes of the first line that may be others: a line with more is that of some other file.
const SPOILED: usize = 4;

/// What an age file begins with that was made for pasting into a mail.
const ARMOURED: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// What the line of a recipient begins with.
const STANZA: &[u8] = b"-> ";

/// What the line of a passphrase begins with.
const PASSPHRASE: &[u8] = b"-> scrypt ";

/// What the last line begins with.
const END: &[u8] = b"--- ";

/// Whether a file is an age file, in whatever form.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io).
pub fn is_encrypted(file: &File, what: &str) -> Result<bool> {
    let begin = read_up_to(file, ARMOURED.len(), what)?;
    Ok(begin.starts_with(INTRO) || begin == ARMOURED)
}

/// A header, and the nonce behind it, within all limits.
pub(super) struct Header {
    /// The bytes of both.
    pub(super) bytes: Vec<u8>,
    /// Whether a passphrase opens the file, and no identity.
    pub(super) wants_passphrase: bool,
}

impl Header {
    /// Reads the header of `file`; `None` where the file is no age file. `what` names it.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where it is armoured, of another version
    /// or over a limit; [`Kind::Damaged`](crate::model::Kind::Damaged) where it ends early, or is
    /// not what anybody writes; [`Kind::Io`](crate::model::Kind::Io).
    pub(super) fn read(file: &File, what: &str) -> Result<Option<Self>> {
        let begin = read_up_to(file, ARMOURED.len(), what)?;
        if begin == ARMOURED {
            return Err(Error::malformed(format!(
                "{what} is an age file in its form for mail, which cannot be read at random"
            ))
            .hint("decrypt it with `age -d`, or ask for the binary form: age without --armor"));
        }
        if !begin.starts_with(INTRO) {
            return if is_spoiled(&begin) { Err(makes_no_sense(what)) } else { Ok(None) };
        }
        let most = (limits::AGE_HEADER_BYTES + NONCE) as usize;
        let bytes = read_up_to(file, most, what)?;
        if !bytes.starts_with(VERSION_1) {
            return Err(if names_a_version(&bytes[INTRO.len()..]) {
                Error::malformed(format!("{what} is an age file of an unknown version"))
                    .hint("use a newer sealift, or decrypt it with `age -d`; damage to its first line looks the same")
            } else {
                makes_no_sense(what)
            });
        }
        Self::measure(bytes, most, what).map(Some)
    }

    fn measure(mut bytes: Vec<u8>, most: usize, what: &str) -> Result<Self> {
        let (mut at, mut stanzas, mut wants_passphrase) = (VERSION_1.len(), 0, false);
        loop {
            let Some(length) = bytes[at..].iter().position(|&byte| byte == b'\n') else {
                return Err(if !is_text(&bytes[at..]) {
                    makes_no_sense(what)
                } else if bytes.len() == most {
                    Error::malformed(format!(
                        "the age header of {what} is longer than {} bytes",
                        limits::AGE_HEADER_BYTES
                    ))
                } else {
                    cut_off(what)
                });
            };
            let line = &bytes[at..at + length];
            // What is encrypted follows the last line: where that is spoiled, it is read as lines.
            if !is_text(line) {
                return Err(makes_no_sense(what));
            }
            at += length + 1;
            if line.starts_with(END) {
                break;
            }
            if let Some(arguments) = line.strip_prefix(PASSPHRASE) {
                check_work(arguments, what)?;
                wants_passphrase = true;
            }
            stanzas += usize::from(line.starts_with(STANZA));
            if stanzas > limits::AGE_STANZAS {
                return Err(Error::malformed(format!(
                    "{what} is encrypted to more than {} recipients",
                    limits::AGE_STANZAS
                )));
            }
        }
        let end = at + NONCE as usize;
        if bytes.len() < end {
            return Err(cut_off(what));
        }
        bytes.truncate(end);
        Ok(Self { bytes, wants_passphrase })
    }

    /// Where the chunks begin.
    pub(super) fn length(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Whether a file begins nearly as an age file does.
fn is_spoiled(begin: &[u8]) -> bool {
    let others = VERSION_1.iter().zip(begin).filter(|(own, other)| own != other);
    begin.len() >= VERSION_1.len() && others.count() <= SPOILED
}

/// Whether the rest of a first line is that of some version.
fn names_a_version(rest: &[u8]) -> bool {
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let number = line.strip_prefix(b"v").unwrap_or_default();
    (1..4).contains(&number.len()) && number.iter().all(u8::is_ascii_digit)
}

/// Whether these are such bytes as lines of a header have.
fn is_text(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The header is none.
pub(super) fn makes_no_sense(what: &str) -> Error {
    Error::damaged(format!("the age header of {what} is damaged"))
        .hint("copy it again: without its header nobody can open the file")
}

fn cut_off(what: &str) -> Error {
    Error::damaged(format!("{what} is incomplete: it ends in its age header")).hint("copy it again")
}

/// The work that a passphrase takes, the last argument, is what this machine can do.
fn check_work(arguments: &[u8], what: &str) -> Result<()> {
    let last = arguments.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let text = std::str::from_utf8(last).unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(makes_no_sense(what));
    }
    if text.parse::<u8>().is_ok_and(|work| work <= limits::AGE_WORK) {
        return Ok(());
    }
    Err(Error::malformed(format!(
        "to try a passphrase on {what} would take 2^{text} steps; the limit is 2^{}",
        limits::AGE_WORK
    ))
    .hint("if you expect that, decrypt it with `age -d`; damage to the first bytes of the file looks the same"))
}

/// The first `most` bytes, fewer where the file is shorter.
fn read_up_to(file: &File, most: usize, what: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let mut filled = 0;
    while filled < most {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(format!("cannot read {what}"), e)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
