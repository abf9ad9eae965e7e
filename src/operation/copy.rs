//! The only transfer loop: carries out a target's plan with blobs from a source.
//!
//! Blobs first, then manifests from the leaves to the root, then names, then the target completes
//! itself. Every reader that reaches a target is digest-checked here, in this one place, and fails
//! at its end where the bytes are not what their digest says.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Scope;

use super::ahead::{Ahead, Content};
use super::pipe::pipe;
use crate::codec::checked::VerifiedReader;
use crate::codec::lanes::in_order;
use crate::endpoint::{
    Action, BlobStep, Event, Form, How, Plan, Progress, Source, Target, TransferId, Transfers,
};
use crate::model::{Error, Result};

/// How many blobs are fetched ahead of a target that takes them one by one.
pub const AHEAD: usize = 3;

/// What a copy needs beside source and target.
pub struct Surroundings<'a> {
    /// Hears what happens.
    pub progress: &'a dyn Progress,
    /// Takes temporary files without a name, each no larger than a blob.
    pub temporary: &'a Path,
    /// What is being done, for people: `fetching`, `importing`.
    pub title: &'a str,
    /// What goes on when all has been read, where that takes time: `packing`.
    pub then: Option<&'a str>,
}

/// Carries out `plan`, which came from `target` for images of `source`, and returns it, or the one
/// that took its place because the target had less than it seemed to.
pub fn run(
    source: &dyn Source,
    target: &dyn Target,
    plan: Plan,
    around: &Surroundings<'_>,
) -> Result<Plan> {
    let copy = Copy {
        source,
        target,
        transfers: Transfers::new(around.progress),
        temporary: around.temporary,
    };
    let mut plan = plan;
    loop {
        around
            .progress
            .event(Event::Phase { title: around.title, total: Some(plan.bytes_to_send()) });
        if let Some(then) = around.then {
            around.progress.event(Event::Then(then));
        }
        copy.content(&plan)?;
        match target.settle(&plan)? {
            None => break,
            Some(other) => plan = other,
        }
        around.progress.event(Event::Warning(
            "the target has less than it seemed to have: what was left out is sent after all",
        ));
    }
    let tags = plan.tags.iter().filter(|step| step.action == Action::Send);
    let by_repository = grouped(tags, |step| step.name.repository());
    copy.in_lanes(&by_repository, |steps| steps.iter().try_for_each(|step| target.put_tag(step)))?;
    target.finish(&plan)?;
    Ok(plan)
}

struct Copy<'a> {
    source: &'a dyn Source,
    target: &'a dyn Target,
    transfers: Transfers<'a>,
    temporary: &'a Path,
}

impl<'a> Copy<'a> {
    /// Blobs, then manifests.
    fn content(&self, plan: &Plan) -> Result<()> {
        self.target.begin(plan)?;
        let with = |wanted: fn(&Action) -> bool| -> Vec<&BlobStep> {
            plan.blobs.iter().filter(|step| wanted(&step.action)).collect()
        };
        let sent = with(|action| *action == Action::Send);
        if self.target.lanes() > 1 {
            self.in_lanes(&sent, |step| self.put(step))?;
        } else {
            self.one_by_one(&sent)?;
        }
        // What is linked from another repository must be there by now.
        let mounted = with(|action| matches!(action, Action::Mount { .. }));
        self.in_lanes(&mounted, |step| self.mount(step))?;
        // Only those of one place know each other.
        let manifests = plan.manifests.iter().filter(|step| step.action == Action::Send);
        let by_place = grouped(manifests, |step| &step.place);
        self.in_lanes(&by_place, |steps| {
            steps.iter().try_for_each(|step| self.target.put_manifest(step))
        })
    }

    /// Does something for every step, several at a time. A failure stops the rest; of several, that
    /// of the earliest step is told: later ones may have failed because of it.
    fn in_lanes<T: Sync>(&self, steps: &[T], act: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
        in_order(steps, self.target.lanes(), act).map(drop)
    }

    /// Puts blobs in order; where the source is far, the next ones are fetched meanwhile.
    fn one_by_one(&self, steps: &[&BlobStep]) -> Result<()> {
        if !self.source.is_remote() || steps.len() < 2 {
            return steps.iter().try_for_each(|step| self.put(step));
        }
        let ids: Vec<AtomicU64> = steps.iter().map(|_| AtomicU64::new(TransferId::MAX)).collect();
        let id = |at: usize| ids[at].load(Ordering::Relaxed);
        let open = |at: usize| -> Result<Box<dyn Read + Send + '_>> {
            let step = steps[at];
            let id = self.transfers.start(&label(step), Some(step.bytes));
            ids[at].store(id, Ordering::Relaxed);
            self.checked(step).map(|reader| Box::new(self.transfers.count(id, reader)) as _)
        };
        let ahead = Ahead::new(steps.len(), AHEAD, self.temporary, &open);
        std::thread::scope(|scope| {
            for _ in 0..AHEAD {
                scope.spawn(|| ahead.fetch());
            }
            let result = (0..steps.len()).try_for_each(|at| {
                let mut first = Some(ahead.take(at)?);
                let result = std::thread::scope(|inner| {
                    self.target.put_blob(steps[at], &mut || {
                        Ok(match first.take() {
                            Some(Content::Fetched(file)) => Box::new(file),
                            Some(Content::Direct(reader)) => Box::new(pipe(inner, reader)),
                            None => self.again(inner, steps[at], id(at))?,
                        })
                    })
                });
                self.transfers.finish(id(at), outcome(&result));
                result
            });
            ahead.stop();
            result
        })
    }

    /// Puts one blob.
    fn put(&self, step: &BlobStep) -> Result<()> {
        let id = self.transfers.start(&label(step), Some(step.bytes));
        let mut tried = false;
        let result = std::thread::scope(|scope| {
            self.target.put_blob(step, &mut || {
                if std::mem::replace(&mut tried, true) {
                    return self.again(scope, step, id);
                }
                Ok(Box::new(pipe(scope, self.transfers.count(id, self.checked(step)?))))
            })
        });
        self.transfers.finish(id, outcome(&result));
        result
    }

    /// Opens a blob once more, for a target that tries again.
    fn again<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        step: &BlobStep,
        id: TransferId,
    ) -> Result<Box<dyn Read + Send>> {
        self.transfers.progress().event(Event::Restarted { id });
        Ok(Box::new(pipe(scope, self.transfers.count(id, self.checked(step)?))))
    }

    /// Links a blob, or puts it where the target will not link.
    fn mount(&self, step: &BlobStep) -> Result<()> {
        if self.target.mount(step)? {
            let id = self.transfers.start(&label(step), Some(step.bytes));
            self.transfers.finish(id, How::Mounted);
            return Ok(());
        }
        self.put(step)
    }

    /// The content of a blob in the form of the step, checked to its last byte.
    fn checked(&self, step: &BlobStep) -> Result<Box<dyn Read + Send + 'a>> {
        let blob = &step.descriptor;
        let reader = self.source.open(blob, step.form)?;
        // A layer without another plain form is plain itself.
        let plain = self.source.plain(&blob.digest).filter(|_| step.form == Form::Plain);
        let (digest, size) =
            plain.map_or((blob.digest, blob.size), |plain| (plain.digest, plain.size));
        if size != step.bytes {
            return Err(Error::malformed(format!(
                "{} was planned with {} bytes and has {size}",
                blob.digest, step.bytes
            )));
        }
        Ok(Box::new(VerifiedReader::new(reader, digest, size, self.source.describe())))
    }
}

/// Steps by what `key` says of them, in the order in which each key is met first and each step
/// within its own.
fn grouped<'a, T>(
    steps: impl Iterator<Item = &'a T>,
    key: impl Fn(&'a T) -> &'a str,
) -> Vec<Vec<&'a T>> {
    let mut groups: Vec<Vec<&T>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for step in steps {
        let at = *places.entry(key(step)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(step),
            None => groups.push(vec![step]),
        }
    }
    groups
}

/// How a transfer ended.
pub(super) fn outcome<T>(result: &Result<T>) -> How {
    if result.is_ok() { How::Moved } else { How::Failed }
}

/// What a transfer is called.
fn label(step: &BlobStep) -> String {
    step.descriptor.digest.short()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_keeps_its_order() {
        let steps = ["a1", "b1", "a2", "c1", "b2", "a3"];
        let groups = grouped(steps.iter(), |step| &step[..1]);
        assert_eq!(groups, [vec![&"a1", &"a2", &"a3"], vec![&"b1", &"b2"], vec![&"c1"]]);
        assert!(grouped([].iter(), |step: &&str| step).is_empty());
    }
}
