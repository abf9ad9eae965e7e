//! kill -9 before every system call that changes a file: what has a name is whole, and the next run
//! completes it.
