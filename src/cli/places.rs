//! From a place as it was named to a source, feed or target that can be used.

use super::request::Connection;
use crate::endpoint::{Origin, Target};
use crate::model::{Destination, Location, Platform, Result};
use crate::transport::registry::{
    Client, CredentialStore, Options, RegistrySource, RegistryTarget,
};

/// A client for every registry that this command talks to.
fn client(connection: &Connection) -> Result<Client> {
    Client::new(Options {
        plain_http: connection.plain_http,
        ca_files: connection.ca_files.clone(),
        credentials: CredentialStore::new(connection.credentials.clone()),
        ..Options::default()
    })
}

/// Opens the places that images come from, in their order. Images of the daemon are asked for
/// together, at the place of the first of them: it then delivers what they share once.
pub(super) fn origins(locations: &[Location], connection: &Connection) -> Result<Vec<Origin>> {
    let mut client_of_all = None;
    let mut origins: Vec<Option<Origin>> = Vec::new();
    for location in locations {
        origins.push(Some(match location {
            Location::Registry(name) => {
                let client = match &client_of_all {
                    Some(client) => Client::clone(client),
                    None => client_of_all.insert(client(connection)?).clone(),
                };
                Origin::Source(Box::new(RegistrySource::new(client, name.clone())))
            }
            other => {
                return Err(crate::model::Error::usage(format!(
                    "{other} cannot be read by this build"
                )));
            }
        }));
    }
    Ok(origins.into_iter().flatten().collect())
}

/// Opens the place that images go to. `platform` is what a docker-archive takes of an image for
/// several.
pub(super) fn target(
    destination: &Destination,
    connection: &Connection,
    _platform: Option<Platform>,
) -> Result<Box<dyn Target>> {
    Ok(match destination {
        Destination::Registry { host, prefix } => {
            Box::new(RegistryTarget::new(client(connection)?, host, prefix))
        }
        Destination::DockerDaemon => Box::new(crate::transport::daemon::DaemonTarget::new(
            crate::transport::daemon::Endpoint::new(connection.docker_host.as_deref())?,
        )),
        other => {
            return Err(crate::model::Error::usage(format!(
                "{other} cannot be written by this build"
            )));
        }
    })
}
