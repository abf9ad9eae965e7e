//! Floor 3: what sealift does.
//!
//! [`export`], [`remake`], [`verify`], [`import`], [`map`], [`inspect`] and [`repair`] each take a request that is complete (no
//! environment, no terminal) and give back a report. All moving of images goes through [`copy`]:
//! [`gather`] finds out what an image consists of, the target says in a plan what has to be done,
//! and `copy` does it. What happens meanwhile is announced to a
//! [`Progress`](crate::endpoint::Progress). What is to be filed of it is [`evidence`].

pub mod compress;
pub mod copy;
pub mod diff;
pub mod evidence;
pub mod export;
pub mod freshness;
pub mod gather;
pub mod import;
pub mod inspect;
pub mod map;
pub mod parity;
pub mod remake;
pub mod repair;
pub mod rotation;
pub mod sign;
pub mod verify;

mod ahead;
mod assign;
mod at_hand;
mod pipe;
mod recall;
mod sources;
mod space;
mod twins;
