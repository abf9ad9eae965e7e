//! The deflate engines beside the programs whose output they make again.

mod general;
mod go;
mod klauspost;
mod stream;
mod zlib;
