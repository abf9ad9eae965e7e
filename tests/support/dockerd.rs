//! Real dockerd.
