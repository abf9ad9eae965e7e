//! Exact deflate, judged by the programs whose bytes it makes again.

mod klauspost;
