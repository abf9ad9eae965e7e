//! Freshness: is a bundle the newest of its stream that was seen here, and does it still count?
//!
//! A signature says who made a bundle, not when it came: whoever carries the stick could bring last
//! year's. So a sender may number the bundles of a stream ([`Numbering`]) and say when one expires, and
//! a receiver remembers the highest number and refuses what is lower ([`judge()`]).
//!
//! What is remembered lies in the state folder, a folder for each stream:
//!
//! ```text
//! received/prod/record      the highest bundle of the stream that was checked whole here
//! received/prod/lock        held while the record is replaced
//! received/prod/import      held while a bundle of the stream is imported
//! sent/prod/…               the last number that was given here
//! ```
//!
//! - A stream is known by its name alone, and not by who signed. Signatures are not signed
//!   themselves: from a bundle that Anna and Ben signed a carrier can take either one away. Were
//!   their bundles told apart, he could bring the newest as Anna's and then an old one as Ben's.
//! - The record is raised when everything was checked and, for an import, everything has arrived. A
//!   bundle that cannot be used never stands in the way of the one before it.
//! - Nothing in the record comes from the clock of this machine: what a wrong clock lets pass or
//!   refuses, it leaves no trace.

mod judge;
mod number;
mod record;

pub use judge::{Asked, Fresh, Purpose, Standing, judge};
pub use number::{Dating, Numbering};
