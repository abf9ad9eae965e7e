//! The sender's side: which number a bundle gets.

use std::path::PathBuf;

use super::record::{Place, Record, Side};
use crate::model::{Error, Position, Result, StreamName};

/// How a bundle gets its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// One more than the last that was given here.
    Next {
        /// The stream.
        stream: StreamName,
        /// The state folder.
        state: PathBuf,
    },
    /// This one, whatever was given before: so that the same bundle can be made again.
    Given {
        /// The place.
        position: Position,
        /// The state folder, where it is remembered.
        state: Option<PathBuf>,
    },
}

/// What a bundle says about its age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dating {
    /// How it gets its number, where it is of a stream.
    pub numbering: Option<Numbering>,
    /// Seconds since 1970 from which on nobody is to take it any more.
    pub expires: Option<u64>,
}

impl Numbering {
    fn place(&self) -> Option<Place> {
        match self {
            Self::Next { stream, state } => Some(Place::new(state, Side::Sent, stream)),
            Self::Given { position, state } => {
                let state = state.as_ref()?;
                Some(Place::new(state, Side::Sent, &position.stream))
            }
        }
    }

    /// The stream, and the number as far as it is known before it is given.
    pub fn known(&self) -> (&StreamName, Option<u64>) {
        match self {
            Self::Next { stream, .. } => (stream, None),
            Self::Given { position, .. } => (&position.stream, Some(position.sequence)),
        }
    }

    /// Makes sure that a number can be given, before anything is done for the bundle.
    ///
    /// # Errors
    /// As for [`settle`](Self::settle).
    pub fn prepare(&self) -> Result<()> {
        let Some(place) = self.place() else { return Ok(()) };
        place.prepare()?;
        place.read().map(|_| ())
    }

    /// Gives the number. It is given for ever: where the bundle fails after that, it has none.
    /// `created` is when the bundle is made. What somebody should know comes with it.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where it cannot be remembered,
    /// [`Kind::Stale`](crate::model::Kind::Stale) where what is remembered is damaged.
    pub fn settle(&self, created: u64) -> Result<(Position, Option<String>)> {
        let place = self.place();
        let _lock = place.as_ref().map(Place::lock).transpose()?;
        let last = match &place {
            Some(place) => place.read()?.map(|record| record.sequence),
            None => None,
        };
        let (position, note) = match self {
            Self::Next { stream, .. } => {
                let sequence = last.unwrap_or(0).checked_add(1).ok_or_else(|| {
                    Error::usage(format!("stream {stream} has no number left"))
                        .hint("begin a stream with another name")
                })?;
                let note = last.is_none().then(|| {
                    format!("stream {stream} begins here with number {sequence}; if bundles of it were made elsewhere, name the number with --sequence")
                });
                (Position { stream: stream.clone(), sequence }, note)
            }
            Self::Given { position, .. } => {
                let note = last.filter(|&last| position.sequence <= last).map(|last| {
                    format!(
                        "stream {} is at number {last} here already: receivers that have seen that refuse number {}",
                        position.stream, position.sequence
                    )
                });
                (position.clone(), note)
            }
        };
        if let Some(place) = place.filter(|_| last.is_none_or(|last| last < position.sequence)) {
            place.replace(&Record {
                stream: position.stream.clone(),
                sequence: position.sequence,
                digest: None,
                created,
                signers: Vec::new(),
            })?;
        }
        Ok((position, note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_up_and_a_given_one_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().to_owned();
        let stream: StreamName = "prod".parse().unwrap();
        let next = Numbering::Next { stream: stream.clone(), state: state.clone() };
        let given = |sequence| Numbering::Given {
            position: Position { stream: stream.clone(), sequence },
            state: Some(state.clone()),
        };
        next.prepare().unwrap();
        let (first, note) = next.settle(1).unwrap();
        assert_eq!((first.sequence, note.is_some()), (1, true));
        let (second, note) = next.settle(1).unwrap();
        assert_eq!((second.sequence, note), (2, None));
        assert_eq!(given(9).settle(1).unwrap().0.sequence, 9);
        assert_eq!(next.settle(1).unwrap().0.sequence, 10);
        // The same again, for the same bytes again.
        assert!(given(9).settle(1).unwrap().1.is_some());
        assert_eq!(next.settle(1).unwrap().0.sequence, 11);
        given(u64::MAX).settle(1).unwrap();
        assert!(next.settle(1).is_err());
    }
}
