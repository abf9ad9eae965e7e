//! Progress on a terminal: a bar for the whole phase, and one for each larger transfer under way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::report;
use super::tally::Tally;
use crate::endpoint::{Event, Progress, TransferId};

/// More bars than this are noise, and small terminals cannot hold them.
const MOST: usize = 6;

/// What is smaller than this is gone before its bar could be read.
const WORTH_A_BAR: u64 = 256 << 10;

/// Bars on a terminal. They are wiped when the listener is dropped.
pub(super) struct Bars {
    multi: MultiProgress,
    state: Mutex<State>,
    colours: bool,
}

struct State {
    tally: Tally,
    whole: Option<ProgressBar>,
    each: HashMap<TransferId, ProgressBar>,
}

const WHOLE: &str = "{prefix} {bar:20} {percent:>3}%  {wide_msg}";
const WHOLE_COLOURED: &str = "{prefix} {bar:20.cyan} {percent:>3}%  {wide_msg}";
const WHOLE_UNKNOWN: &str = "{prefix} {spinner} {wide_msg}";
const EACH: &str = "  {bar:12}  {wide_msg}";
const EACH_COLOURED: &str = "  {bar:12.dim}  {wide_msg}";
const EACH_UNKNOWN: &str = "  {spinner:12}  {wide_msg}";

/// The templates are constants; one that does not parse is found by the tests, not by a user.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}

/// A bar that is drawn only once it is among the others: on its own it would write a line that
/// nobody wipes.
fn unseen(length: Option<u64>, template: &str) -> ProgressBar {
    ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden()).with_style(style(template))
}

impl Bars {
    pub(super) fn new(target: ProgressDrawTarget, colours: bool) -> Self {
        Self {
            multi: MultiProgress::with_draw_target(target),
            state: Mutex::new(State {
                tally: Tally::new(Instant::now()),
                whole: None,
                each: HashMap::new(),
            }),
            colours,
        }
    }

    fn begin_phase(&self, state: &mut State) {
        self.wipe(state);
        let template = match (state.tally.total, self.colours) {
            (None, _) => WHOLE_UNKNOWN,
            (Some(_), true) => WHOLE_COLOURED,
            (Some(_), false) => WHOLE,
        };
        let bar = self.multi.insert(0, unseen(state.tally.total, template));
        bar.set_prefix(state.tally.title().to_owned());
        // Keeps the spinner turning, and redraws after the terminal was resized.
        bar.enable_steady_tick(Duration::from_millis(250));
        state.whole = Some(bar);
    }

    /// Gives bars to the oldest transfers that are worth one.
    fn fill(&self, state: &mut State) {
        for (id, transfer) in &state.tally.running {
            if state.each.len() >= MOST {
                break;
            }
            // A transfer that is the whole phase has its bar already.
            let worth = transfer.size.is_none_or(|size| size >= WORTH_A_BAR)
                && transfer.label != state.tally.title();
            if !worth || state.each.contains_key(id) {
                continue;
            }
            let template = match (transfer.size, self.colours) {
                (None, _) => EACH_UNKNOWN,
                (Some(_), true) => EACH_COLOURED,
                (Some(_), false) => EACH,
            };
            let bar = self.multi.add(unseen(transfer.size, template));
            bar.set_message(transfer.sentence(Instant::now()));
            state.each.insert(*id, bar);
        }
    }

    fn wipe(&self, state: &mut State) {
        for (_, bar) in state.each.drain() {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
        if let Some(bar) = state.whole.take() {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
    }
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        state.tally.take(&event, now);
        match event {
            Event::Phase { .. } => self.begin_phase(state),
            Event::Started { .. } => self.fill(state),
            Event::Advanced { id, .. } | Event::Restarted { id } => {
                if let (Some(bar), Some(transfer)) =
                    (state.each.get(&id), state.tally.running.get(&id))
                {
                    bar.set_position(transfer.shown);
                    bar.set_message(transfer.sentence(now));
                }
            }
            Event::Finished { id, .. } => {
                if let Some(bar) = state.each.remove(&id) {
                    bar.finish_and_clear();
                    self.multi.remove(&bar);
                }
                self.fill(state);
            }
            Event::Then(_) => {}
            Event::Warning(text) => self.multi.suspend(|| {
                let _ = report::warning(text, &mut std::io::stderr().lock(), self.colours);
            }),
            Event::Note(text) => self.multi.suspend(|| {
                let _ = report::note(text, &mut std::io::stderr().lock());
            }),
        }
        if let Some(bar) = &state.whole {
            bar.set_prefix(state.tally.title().to_owned());
            bar.set_position(state.tally.position());
            bar.set_message(state.tally.sentence(now));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (_, bar) in state.each.drain() {
            bar.finish_and_clear();
        }
        if let Some(bar) = state.whole.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use indicatif::TermLike;

    use super::*;
    use crate::endpoint::How;

    /// A terminal that keeps everything that was ever written to it.
    #[derive(Clone, Debug, Default)]
    struct Roll(Arc<Mutex<String>>);

    impl Roll {
        fn add(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }
    }

    impl TermLike for Roll {
        fn width(&self) -> u16 {
            140
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.add(text);
            self.add("\n");
            Ok(())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.add(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn bars() -> (Bars, Roll) {
        let roll = Roll::default();
        (Bars::new(ProgressDrawTarget::term_like(Box::new(roll.clone())), false), roll)
    }

    #[test]
    fn the_whole_and_each_transfer_are_drawn() {
        let (bars, roll) = bars();
        bars.event(Event::Phase { title: "sending", total: Some(4 << 20) });
        bars.event(Event::Started { id: 1, label: "sha256:abc", size: Some(2 << 20) });
        bars.event(Event::Advanced { id: 1, bytes: 1 << 20 });
        bars.event(Event::Finished { id: 1, how: How::Moved });
        drop(bars);
        let drawn = roll.0.lock().unwrap().clone();
        assert!(drawn.contains("sending ━━━━━"), "{drawn}");
        assert!(drawn.contains(" 25%  1.0 MiB of 4.0 MiB"), "{drawn}");
        assert!(drawn.contains("1.0 MiB of 2.0 MiB  sha256:abc"), "{drawn}");
    }

    #[test]
    fn no_more_bars_than_fit_and_the_next_takes_a_free_place() {
        let (bars, _) = bars();
        bars.event(Event::Phase { title: "sending", total: None });
        for id in 0..20 {
            bars.event(Event::Started { id, label: "x", size: None });
        }
        bars.event(Event::Started { id: 20, label: "small", size: Some(10) });
        let shown = |bars: &Bars| {
            let mut ids: Vec<_> = bars.state.lock().unwrap().each.keys().copied().collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(shown(&bars), [0, 1, 2, 3, 4, 5]);
        bars.event(Event::Finished { id: 2, how: How::Failed });
        assert_eq!(shown(&bars), [0, 1, 3, 4, 5, 6]);
    }

    #[test]
    fn every_template_parses() {
        for template in [WHOLE, WHOLE_COLOURED, WHOLE_UNKNOWN, EACH, EACH_COLOURED, EACH_UNKNOWN] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
