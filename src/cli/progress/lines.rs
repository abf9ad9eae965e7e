//! Progress for logs: a plain line now and then, and one at the end of each phase.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};

use super::super::report;
use super::tally::Tally;
use crate::endpoint::{Event, Progress};

/// Often enough to see that it lives.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// What takes long is told of more seldom: a line after another twelfth of the time, so that the log
/// of an hour can still be read,
const SHARE: u32 = 12;

/// and at the latest after so many periods.
const LATEST: u32 = 12;

struct Log {
    command: &'static str,
    tally: Tally,
    out: Box<dyn Write + Send>,
}

impl Log {
    fn say(&mut self, text: &str) {
        // A closed stderr is nobody to tell.
        let _ = report::note(&format!("{}: {text}", self.command), &mut self.out);
    }

    /// What is being done, and how far it is.
    fn tell(&mut self) {
        let now = Instant::now();
        let (title, sentence) = (self.tally.title(), self.tally.sentence(now));
        let text = match (title.is_empty(), sentence.is_empty()) {
            (true, _) => return,
            // Nothing counts there, but the clock does: two such lines are not the same.
            (false, true) => format!("{title}, {} so far", self.tally.elapsed(now)),
            (false, false) => format!("{title}: {sentence}"),
        };
        self.say(&text);
    }

    fn end_phase(&mut self) {
        if let Some(summary) = self.tally.summary(Instant::now()) {
            self.say(&summary);
        }
    }
}

/// Writes lines; a thread of its own keeps time, so that a stalled transfer is seen to stall.
pub(super) struct Lines {
    log: Arc<Mutex<Log>>,
    stop: Option<Sender<()>>,
    clock: Option<JoinHandle<()>>,
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    /// Starts listening for `command`, with a line to `out` every `period` at first.
    pub(super) fn start(
        command: &'static str,
        out: Box<dyn Write + Send>,
        period: Duration,
    ) -> Self {
        let log = Arc::new(Mutex::new(Log { command, tally: Tally::new(Instant::now()), out }));
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let shared = Arc::clone(&log);
        let clock = std::thread::spawn(move || {
            let (began, mut wait) = (Instant::now(), period);
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                lock(&shared).tell();
                wait = pause(began.elapsed(), period);
            }
        });
        Self { log, stop: Some(stop), clock: Some(clock) }
    }
}

/// How long until the next line, when so much time has gone by.
fn pause(elapsed: Duration, period: Duration) -> Duration {
    (elapsed / SHARE).clamp(period, period * LATEST)
}

impl Progress for Lines {
    fn event(&self, event: Event<'_>) {
        let mut log = lock(&self.log);
        match event {
            Event::Phase { .. } => log.end_phase(),
            Event::Warning(text) => {
                let _ = report::warning(text, &mut log.out, false);
            }
            Event::Note(text) => {
                let _ = report::note(text, &mut log.out);
            }
            _ => {}
        }
        log.tally.take(&event, Instant::now());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(clock) = self.clock.take() {
            let _ = clock.join();
        }
        lock(&self.log).end_phase();
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(paper: &Paper) -> String {
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_at_the_end_of_each_phase_and_for_each_warning() {
        let paper = Paper::default();
        let lines = Lines::start("export", Box::new(paper.clone()), Duration::from_hours(1));
        lines.event(Event::Phase { title: "reading", total: Some(2048) });
        lines.event(Event::Started { id: 1, label: "a", size: None });
        lines.event(Event::Advanced { id: 1, bytes: 2048 });
        lines.event(Event::Warning("odd\x1b"));
        lines.event(Event::Phase { title: "sealing", total: None });
        drop(lines);
        assert_eq!(
            written(&paper),
            "warning: odd\\u{1b}\nsealift: export: reading: 2.0 KiB in 0 s\n"
        );
    }

    #[test]
    fn the_clock_speaks_even_when_nothing_moves() {
        let paper = Paper::default();
        let lines = Lines::start("import", Box::new(paper.clone()), Duration::from_millis(10));
        lines.event(Event::Phase { title: "sending", total: Some(2048) });
        let patience = Instant::now() + Duration::from_secs(20);
        while written(&paper).lines().count() < 2 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(lines);
        let first = written(&paper);
        assert_eq!(
            first.lines().next(),
            Some("sealift: import: sending: 0 B of 2.0 KiB"),
            "{first}"
        );
    }

    #[test]
    fn what_cannot_be_counted_is_timed() {
        let paper = Paper::default();
        let lines = Lines::start("export", Box::new(paper.clone()), Duration::from_hours(1));
        lock(&lines.log).tell();
        assert_eq!(written(&paper), "", "nothing has begun");
        lines.event(Event::Phase { title: "sealing", total: None });
        lock(&lines.log).tell();
        assert_eq!(written(&paper), "sealift: export: sealing, 0 s so far\n");
    }

    #[test]
    fn lines_get_seldom() {
        let after = |seconds| pause(Duration::from_secs(seconds), PERIOD).as_secs();
        assert_eq!([0, 5, 60, 120, 600, 3600, 36_000].map(after), [5, 5, 5, 10, 50, 60, 60]);
        // In the first hour.
        let (mut now, mut lines) = (Duration::ZERO, 0);
        while now < Duration::from_hours(1) {
            now += pause(now, PERIOD);
            lines += 1;
        }
        assert!(lines < 100, "{lines} lines");
    }
}
