//! The counting behind progress: what moved, how fast, how long yet.
//!
//! What is shown never goes back: a transfer that begins again leaves the high-water mark where it
//! was, and the mark waits until the bytes have caught up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::output::{duration, escape, size};
use super::pace::Pace;
use crate::endpoint::{Event, How, TransferId};

/// One transfer under way.
#[derive(Debug)]
pub(super) struct Running {
    /// What is moved, safe to print.
    pub(super) label: String,
    /// Its bytes, where known.
    pub(super) size: Option<u64>,
    /// The most that was ever moved of it.
    pub(super) shown: u64,
    /// Bytes moved since it last began.
    moved: u64,
    pace: Pace,
    again: bool,
}

impl Running {
    /// `12.0 MiB of 100.0 MiB, 4.2 MiB/s, 21 s left  sha256:…`
    pub(super) fn sentence(&self, now: Instant) -> String {
        let again = if self.again { " (again)" } else { "" };
        format!("{}  {}{again}", how_far(self.shown, self.size, &self.pace, now), self.label)
    }
}

/// Everything that is known about the phase.
#[derive(Debug)]
pub(super) struct Tally {
    /// What is being done, safe to print; empty before the first phase.
    title: String,
    /// What goes on when all bytes have moved, safe to print.
    then: Option<String>,
    /// Bytes of the whole phase, where known.
    pub(super) total: Option<u64>,
    /// Transfers under way, oldest first.
    pub(super) running: BTreeMap<TransferId, Running>,
    /// Bytes that count towards the total.
    done: u64,
    /// The most that `done` ever was.
    high: u64,
    pace: Pace,
}

impl Tally {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            title: String::new(),
            then: None,
            total: None,
            running: BTreeMap::new(),
            done: 0,
            high: 0,
            pace: Pace::new(now),
        }
    }

    /// Takes one event.
    pub(super) fn take(&mut self, event: &Event<'_>, now: Instant) {
        match *event {
            Event::Phase { title, total } => {
                *self = Self { title: escape(title).into_owned(), total, ..Self::new(now) };
            }
            Event::Then(then) => self.then = Some(escape(then).into_owned()),
            Event::Started { id, label, size } => {
                let label = escape(label).into_owned();
                let pace = Pace::new(now);
                let running = Running { label, size, shown: 0, moved: 0, pace, again: false };
                self.running.insert(id, running);
            }
            Event::Advanced { id, bytes } => {
                if let Some(transfer) = self.running.get_mut(&id) {
                    transfer.moved = transfer.moved.saturating_add(bytes);
                    transfer.shown = transfer.shown.max(transfer.moved);
                    transfer.pace.add(bytes, now);
                }
                self.done = self.done.saturating_add(bytes);
                self.pace.add(bytes, now);
            }
            Event::Restarted { id } => {
                if let Some(transfer) = self.running.get_mut(&id) {
                    self.done = self.done.saturating_sub(transfer.moved);
                    transfer.moved = 0;
                    transfer.again = true;
                }
            }
            Event::Finished { id, how } => {
                // What was moved in another way than through a reader counts too. What turned out
                // to be there was no part of the total.
                if let (Some(transfer), How::Moved) = (self.running.remove(&id), how) {
                    let rest = transfer.size.unwrap_or(0).saturating_sub(transfer.moved);
                    self.done = self.done.saturating_add(rest);
                }
            }
            Event::Warning(_) | Event::Note(_) => {}
        }
        self.high = self.high.max(self.done);
    }

    /// What is being done now, safe to print; empty before the first phase.
    pub(super) fn title(&self) -> &str {
        match &self.then {
            Some(then) if self.has_moved_all() => then,
            _ => &self.title,
        }
    }

    /// How long the phase has taken, as in `2 min 5 s`.
    pub(super) fn elapsed(&self, now: Instant) -> String {
        duration(self.pace.elapsed(now))
    }

    /// Whether nothing is left to be moved in this phase, whatever else is still to be done.
    fn has_moved_all(&self) -> bool {
        self.total.is_some_and(|total| self.high >= total)
    }

    /// Bytes done; never less than before within a phase, never more than its total.
    pub(super) fn position(&self) -> u64 {
        self.total.map_or(self.high, |total| self.high.min(total))
    }

    /// `312.0 MiB of 1.0 GiB, 45.1 MiB/s, about 16 s left`; empty where nothing moves and nothing
    /// was announced.
    pub(super) fn sentence(&self, now: Instant) -> String {
        if self.total.is_none() && self.high == 0 {
            return String::new();
        }
        if self.then.is_some() && self.has_moved_all() {
            let (all, time) = (size(self.position()), self.elapsed(now));
            return format!("all {all} are there, {time} so far");
        }
        how_far(self.position(), self.total, &self.pace, now)
    }

    /// `reading images: 1.0 GiB in 23 s, 45.1 MiB/s`; nothing for a phase that moved nothing.
    pub(super) fn summary(&self, now: Instant) -> Option<String> {
        if self.title.is_empty() || self.high == 0 {
            return None;
        }
        let time = self.elapsed(now);
        let then = self.then.as_ref().map_or_else(String::new, |then| format!(" and {then}"));
        let moved = format!("{}{then}: {} in {time}", self.title, size(self.position()));
        Some(match self.pace.average(now) {
            Some(average) => format!("{moved}, {}/s", size(average)),
            None => moved,
        })
    }
}

fn how_far(done: u64, total: Option<u64>, pace: &Pace, now: Instant) -> String {
    let mut text = size(done);
    if let Some(total) = total {
        text = format!("{text} of {}", size(total));
    }
    if let Some(speed) = pace.speed(now) {
        text = format!("{text}, {}/s", size(speed));
    }
    let left = total.and_then(|total| pace.time_for(total.saturating_sub(done), now));
    match left.filter(|left| *left > Duration::ZERO) {
        Some(left) => format!("{text}, about {} left", duration(left)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn begun(total: Option<u64>) -> (Tally, Instant) {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        tally.take(&Event::Phase { title: "reading images", total }, start);
        tally.take(&Event::Started { id: 1, label: "a", size: Some(100 * MIB) }, start);
        (tally, start)
    }

    #[test]
    fn beginning_again_never_moves_the_mark_back() {
        let (mut tally, now) = begun(Some(1024 * MIB));
        tally.take(&Event::Advanced { id: 1, bytes: 60 * MIB }, now);
        tally.take(&Event::Restarted { id: 1 }, now);
        assert_eq!((tally.position(), tally.running[&1].shown), (60 * MIB, 60 * MIB));
        tally.take(&Event::Advanced { id: 1, bytes: 50 * MIB }, now);
        assert_eq!(tally.position(), 60 * MIB);
        assert_eq!(tally.running[&1].sentence(now), "60.0 MiB of 100.0 MiB  a (again)");
        tally.take(&Event::Advanced { id: 1, bytes: 50 * MIB }, now);
        assert_eq!((tally.position(), tally.running[&1].shown), (100 * MIB, 100 * MIB));
    }

    #[test]
    fn what_was_there_is_no_part_of_the_total() {
        let (mut tally, start) = begun(Some(200 * MIB));
        tally.take(&Event::Finished { id: 1, how: How::Mounted }, start);
        assert_eq!(tally.position(), 0);
        assert!(tally.running.is_empty());
    }

    #[test]
    fn what_moved_unseen_counts_as_done_but_not_as_speed() {
        let (mut tally, start) = begun(Some(200 * MIB));
        tally.take(&Event::Advanced { id: 1, bytes: 15 * MIB }, start);
        tally.take(&Event::Finished { id: 1, how: How::Moved }, start);
        assert_eq!(
            tally.sentence(start + Duration::from_secs(1)),
            "100.0 MiB of 200.0 MiB, 15.0 MiB/s, about 7 s left"
        );
    }

    #[test]
    fn more_than_was_announced_stays_at_the_total() {
        let (mut tally, now) = begun(Some(MIB));
        tally.take(&Event::Advanced { id: 1, bytes: 5 * MIB }, now);
        assert_eq!(tally.sentence(now), "1.0 MiB of 1.0 MiB");
    }

    #[test]
    fn the_sentence_says_how_far_how_fast_and_how_long() {
        let (mut tally, start) = begun(Some(1024 * MIB));
        for second in 1..=8 {
            let now = start + Duration::from_secs(second);
            tally.take(&Event::Advanced { id: 1, bytes: 39 * MIB }, now);
        }
        let now = start + Duration::from_secs(8);
        assert_eq!(tally.sentence(now), "312.0 MiB of 1.0 GiB, 39.0 MiB/s, about 19 s left");
        assert_eq!(tally.summary(now).unwrap(), "reading images: 312.0 MiB in 8 s, 39.0 MiB/s");
    }

    /// When all is read, nobody should believe that all is done.
    #[test]
    fn what_goes_on_afterwards_is_said() {
        let (mut tally, start) = begun(Some(100 * MIB));
        tally.take(&Event::Then("packing\x1b"), start);
        tally.take(&Event::Advanced { id: 1, bytes: 99 * MIB }, start);
        assert_eq!(tally.title(), "reading images");
        assert_eq!(tally.sentence(start), "99.0 MiB of 100.0 MiB");
        tally.take(&Event::Advanced { id: 1, bytes: MIB }, start);
        assert_eq!(tally.title(), "packing\\u{1b}");
        let later = start + Duration::from_secs(50);
        assert_eq!(tally.sentence(later), "all 100.0 MiB are there, 50 s so far");
        assert_eq!(
            tally.summary(later).unwrap(),
            "reading images and packing\\u{1b}: 100.0 MiB in 50 s, 2.0 MiB/s"
        );
        // It belongs to its phase.
        tally.take(&Event::Phase { title: "sealing", total: None }, later);
        assert_eq!((tally.title(), tally.sentence(later).as_str()), ("sealing", ""));
    }

    #[test]
    fn a_phase_without_bytes_has_nothing_to_say() {
        let mut tally = Tally::new(Instant::now());
        tally.take(&Event::Phase { title: "asking", total: None }, Instant::now());
        assert_eq!(tally.sentence(Instant::now()), "");
    }

    #[test]
    fn a_new_phase_counts_from_nothing() {
        let (mut tally, now) = begun(Some(MIB));
        tally.take(&Event::Advanced { id: 1, bytes: MIB }, now);
        tally.take(&Event::Phase { title: "next\x1b[2J", total: None }, now);
        assert_eq!((tally.position(), tally.running.len()), (0, 0));
        assert_eq!(tally.title(), "next\\u{1b}[2J");
        assert_eq!(tally.summary(now), None);
    }
}
