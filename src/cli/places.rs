//! From a place as it was named to a source, feed or target that can be used.

use super::request::Connection;
use crate::endpoint::{Origin, Target};
use crate::model::{Destination, Location, Platform, Result};
use crate::transport::archive::{self, ArchiveKind, DockerArchiveTarget, OciArchiveTarget};
use crate::transport::daemon::{DaemonFeed, DaemonTarget, Endpoint};
use crate::transport::layout::{LayoutSource, LayoutTarget};
use crate::transport::registry::{Client, NewProjects, RegistrySource, RegistryTarget};

/// A client for every registry that this command talks to.
pub(super) fn client(connection: &Connection) -> Result<Client> {
    Client::new(connection.options()?)
}

fn daemon(connection: &Connection) -> Result<Endpoint> {
    connection.docker_host.as_deref().map_or_else(|| Ok(Endpoint::default()), str::parse)
}

/// Opens the places that images come from, in their order. Images of the daemon are asked for
/// together, at the place of the first of them: it then delivers what they share once.
pub(super) fn origins(locations: &[Location], connection: &Connection) -> Result<Vec<Origin>> {
    let mut client_of_all = None;
    let mut from_daemon = Vec::new();
    let mut origins: Vec<Option<Origin>> = Vec::new();
    let mut daemon_at = None;
    for location in locations {
        origins.push(Some(match location {
            Location::Registry(name) => {
                let client = match &client_of_all {
                    Some(client) => Client::clone(client),
                    None => client_of_all.insert(client(connection)?).clone(),
                };
                Origin::Source(Box::new(RegistrySource::new(client, name.clone())))
            }
            Location::DockerDaemon(name) => {
                from_daemon.push(name.clone());
                daemon_at.get_or_insert(origins.len());
                origins.push(None);
                continue;
            }
            Location::OciLayout(path, tag) => {
                Origin::Source(Box::new(LayoutSource::open(path, tag.clone())?))
            }
            Location::OciArchive(path, tag) => {
                archive::open(path, ArchiveKind::Oci, tag.as_deref())?
            }
            Location::DockerArchive(path, name) => {
                let name = name.as_ref().map(ToString::to_string);
                archive::open(path, ArchiveKind::Docker, name.as_deref())?
            }
        }));
    }
    if let Some(at) = daemon_at {
        let feed = DaemonFeed::new(&daemon(connection)?, from_daemon)?;
        origins[at] = Some(Origin::Feed(Box::new(feed)));
    }
    Ok(origins.into_iter().flatten().collect())
}

/// Opens the place that images go to. `platform` is what a docker-archive takes of an image for
/// several, `projects` how a Harbor's projects are made that are missing.
pub(super) fn target(
    destination: &Destination,
    connection: &Connection,
    platform: Option<Platform>,
    projects: Option<NewProjects>,
) -> Result<Box<dyn Target>> {
    Ok(match destination {
        Destination::Registry { host, prefix } => {
            let client = client(connection)?;
            client.allow(&destination.to_string())?;
            let target = RegistryTarget::new(client, host, prefix);
            Box::new(match projects {
                Some(wish) => target.creating_projects(wish),
                None => target,
            })
        }
        Destination::DockerDaemon => Box::new(DaemonTarget::new(&daemon(connection)?, platform)?),
        Destination::OciLayout(path) => Box::new(LayoutTarget::create(path)?),
        Destination::OciArchive(path) => Box::new(OciArchiveTarget::create(path)),
        Destination::DockerArchive(path) => Box::new(DockerArchiveTarget::create(path, platform)),
    })
}
