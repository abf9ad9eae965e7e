//! The one error of the house.
//!
//! What differs between failures is what a script does about them, so the [`Kind`] is the enum: it
//! decides the exit code. Everything else is for people: a message in lower case that names the
//! thing (which reference, which digest, which volume and offset), a hint (what to do next) and
//! the chain of causes.

use std::fmt;

/// `Result` with the error of the house.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was; each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The command line or the configuration asks for something that cannot be meant.
    Usage,
    /// A local file, device or process failed.
    Io,
    /// What was read is damaged or incomplete.
    Damaged,
    /// No locally trusted key signed it.
    Untrusted,
    /// It is older than what has been seen, or has expired.
    Stale,
    /// It is not what it claims to be, or is over a limit.
    Malformed,
    /// A registry or daemon failed or refused.
    Remote,
}

impl Kind {
    /// The exit code of the process, as `docs/guide.md` lists them.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Io => 3,
            Self::Damaged => 4,
            Self::Untrusted => 5,
            Self::Stale => 6,
            Self::Malformed => 7,
            Self::Remote => 8,
        }
    }
}

/// A failure: its kind, what happened to which thing, what to do next, and why.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
    parts: Vec<Error>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            parts: Vec::new(),
            source: None,
        }))
    }

    /// [`Kind::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// [`Kind::Io`]: `what` names the file and what was done to it, as in `cannot read /a/b`.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::new(Kind::Io, what).because(source)
    }

    /// [`Kind::Damaged`].
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, message)
    }

    /// [`Kind::Untrusted`].
    pub fn untrusted(message: impl Into<String>) -> Self {
        Self::new(Kind::Untrusted, message)
    }

    /// [`Kind::Malformed`].
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, message)
    }

    /// [`Kind::Remote`].
    pub fn remote(message: impl Into<String>) -> Self {
        Self::new(Kind::Remote, message)
    }

    /// Adds what to do next: one sentence, imperative, no full stop needed.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says that it is made up of several failures, each with its own hint.
    #[must_use]
    pub fn parts(mut self, parts: Vec<Self>) -> Self {
        self.0.parts = parts;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Wraps the error in a sentence that says what was being done; kind and hint stay.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        let kind = self.kind();
        let hint = self.0.hint.clone();
        let mut outer = Self::new(kind, message).because(self);
        outer.0.hint = hint;
        outer
    }

    /// What kind of failure it is.
    pub const fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What happened, to which thing.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next.
    pub fn get_hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The failures that it is made up of; none for most.
    pub fn get_parts(&self) -> &[Self] {
        &self.0.parts
    }

    /// The message, every cause and every part, joined by colons; a hint that wrapping copied is said once.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            let part = error.to_string();
            if !text.ends_with(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            next = error.source();
        }
        for (number, part) in self.0.parts.iter().enumerate() {
            text.push_str(if number == 0 { ": " } else { "; " });
            text.push_str(&part.chain());
        }
        text
    }

    /// Carries the error through an interface that speaks [`std::io::Error`]; [`Error::from_io`]
    /// takes it out again.
    pub fn into_io(self) -> std::io::Error {
        std::io::Error::other(self)
    }

    /// The error of the house inside an I/O error, if one travels there; else a [`Kind::Io`]
    /// error that says `what` failed.
    pub fn from_io(what: impl Into<String>, error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::io(what, error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} error: {}", self.0.kind, self.chain())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_kind_hint_and_cause() {
        let error = Error::remote("403 from registry").hint("sign in").context("cannot push a:1");
        assert_eq!(error.kind(), Kind::Remote);
        assert_eq!(error.get_hint(), Some("sign in"));
        assert_eq!(error.chain(), "cannot push a:1: 403 from registry");
    }

    #[test]
    fn parts_are_told_after_the_whole() {
        let parts = vec![Error::remote("no project"), Error::remote("no room").hint("make some")];
        let error = Error::remote("nothing was sent").parts(parts);
        assert_eq!(error.chain(), "nothing was sent: no project; no room");
        assert_eq!(error.get_parts()[1].get_hint(), Some("make some"));
    }

    #[test]
    fn travels_through_io() {
        let io = Error::damaged("digest mismatch").into_io();
        assert_eq!(Error::from_io("reading", io).kind(), Kind::Damaged);
        let plain = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(Error::from_io("cannot read x", plain).kind(), Kind::Io);
    }
}
