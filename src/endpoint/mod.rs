//! Floor 1: the traits at which bundle, transports and operations meet.
//!
//! Images come from a [`Source`], which opens any blob at any time (a registry, a layout, a plain
//! archive, an authenticated bundle), or from a [`Feed`], which delivers blobs in its own order,
//! once (a daemon's save stream, a compressed archive). They go to a [`Target`]. All of it is
//! blocking; parallelism belongs to the one who drives them, `operation::copy`.
//!
//! Readers handed out by a source are **not yet trusted**: `operation::copy` wraps each in a
//! digest-checking reader before anything acts on it. Implementations check what only they can
//! know (an HTTP status, a truncated body) and leave digests to it.

mod progress;
mod source;
mod target;

pub use progress::{Event, How, Progress, Relay, Silent, TransferId, Transfers};
pub use source::{
    Attachment, AttachmentKind, Fed, Feed, Form, Intake, Origin, Plain, Root, Source, read_small,
};
pub use target::{
    Action, Arrival, Assigned, BlobStep, Finding, Gravity, Local, ManifestStep, Parcel, Plan,
    Recalled, Satellite, TagStep, Take, Target,
};
