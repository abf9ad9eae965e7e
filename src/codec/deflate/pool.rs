//! Threads that make segments, shared by all streams that are being rebuilt.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

type Job = Box<dyn FnOnce() + Send>;

/// Some threads that run jobs in the order in which they come. They end with the pool.
#[derive(Debug)]
pub struct Pool {
    jobs: Sender<Job>,
    threads: usize,
    /// Jobs that wait or run.
    busy: Arc<AtomicUsize>,
}

impl Pool {
    /// Starts `threads` threads, at least one.
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        let (jobs, coming) = unbounded::<Job>();
        for _ in 0..threads {
            let coming = coming.clone();
            std::thread::spawn(move || {
                for job in coming {
                    // An engine that panics on a hostile recipe takes its own result along, no more.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            });
        }
        Self { jobs, threads, busy: Arc::default() }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Whether a thread is free or soon will be.
    pub(super) fn has_room(&self) -> bool {
        self.busy.load(Ordering::Relaxed) <= self.threads
    }

    /// Runs `work` on one of the threads. What it returns comes through the channel, or nothing
    /// does where it panicked.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (result, coming) = bounded(1);
        self.busy.fetch_add(1, Ordering::Relaxed);
        let busy = Busy(Arc::clone(&self.busy));
        let job = Box::new(move || {
            let _busy = busy;
            let _ = result.send(work());
        });
        // The threads outlive the pool.
        let _ = self.jobs.send(job);
        coming
    }
}

/// One job; gone when the job is, however it ended.
struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_panics_harms_nobody_else() {
        let pool = Pool::new(1);
        let bad = pool.run(|| panic!("on purpose"));
        let good = pool.run(|| 7);
        assert!(bad.recv().is_err());
        assert_eq!(good.recv(), Ok(7));
    }
}
