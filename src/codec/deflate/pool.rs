//! Threads that make segments, shared by all streams that are being rebuilt.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

type Job = Box<dyn FnOnce() + Send>;

/// Some threads that run jobs in the order in which they come. They end with the pool.
#[derive(Debug)]
pub struct Pool {
    jobs: Sender<Job>,
    threads: usize,
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
        Self { jobs, threads }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on one of the threads. What it returns comes through the channel, or nothing
    /// does where it panicked.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (result, coming) = bounded(1);
        let job = Box::new(move || {
            let _ = result.send(work());
        });
        // The threads outlive the pool.
        let _ = self.jobs.send(job);
        coming
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
