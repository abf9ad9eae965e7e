//! Where the password of a registry account comes from: standard input, a file, or the person at
//! the terminal. Never an argument, which every user of the machine could read.

use std::fs::File;
use std::io::{IsTerminal, Read, Write, stderr, stdin};
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::output::escape;
use super::passphrase::one_line;
use super::secret;
use crate::model::{Error, Result};

/// Where to get a password.
#[derive(Debug)]
pub(super) enum Password {
    /// The one line on standard input.
    Stdin,
    /// The one line of a file.
    File(PathBuf),
    /// Asked for at the terminal.
    Ask,
}

impl Password {
    /// As the options have it.
    pub(super) fn resolve(stdin: bool, file: Option<PathBuf>) -> Self {
        match file {
            Some(file) => Self::File(file),
            None if stdin => Self::Stdin,
            None => Self::Ask,
        }
    }

    /// The password of `user` at `registry`.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where it cannot be read,
    /// [`Kind::Usage`](crate::model::Kind::Usage) where there is none or no terminal to ask at.
    pub(super) fn of(&self, user: &str, registry: &str) -> Result<Zeroizing<String>> {
        match self {
            Self::Stdin => one_line(&mut stdin().lock(), "the password on standard input"),
            Self::File(path) => {
                let what = format!("the password in {}", path.display());
                let mut file =
                    File::open(path).map_err(|e| Error::io(format!("cannot read {what}"), e))?;
                one_line(&mut file, &what)
            }
            Self::Ask => {
                let asked = format!("Password of {} at {}: ", escape(user), escape(registry));
                let given =
                    secret::ask(&asked).map_err(|e| nobody_to_ask("a password").because(e))?;
                if given.is_empty() {
                    Err(Error::usage("no password was given"))
                } else {
                    Ok(given)
                }
            }
        }
    }
}

/// The user name, asked for at the terminal.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where there is nobody to ask.
pub(super) fn ask_name(registry: &str) -> Result<String> {
    let input = stdin();
    if !input.is_terminal() {
        return Err(nobody_to_ask("a user name"));
    }
    let failed = |e| Error::io("cannot ask for a user name", e);
    write!(stderr(), "User name at {}: ", escape(registry)).map_err(failed)?;
    stderr().flush().map_err(failed)?;
    let mut line = String::new();
    // Nobody types more, and a terminal gives it line by line.
    std::io::BufRead::read_line(&mut input.lock().take(4096), &mut line).map_err(failed)?;
    let name = line.trim();
    if name.is_empty() { Err(Error::usage("no user name was given")) } else { Ok(name.to_owned()) }
}

fn nobody_to_ask(what: &str) -> Error {
    Error::usage(format!("{what} is needed, and there is no terminal to ask at")).hint(
        "give both: --username NAME, and the password with --password-stdin or --password-file FILE",
    )
}
