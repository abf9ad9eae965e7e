//! The receiver's side: is this bundle still to be taken?

use std::path::Path;

use super::record::{Held, Place, Record, Side};
use crate::bundle::{Authentic, Bundle};
use crate::model::moment::{DAY, spell};
use crate::model::{Digest, Error, Kind, Position, Result};

/// How far the clocks of sender and receiver may be apart, in seconds.
const SKEW: u64 = DAY;

/// A bundle is never so old; a clock that says so is wrong. In seconds: twenty years.
const OLDEST: u64 = 20 * 365 * DAY;

/// The highest number that the first bundle of a stream may have unasked: those that count, and
/// such as are dates to the second (20261231235959) or milliseconds since 1970, stay below.
const BEGINNING: u64 = 1 << 48;

/// How far a stream may go in one step, unasked, whatever its numbers are. Whoever counts never makes
/// so many bundles; a sender that was taken over, or that mistyped, would leave every receiver
/// refusing what comes after the mistake was mended.
const STEP: u64 = 1 << 32;

/// What the bundle is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only looked at: nothing is remembered, and nothing written.
    Look,
    /// Verified.
    Verify,
    /// Imported: nobody else may import a bundle of the same stream meanwhile.
    Import,
}

/// How it is to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The state folder; `None` where nothing is remembered.
    pub state: Option<&'a Path>,
    /// Seconds since 1970, by the clock.
    pub clock: u64,
    /// Whether a number may be absurdly high.
    pub accept_jump: bool,
    /// What it is wanted for.
    pub purpose: Purpose,
}

/// How a bundle stands to those that came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is of no stream.
    Alone,
    /// Nothing is remembered on this machine: rollback could not be checked.
    Unchecked,
    /// The first of its stream that is seen here: rollback could not be checked.
    First,
    /// Later than the one with this number.
    Later(u64),
    /// The same that was seen last.
    Same,
}

/// A bundle that is still to be taken. Call [`remember`](Self::remember) once all of it was checked.
#[derive(Debug)]
#[must_use = "what is not remembered can be brought again in an older form"]
pub struct Fresh {
    /// Its place, where it is of a stream.
    pub position: Option<Position>,
    /// How it stands to those before it.
    pub standing: Standing,
    /// What somebody should know about it.
    pub notes: Vec<String>,
    record: Option<(Place, Record)>,
    held: Option<Held>,
}

/// Judges whether a bundle is still to be taken.
///
/// # Errors
/// [`Kind::Stale`] where it has expired, is older than one that was seen, is another one with the
/// same number, or has an absurd number; where the clock cannot be right; and where what is
/// remembered is damaged. [`Kind::Io`] and [`Kind::Usage`] where the state cannot be kept.
pub fn judge(bundle: &Bundle<Authentic>, asked: &Asked<'_>) -> Result<Fresh> {
    let manifest = &bundle.contents().manifest;
    let path = bundle.path().display().to_string();
    let position = manifest.position();
    let mut fresh = Fresh {
        position: position.clone(),
        standing: Standing::Alone,
        notes: Vec::new(),
        record: None,
        held: None,
    };
    if position.is_some() || manifest.expires.is_some() {
        right_clock(asked.clock, manifest.created, &path)?;
    }
    if let Some(expires) = manifest.expires.filter(|&expires| expires <= asked.clock) {
        return Err(Error::new(
            Kind::Stale,
            format!("{path} expired at {}; it is {} now", spell(expires), spell(asked.clock)),
        )
        .hint("ask the sender for a newer one"));
    }
    let Some(position) = position else { return Ok(fresh) };
    let Some(state) = asked.state else {
        fresh.standing = Standing::Unchecked;
        fresh.notes.push(format!(
            "{path} is {position}; without state it was not checked whether a later one came before it"
        ));
        return Ok(fresh);
    };
    let place = Place::new(state, Side::Received, &position.stream);
    if asked.purpose != Purpose::Look {
        place.prepare()?;
    }
    if asked.purpose == Purpose::Import {
        fresh.held = Some(place.hold()?);
    }
    let known = place.read()?;
    if let Some(known) = &known {
        right_clock(
            asked.clock,
            known.created,
            &format!("the last bundle of {}", position.stream),
        )?;
    }
    let digest = bundle.digest();
    fresh.standing = compare(known.as_ref(), &position, digest, asked.accept_jump, &path)?;
    match fresh.standing {
        Standing::First => fresh.notes.push(format!(
            "{path} is {position}, the first of it seen here: rollback could not be checked"
        )),
        Standing::Later(before) if is_jump(Some(before), position.sequence) => {
            fresh.notes.push(format!("{path} is {position}; the one before it was {before}"));
        }
        _ => {}
    }
    let signers = bundle.signers().iter().filter(|signer| signer.trusted.is_some());
    let record = Record {
        stream: position.stream,
        sequence: position.sequence,
        digest: Some(digest),
        created: manifest.created.max(known.map_or(0, |known| known.created)),
        signers: signers.map(|signer| signer.id.to_string()).collect(),
    };
    fresh.record = (asked.purpose != Purpose::Look).then_some((place, record));
    Ok(fresh)
}

impl Fresh {
    /// Remembers the bundle as the highest of its stream.
    ///
    /// # Errors
    /// [`Kind::Io`]; [`Kind::Stale`] where another one with the same number was remembered meanwhile,
    /// or what is remembered was damaged.
    pub fn remember(self) -> Result<()> {
        let Some((place, record)) = self.record else { return Ok(()) };
        let _lock = place.lock()?;
        match place.read()? {
            Some(known) if known.sequence > record.sequence => Ok(()),
            Some(known) if known.sequence == record.sequence => {
                if known.digest == record.digest {
                    return Ok(());
                }
                let position = Position { stream: record.stream, sequence: record.sequence };
                Err(forked(&position, &known, "what was checked"))
            }
            _ => place.replace(&record),
        }
    }
}

/// Whether the clock can be right, going by when a trusted sender says that he made something.
fn right_clock(clock: u64, created: u64, what: &str) -> Result<()> {
    let absurd = |how: &str| {
        let (now, made) = (spell(clock), spell(created));
        Err(Error::new(
            Kind::Stale,
            format!("the clock of this machine says {now}; {what} was made at {made}, {how}"),
        )
        .hint("set the clock: whether a bundle has expired is judged by it"))
    };
    if clock.saturating_add(SKEW) < created {
        return absurd("which is yet to come");
    }
    if clock > created.saturating_add(OLDEST) {
        return absurd("more than 20 years before");
    }
    Ok(())
}

/// Whether a number is absurdly high for one that follows `before`, or for the first. Numbers that
/// are dates leap at the end of a year, and milliseconds go on while nothing is exported: so those
/// that are large already may grow to twice what they are.
fn is_jump(before: Option<u64>, sequence: u64) -> bool {
    match before {
        None => sequence > BEGINNING,
        Some(before) => sequence.saturating_sub(before) > before.clamp(STEP, BEGINNING),
    }
}

fn compare(
    known: Option<&Record>,
    position: &Position,
    digest: Digest,
    accept_jump: bool,
    path: &str,
) -> Result<Standing> {
    let before = known.map_or(0, |known| known.sequence);
    if let Some(known) = known {
        if position.sequence < before {
            return Err(Error::new(
                Kind::Stale,
                format!("{path} is {position}, and number {before} was seen here before"),
            )
            .because(seen(known))
            .hint("an older bundle was brought again: ask for the newest. Where two senders use one name for a stream, one of them has to choose another"));
        }
        if position.sequence == before {
            return if known.digest == Some(digest) {
                Ok(Standing::Same)
            } else {
                Err(forked(position, known, path))
            };
        }
    }
    if is_jump(known.map(|known| known.sequence), position.sequence) && !accept_jump {
        return Err(Error::new(
            Kind::Stale,
            format!(
                "{path} is {position}, absurdly far above {}",
                known.map_or_else(|| "the beginning".to_owned(), |_| format!("number {before}"))
            ),
        )
        .hint("ask the sender; if it is right, --accept-jump takes it, and every lower number is refused from then on"));
    }
    Ok(if known.is_some() { Standing::Later(before) } else { Standing::First })
}

fn forked(position: &Position, known: &Record, path: &str) -> Error {
    Error::new(
        Kind::Stale,
        format!(
            "{path} is {position}, and so was another bundle that was seen here: the stream forks"
        ),
    )
    .because(seen(known))
    .hint("ask the sender which of the two is right, and for one with a new number")
}

/// What is known of the bundle that was seen last.
fn seen(known: &Record) -> String {
    let digest = known.digest.map_or_else(String::new, |digest| format!("{digest}, "));
    let short = |id: &String| id.get(..16).unwrap_or(id).to_owned();
    let by = known.signers.iter().map(short).collect::<Vec<_>>().join(", ");
    format!("that was {digest}made at {} and signed by {by}", spell(known.created))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: u64 = 1_790_000_000;

    fn known(sequence: u64, content: &[u8]) -> Record {
        Record {
            stream: "prod".parse().unwrap(),
            sequence,
            digest: Some(Digest::of(content)),
            created: MADE,
            signers: vec!["0".repeat(64)],
        }
    }

    fn at(before: Option<&Record>, sequence: u64, content: &[u8], jump: bool) -> Result<Standing> {
        let position = Position { stream: "prod".parse().unwrap(), sequence };
        compare(before, &position, Digest::of(content), jump, "x")
    }

    #[test]
    fn only_what_follows_is_taken() {
        let seven = known(7, b"seven");
        assert_eq!(at(None, 7, b"a", false).unwrap(), Standing::First);
        assert_eq!(at(Some(&seven), 8, b"a", false).unwrap(), Standing::Later(7));
        assert_eq!(at(Some(&seven), 7, b"seven", false).unwrap(), Standing::Same);
        for (sequence, content) in [(6, &b"six"[..]), (1, b"seven"), (7, b"other")] {
            assert_eq!(at(Some(&seven), sequence, content, true).unwrap_err().kind(), Kind::Stale);
        }
    }

    #[test]
    fn absurd_numbers_are_taken_only_where_somebody_says_so() {
        let absurd = |before: Option<u64>, sequence| {
            let before = before.map(|before| known(before, b"before"));
            assert_eq!(at(before.as_ref(), sequence, b"a", false).unwrap_err().kind(), Kind::Stale);
            assert!(at(before.as_ref(), sequence, b"a", true).is_ok());
        };
        let fine = |before: Option<u64>, sequence| {
            let before = before.map(|before| known(before, b"before"));
            assert!(at(before.as_ref(), sequence, b"a", false).is_ok());
        };
        for sequence in [u64::MAX, 1 << 63, BEGINNING + 1] {
            absurd(None, sequence);
            absurd(Some(7), sequence);
        }
        fine(None, BEGINNING);
        // Who counts does not count in such steps, below all absurd ends too.
        absurd(Some(7), STEP + 8);
        fine(Some(7), STEP + 7);
        absurd(Some(7), 20_261_231_235_959);
        // A date to the second, from one year to the next; milliseconds since 1970, a year later.
        fine(None, 20_261_231_235_959);
        fine(Some(20_261_231_235_959), 20_270_101_000_000);
        fine(Some(1_790_000_000_000), 1_821_536_000_000);
        absurd(Some(1_790_000_000_000), 20_261_231_235_959);
        // Near the end no room is left to double.
        absurd(Some(1 << 62), (1 << 62) + BEGINNING + 1);
        let last = known(u64::MAX, b"last");
        assert_eq!(at(Some(&last), u64::MAX, b"last", false).unwrap(), Standing::Same);
        assert!(at(Some(&last), 8, b"a", true).is_err());
    }

    #[test]
    fn a_clock_that_cannot_be_right_is_no_clock() {
        for right in [MADE, MADE - SKEW, MADE + 1, MADE + OLDEST] {
            right_clock(right, MADE, "x").unwrap();
        }
        for wrong in [0, MADE - SKEW - 1, MADE + OLDEST + 1, 4_070_908_800, u64::MAX] {
            assert_eq!(right_clock(wrong, MADE, "x").unwrap_err().kind(), Kind::Stale, "{wrong}");
        }
    }
}
