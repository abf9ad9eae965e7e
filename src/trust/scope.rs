//! What a key may sign.

use std::fmt;

use crate::model::mapping::Repositories;
use crate::model::{ImageName, StreamName};

/// What a key may sign: everything, unless it is limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only bundles of these streams; `None` for all, and for those that are of no stream.
    pub streams: Option<Vec<StreamName>>,
    /// Only images of these repositories; `None` for all, and for those without a name.
    pub repositories: Option<Vec<Repositories>>,
}

impl Scope {
    /// Whether bundles of this stream are in it.
    pub fn has_stream(&self, stream: Option<&StreamName>) -> bool {
        let Some(streams) = &self.streams else { return true };
        stream.is_some_and(|stream| streams.contains(stream))
    }

    /// Whether images of this name are in it.
    pub fn has_image(&self, name: Option<&ImageName>) -> bool {
        let Some(repositories) = &self.repositories else { return true };
        repositories.iter().any(|repositories| repositories.hold(name))
    }
}

impl fmt::Display for Scope {
    /// As in `images of a/, b/ in streams x, y`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repositories {
            None => f.write_str("all images")?,
            Some(repositories) => write!(f, "images of {}", list(repositories))?,
        }
        match &self.streams {
            None => Ok(()),
            Some(streams) => write!(f, " in {} {}", plural(streams.len()), list(streams)),
        }
    }
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "stream" } else { "streams" }
}

fn list(things: &[impl fmt::Display]) -> String {
    if things.is_empty() {
        return "nothing".to_owned();
    }
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
