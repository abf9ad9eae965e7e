//! What is wrong with a command line, gathered: nobody should mend one thing to be told the next.

use crate::model::{Error, Kind, Result};

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Error>);

impl Faults {
    /// The value; where there is none, notes why.
    pub(super) fn some<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    /// The value; where there is none, notes why, and gives an empty one in its place. That means
    /// nothing before [`none`](Self::none) was asked.
    pub(super) fn or_default<T: Default>(&mut self, result: Result<T>) -> T {
        self.some(result).unwrap_or_default()
    }

    /// Whether nothing was wrong.
    ///
    /// # Errors
    /// The one fault, or all of them as parts of one, of the kind that the first has.
    pub(super) fn none(mut self) -> Result<()> {
        if self.0.len() < 2 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let kind = self.0.first().map_or(Kind::Usage, Error::kind);
        let message = format!("{} things are wrong, and nothing was done", self.0.len());
        Err(Error::new(kind, message).parts(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_is_itself_and_several_are_parts() {
        let mut faults = Faults::default();
        assert_eq!(faults.or_default(Ok(7)), 7);
        faults.none().unwrap();

        let mut faults = Faults::default();
        assert_eq!(faults.or_default::<u32>(Err(Error::usage("a").hint("b"))), 0);
        let one = faults.none().unwrap_err();
        assert_eq!((one.message(), one.get_hint(), one.get_parts().len()), ("a", Some("b"), 0));

        let mut faults = Faults::default();
        assert_eq!(faults.some::<u32>(Err(Error::usage("a"))), None);
        faults.or_default::<u32>(Err(Error::new(Kind::Io, "b")));
        let all = faults.none().unwrap_err();
        assert_eq!((all.kind(), all.get_parts().len()), (Kind::Usage, 2));
    }
}
