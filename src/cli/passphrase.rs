//! Where the passphrase of a signing key or of an encrypted bundle comes from: a file, the
//! environment, or the person at the terminal. Never an argument, which every user of the machine could read.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::environment::Environment;
use super::secret;
use crate::model::{Error, Kind, Result};

/// Bytes of a passphrase file: far more than anyone types, far less than a wrong file.
const LONGEST: u64 = 4096;

/// Where to get a passphrase, once one is needed.
#[derive(Debug)]
pub(super) struct Passphrase {
    source: Source,
    opens: Opens,
}

/// What a passphrase is for.
#[derive(Clone, Copy, Debug)]
enum Opens {
    Key,
    Bundle,
}

impl Opens {
    /// How it can be given where nobody can be asked.
    const fn hint(self) -> &'static str {
        match self {
            Self::Key => "give it with --passphrase-file FILE or in SEALIFT_PASSPHRASE",
            Self::Bundle => {
                "give it with --bundle-passphrase-file FILE or in SEALIFT_BUNDLE_PASSPHRASE"
            }
        }
    }

    /// What gets a passphrase.
    const fn new_one(self) -> &'static str {
        match self {
            Self::Key => "the new key",
            Self::Bundle => "the bundle",
        }
    }

    /// What to do for want of one.
    const fn without(self) -> &'static str {
        match self {
            Self::Key => "leave out --passphrase to make a key without one",
            Self::Bundle => {
                "leave out --encrypt-passphrase to write a bundle that anybody can read"
            }
        }
    }
}

enum Source {
    /// The first line of a file.
    File(PathBuf),
    /// Given by the environment.
    Given(Zeroizing<String>),
    /// Asked for at the terminal.
    Ask,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Given(_) => f.write_str("Given(***)"),
            Self::Ask => f.write_str("Ask"),
        }
    }
}

impl Passphrase {
    /// Of a signing key: the file if one is named, else the environment, else the terminal.
    pub(super) fn resolve(file: Option<PathBuf>, environment: &Environment) -> Self {
        Self::from(file, environment.passphrase.as_ref(), Opens::Key)
    }

    /// Of an encrypted bundle, in the same order.
    pub(super) fn of_bundle(file: Option<PathBuf>, environment: &Environment) -> Self {
        Self::from(file, environment.bundle_passphrase.as_ref(), Opens::Bundle)
    }

    fn from(file: Option<PathBuf>, given: Option<&Zeroizing<String>>, opens: Opens) -> Self {
        let source = match (file, given) {
            (Some(file), _) => Source::File(file),
            (None, Some(given)) => Source::Given(given.clone()),
            (None, None) => Source::Ask,
        };
        Self { source, opens }
    }

    /// Whether somebody would be asked.
    pub(super) fn asks(&self) -> bool {
        matches!(self.source, Source::Ask)
    }

    /// The passphrase of the existing key in `key`.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(super) fn of_key(&self, key: &Path) -> Result<Zeroizing<String>> {
        self.of(&key.display().to_string())
    }

    /// The passphrase of something that is there; `what` names it.
    ///
    /// # Errors
    /// [`Kind::Io`] where the file cannot be read, [`Kind::Usage`] where it holds none or there is
    /// no terminal to ask at.
    pub(super) fn of(&self, what: &str) -> Result<Zeroizing<String>> {
        match &self.source {
            Source::File(path) => read(path),
            Source::Given(given) => Ok(given.clone()),
            Source::Ask => self.ask(&format!("Passphrase of {what}: ")),
        }
    }

    /// A passphrase for something new; a person is asked twice.
    ///
    /// # Errors
    /// As [`of`](Self::of), and [`Kind::Usage`] where the two differ.
    pub(super) fn for_new(&self) -> Result<Zeroizing<String>> {
        let first = self.of(self.opens.new_one())?;
        let Source::Ask = self.source else { return Ok(first) };
        if first.is_empty() {
            return Err(
                Error::usage("an empty passphrase protects nothing").hint(self.opens.without())
            );
        }
        if *first != *self.ask("The same again: ")? {
            return Err(Error::usage("the two passphrases differ").hint("run it again"));
        }
        Ok(first)
    }

    fn ask(&self, prompt: &str) -> Result<Zeroizing<String>> {
        secret::ask(prompt).map_err(|e| {
            Error::usage("a passphrase is needed, and none could be asked for")
                .because(e)
                .hint(self.opens.hint())
        })
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    let what = format!("the passphrase in {}", path.display());
    let mut file = File::open(path).map_err(|e| Error::io(format!("cannot read {what}"), e))?;
    one_line(&mut file, &what)
}

/// The secret that is all that `input` holds, a line with or without its end. `what` names it.
///
/// # Errors
/// [`Kind::Io`] where it cannot be read, [`Kind::Usage`] where it is not one line.
pub(super) fn one_line(input: &mut dyn Read, what: &str) -> Result<Zeroizing<String>> {
    let cannot = || format!("cannot read {what}");
    let mut text = Zeroizing::new(String::new());
    input.take(LONGEST + 1).read_to_string(&mut text).map_err(|e| Error::io(cannot(), e))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.len() as u64 > LONGEST || line.contains('\n') {
        return Err(Error::new(Kind::Usage, cannot())
            .because("it must be one line that is not empty")
            .hint("write the secret, and nothing else, on the first line"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_before_the_environment() {
        let variables = [("SEALIFT_PASSPHRASE", "canary"), ("SEALIFT_BUNDLE_PASSPHRASE", "parrot")];
        let environment = Environment::fake(&variables).unwrap();
        let given = Passphrase::resolve(None, &environment);
        assert_eq!(&**given.of("k").unwrap(), "canary");
        assert!(!format!("{given:?}").contains("canary"));
        assert_eq!(&**Passphrase::of_bundle(None, &environment).for_new().unwrap(), "parrot");
        let file = Passphrase::resolve(Some("f".into()), &environment);
        assert!(matches!(file.source, Source::File(_)));
    }

    #[test]
    fn one_line_is_taken_with_or_without_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        for text in ["a b ", "a b \n", "a b \r\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(&**read(&path).unwrap(), "a b ");
        }
        for text in ["", "\n", "a\nb\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap_err().kind(), Kind::Usage, "{text:?}");
        }
        std::fs::write(&path, vec![b'x'; 5000]).unwrap();
        assert!(read(&path).is_err());
    }
}
