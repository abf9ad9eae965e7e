//! Which answers pass, and how long is waited for that. Every number has its reason here.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How patient the client is with a registry that is busy, slow or gone.
#[derive(Clone, Debug)]
pub struct Patience {
    /// How often one thing is asked for before it counts as failed. Eight tries with doubling waits
    /// span three quarters of a minute: the restart of a registry, or a wireless line that is lost
    /// and found again.
    pub attempts: u32,
    /// The first wait; each further one is twice as long. Half a second is what a registry needs
    /// to shed a burst.
    pub first_wait: Duration,
    /// No computed wait is longer than this.
    pub longest_wait: Duration,
    /// No wait that a registry asks for (`Retry-After`) is longer than this. Docker Hub asks for
    /// hours when its pull limit is reached; a person is better served by an error then.
    pub longest_retry_after: Duration,
    /// How long a connection may take to come up.
    pub connect: Duration,
    /// How long a registry may be silent before it answers, or between two pieces of an answer.
    pub silence: Duration,
    /// How long a whole small answer (a manifest, a token, an error) may take: a registry that
    /// drips bytes must not hold us for ever.
    pub small_answer: Duration,
    /// How long a registry may take over an upload besides the transfer itself: it hashes or
    /// copies ten gigabytes before it answers.
    pub commit: Duration,
    /// The slowest transfer that is still waited for, in bytes a second: that of a modem. Slower,
    /// and one large layer would take weeks.
    pub slowest: u64,
    /// How long one thing may be tried for without coming any further, whatever the number of
    /// attempts: a registry that is silent each time takes its time over each of them.
    pub fruitless: Duration,
    /// How long a broken upload waits for what the registry may have wanted to say, such as a
    /// proxy's `413`, before it is tried again.
    pub last_words: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 8,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
            longest_retry_after: Duration::from_secs(30),
            connect: Duration::from_secs(20),
            silence: Duration::from_secs(90),
            small_answer: Duration::from_mins(5),
            commit: Duration::from_mins(15),
            slowest: 4 << 10,
            fruitless: Duration::from_mins(10),
            last_words: Duration::from_secs(2),
        }
    }
}

impl Patience {
    /// The usual patience, but with everything tried again `retries` times, however long that
    /// takes.
    pub fn with_retries(retries: u32) -> Self {
        let usual = Self::default();
        let attempts = retries.saturating_add(1);
        Self {
            attempts,
            fruitless: usual.fruitless.max(usual.longest_wait.saturating_mul(attempts)),
            ..usual
        }
    }

    /// How long to wait before attempt number `attempt` (the second try is number 1) where the
    /// registry wished for `asked`. Half of a computed wait is chance, so that clients which a
    /// registry turned away together do not come back together.
    pub(super) fn wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        if let Some(asked) = asked {
            return asked.min(self.longest_retry_after);
        }
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.first_wait.saturating_mul(doubled).min(self.longest_wait);
        full / 2 + (full / 2).mul_f64(chance())
    }

    /// How long a request that uploads `size` bytes may take.
    pub(super) fn upload(&self, size: u64) -> Duration {
        self.commit.saturating_add(Duration::from_secs(size / self.slowest.max(1)))
    }
}

/// A number in 0..1. Where the system has no randomness to give, waits are merely not spread.
fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX))
}

/// Whether a registry that answers so may answer otherwise a little later. Of the refusals (4xx)
/// these are the ones that are about the moment and not about what was asked: it took too long
/// (408), too early (425, RFC 8470), too often (429).
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Whether a registry that answers so wants fewer requests.
pub(super) fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503)
}

/// The wait that a registry asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are as good as the largest number: the wait is capped anyway.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let when = jiff::fmt::rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(text)
        .ok()?;
    let wait = when.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn waits_grow_and_are_capped() {
        let patience = Patience::default();
        assert!(patience.wait(1, None) >= Duration::from_millis(250));
        assert!(patience.wait(1, None) <= Duration::from_millis(500));
        assert!(patience.wait(3, None) >= Duration::from_secs(1));
        for attempt in [30, 31, 32, 33, u32::MAX] {
            assert!(patience.wait(attempt, None) <= patience.longest_wait);
            assert!(patience.wait(attempt, None) >= patience.longest_wait / 2);
        }
    }

    #[test]
    fn more_tries_are_given_the_time_that_they_take() {
        let usual = Patience::default();
        let little = Patience::with_retries(0);
        assert_eq!((little.attempts, little.fruitless), (1, usual.fruitless));
        let much = Patience::with_retries(200);
        assert!(much.fruitless >= much.longest_wait * 200, "{much:?}");
        assert_eq!(Patience::with_retries(u32::MAX).attempts, u32::MAX);
    }

    #[test]
    fn what_is_refused_for_good_is_not_asked_again() {
        for status in [200, 301, 400, 401, 403, 404, 405, 409, 412, 413, 416, 451, 501, 505] {
            assert!(!is_passing(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_capped() {
        let patience = Patience::default();
        for (text, least, most) in [
            ("7", 7, 7),
            ("1000000000", 30, 30),
            ("99999999999999999999999999999999", 30, 30),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
            ("Fri, 31 Dec 9998 23:59:59 GMT", 30, 30),
        ] {
            let wait = patience.wait(1, Some(retry_after(&headers(text)).unwrap()));
            assert!((least..=most).contains(&wait.as_secs()), "{text}: {wait:?}");
        }
        for text in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(&headers(text)), None, "{text:?}");
        }
    }
}
