//! What is said about the age of a bundle.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::state::State;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::moment::{DAY, LATEST};
use crate::model::{Error, Position, Result, StreamName};
use crate::operation::freshness::{Dating, Numbering};

const HOUR: u64 = 60 * 60;

/// What is said about the age of a bundle.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) for what cannot be, and where the next number cannot
/// be known.
pub(super) fn dating(
    args: &args::StreamArgs,
    state: &State,
    environment: &Environment,
) -> Result<Dating> {
    let stream: Option<StreamName> = args.stream.as_deref().map(str::parse).transpose()?;
    let expires =
        args.expires.as_deref().map(|text| moment(text, environment.created)).transpose()?;
    let numbering = match (stream, args.sequence) {
        (None, _) => None,
        (Some(_), Some(0)) => {
            return Err(Error::usage("the bundles of a stream are numbered from 1"));
        }
        (Some(stream), Some(sequence)) => Some(Numbering::Given {
            position: Position { stream, sequence },
            state: state.folder()?.map(std::path::Path::to_path_buf),
        }),
        (Some(stream), None) => match state.folder()? {
            Some(folder) => Some(Numbering::Next { stream, state: folder.to_path_buf() }),
            None => {
                return Err(Error::usage(format!(
                    "the next number of stream {stream} is not known without state"
                ))
                .hint("name it with --sequence, or leave out --no-state"));
            }
        },
    };
    Ok(Dating { numbering, expires })
}

/// A moment, in seconds since 1970: `12h`, `30d` or `8w` after `created`; or the end of a day.
fn moment(text: &str, created: u64) -> Result<u64> {
    let bad = || {
        Error::usage(format!("not a time to expire at: {text:?}"))
            .hint("write it as in 12h, 30d, 8w or 2027-01-31")
    };
    let after = |unit: u64, number: &str| {
        number.parse().ok().and_then(|number: u64| created.checked_add(number.checked_mul(unit)?))
    };
    let found = if let Some(number) = text.strip_suffix('h') {
        after(HOUR, number)
    } else if let Some(number) = text.strip_suffix('d') {
        after(DAY, number)
    } else if let Some(number) = text.strip_suffix('w') {
        after(7 * DAY, number)
    } else {
        end_of_day(text)
    };
    let found = found.filter(|&found| found < LATEST).ok_or_else(bad)?;
    if found <= created {
        return Err(Error::usage(format!("{text} is past already"))
            .hint("name a time after the bundle is made"));
    }
    Ok(found)
}

/// The first second after a day, as in `2027-01-31`, by universal time.
fn end_of_day(text: &str) -> Option<u64> {
    let day: Date = text.parse().ok()?;
    let next: Timestamp = day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(next.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_after_the_bundle_is_made() {
        let made = 1_790_000_000;
        assert_eq!(moment("12h", made).unwrap(), made + 12 * HOUR);
        assert_eq!(moment("30d", made).unwrap(), made + 30 * DAY);
        assert_eq!(moment("8w", made).unwrap(), made + 56 * DAY);
        assert_eq!(moment("2027-01-31", made).unwrap(), 1_801_440_000);
        let bad = [
            "",
            "d",
            "0d",
            "-1d",
            "30",
            "1m",
            "2020-01-01",
            "2027-02-30",
            "99999999999999999d",
            "never",
            "1 d",
        ];
        for text in bad {
            assert!(moment(text, made).is_err(), "{text:?}");
        }
    }
}
