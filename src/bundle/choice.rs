//! Which of several files that claim to be one volume is used, and what is known of the others.

use std::fmt;
use std::path::PathBuf;

use crate::model::Kind;

/// A file that claims to be a volume and is not used, since another one is.
#[derive(Clone, Debug)]
pub struct Unused {
    /// The volume, counted from 1.
    pub volume: u64,
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it; `None` where it was not looked at.
    pub problem: Option<String>,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} claims to be volume {} too and is not used",
            self.file.display(),
            self.volume
        )?;
        match &self.problem {
            Some(problem) => write!(f, ", since it is damaged: {problem}"),
            None => f.write_str(": it was not looked at"),
        }
    }
}

/// What came of looking for a file that is whole.
#[derive(Debug)]
pub(super) enum Choice {
    /// There is one. The others are not used.
    One(Vec<Unused>),
    /// There is none: how many there are, and what is wrong with the first of them.
    None(usize, Vec<(Kind, String)>),
}
