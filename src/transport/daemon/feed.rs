//! Reads images as the daemon saves them.

use std::collections::BTreeSet;

use super::engine::{Endpoint, Engine};
use crate::endpoint::{Fed, Feed, Intake};
use crate::model::{Digest, Error, Result};
use crate::transport::archive::read_saved;

/// Images of a daemon, delivered by one save.
pub struct DaemonFeed {
    endpoint: Endpoint,
    names: Vec<String>,
}

impl DaemonFeed {
    /// The images with these names or IDs.
    pub fn new(endpoint: Endpoint, names: Vec<String>) -> Self {
        Self { endpoint, names }
    }

    /// Finds every image before anything is saved; returns name, ID and the daemon's own idea of
    /// the size.
    fn look(&self, engine: &Engine) -> Result<Vec<(String, Digest, u64)>> {
        self.names
            .iter()
            .map(|name| {
                let image = engine.image(name)?.ok_or_else(|| {
                    Error::remote(format!(
                        "there is no image {name} in the daemon at {}",
                        engine.endpoint()
                    ))
                    .hint("docker image ls shows the images that it has")
                })?;
                Ok((name.clone(), image.id.parse()?, image.size))
            })
            .collect()
    }
}

impl Feed for DaemonFeed {
    fn describe(&self) -> String {
        format!("the daemon at {}", self.endpoint)
    }

    fn announce(&self) -> Result<Vec<(String, u64)>> {
        let engine = Engine::connect(&self.endpoint)?;
        Ok(self
            .look(&engine)?
            .into_iter()
            .map(|(name, _, size)| (format!("docker-daemon:{name}"), size))
            .collect())
    }

    fn run(&mut self, intake: &mut dyn Intake) -> Result<Vec<Fed>> {
        let engine = Engine::connect(&self.endpoint)?;
        let wanted = self.look(&engine)?;
        let names: Vec<String> = wanted
            .iter()
            .map(|(name, ..)| name.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let archive = engine.save(&names)?;
        let fed = read_saved(archive, &self.describe(), intake)?;
        // The ID is the digest of the configuration in the classic store, of the root in
        // containerd's: what came must hold one or the other.
        for (name, id, _) in &wanted {
            let came = fed.iter().any(|image| {
                image.root.descriptor.digest == *id
                    || image.root.from_index == Some(*id)
                    || image.documents.iter().any(|(document, _)| document.digest == *id)
            });
            if !came {
                return Err(Error::damaged(format!(
                    "{} was asked for {name} ({id}) and saved something else",
                    self.describe()
                ))
                .hint("the image may have been retagged meanwhile: run it again"));
            }
        }
        Ok(fed)
    }
}
