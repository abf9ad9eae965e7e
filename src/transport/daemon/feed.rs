//! Images out of a daemon.

use super::api::Api;
use super::endpoint::Endpoint;
use crate::endpoint::{Fed, Feed, Intake};
use crate::model::{Digest, Error, ImageName, Result, Role};
use crate::transport::archive::read_saved;

/// Images of a daemon, saved in one stream.
pub struct DaemonFeed {
    api: Api,
    wanted: Vec<Wanted>,
}

/// An image that was asked for.
struct Wanted {
    /// As the user wrote it.
    written: String,
    /// `None` where it was asked for by its ID.
    name: Option<ImageName>,
    id: Digest,
    size: u64,
}

impl Wanted {
    /// What the daemon is asked for. A name always goes with its tag: without one, docker saves
    /// every tag of the repository.
    fn save_as(&self) -> String {
        self.name.as_ref().map_or_else(|| self.id.to_string(), ImageName::familiar)
    }

    fn is(&self, fed: &Fed) -> bool {
        let root = &fed.root;
        let by_manifest = root.descriptor.digest == self.id || root.from_index == Some(self.id);
        by_manifest || config_of(fed) == Some(self.id)
    }
}

/// The configuration of an image that has one; of an index, none.
fn config_of(fed: &Fed) -> Option<Digest> {
    let raw = |wanted: &Digest| {
        fed.manifests.iter().find(|(d, _)| d.digest == *wanted).map(|(_, raw)| raw.clone())
    };
    let graph = crate::model::Graph::walk(&fed.root.descriptor, &mut |descriptor| {
        raw(&descriptor.digest).ok_or_else(|| Error::damaged("a manifest is not there"))
    })
    .ok()?;
    if graph.nodes.len() != 1 {
        return None;
    }
    let config = graph.leaves.iter().find(|leaf| leaf.role == Role::Config)?;
    Some(config.descriptor.digest)
}

impl DaemonFeed {
    /// The images that `names` (names or IDs) mean at this moment.
    ///
    /// # Errors
    /// [`Kind::Remote`](crate::model::Kind::Remote) where the daemon cannot be reached or does not
    /// have one of them.
    pub fn new(endpoint: &Endpoint, names: Vec<String>) -> Result<Self> {
        let api = Api::new(endpoint)?;
        let mut wanted: Vec<Wanted> = Vec::new();
        for written in names {
            let Some(image) = api.inspect(&written, false)? else {
                return Err(Error::remote(format!("{} has no image {written}", api.shown()))
                    .hint("docker images lists what it has; docker pull fetches what it has not"));
            };
            let tags = image.repo_tags.iter().flatten();
            let tags: Vec<ImageName> = tags.filter_map(|tag| tag.parse().ok()).collect();
            let asked: Option<ImageName> = written.parse().ok();
            let name = asked.filter(|name| tags.contains(name));
            if !wanted.iter().any(|w| w.id == image.id && w.name == name) {
                wanted.push(Wanted { written, name, id: image.id, size: image.size });
            }
        }
        Ok(Self { api, wanted })
    }
}

impl Feed for DaemonFeed {
    fn describe(&self) -> String {
        self.api.shown().to_owned()
    }

    fn announce(&self) -> Result<Vec<(String, u64)>> {
        let shown = |wanted: &Wanted| {
            wanted.name.as_ref().map_or_else(|| wanted.written.clone(), ToString::to_string)
        };
        Ok(self.wanted.iter().map(|wanted| (shown(wanted), wanted.size)).collect())
    }

    fn run(&mut self, intake: &mut dyn Intake) -> Result<Vec<Fed>> {
        if self.wanted.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = self.wanted.iter().map(Wanted::save_as).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let saved = read_saved(self.api.save(&names)?, self.api.shown(), intake)?;
        let mut images = Vec::new();
        for wanted in &self.wanted {
            let before = images.len();
            let has_name = |fed: &&Fed| wanted.name.is_none() || fed.root.name == wanted.name;
            for fed in saved.iter().filter(has_name).filter(|fed| wanted.is(fed)) {
                let mut fed = fed.clone();
                fed.root.name.clone_from(&wanted.name);
                let same = |known: &Fed| {
                    known.root.descriptor.digest == fed.root.descriptor.digest
                        && known.root.name == fed.root.name
                };
                if !images[before..].iter().any(same) {
                    images.push(fed);
                }
            }
            if images.len() == before {
                return Err(Error::remote(format!(
                    "{} saved something else than {} (image {})",
                    self.api.shown(),
                    wanted.written,
                    wanted.id
                ))
                .hint("the image was changed while it was saved: run it again"));
            }
        }
        Ok(images)
    }
}
