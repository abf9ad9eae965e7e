//! The deflate engines beside the programs whose output they make again.

mod general;
