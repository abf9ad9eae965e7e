//! Real media and what they do: FAT, file systems that are full, sticks that fail or are pulled out,
//! limits on files, places that cannot be written, and a process that is killed at any step.

#[path = "../support/mod.rs"]
mod support;

mod fat;
mod kill;
mod medium;
mod places;
mod pulled;
mod several;
mod space;
mod yard;
