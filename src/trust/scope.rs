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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_says_what_is_in_it() {
        let stream = |name: &str| name.parse::<StreamName>().unwrap();
        let image: ImageName = "r.example/a/b:1".parse().unwrap();
        let all = Scope::default();
        assert_eq!(all.to_string(), "all images");
        assert!(all.has_stream(None) && all.has_image(None));
        let some = Scope {
            streams: Some(vec![stream("x"), stream("y")]),
            repositories: Some(vec!["r.example/a/".parse().unwrap()]),
        };
        assert_eq!(some.to_string(), "images of r.example/a/ in streams x, y");
        assert!(some.has_stream(Some(&stream("y"))) && some.has_image(Some(&image)));
        assert!(!some.has_stream(None) && !some.has_stream(Some(&stream("z"))));
        let none = Scope { streams: Some(Vec::new()), repositories: Some(Vec::new()) };
        assert_eq!(none.to_string(), "images of nothing in streams nothing");
        assert!(!none.has_stream(Some(&stream("x"))) && !none.has_image(Some(&image)));
    }
}
