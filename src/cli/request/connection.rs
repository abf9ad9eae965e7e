//! How registries and daemons are reached.

use std::path::PathBuf;

use crate::cli::args;
use crate::cli::environment::Environment;
use crate::endpoint::Relay;
use crate::transport::registry::{CredentialPaths, Patience};

/// How registries and daemons are reached.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Connection {
    /// Plain HTTP instead of HTTPS.
    pub(in crate::cli) plain_http: bool,
    /// PEM files of further certificate authorities.
    pub(in crate::cli) ca_files: Vec<PathBuf>,
    /// Token services that may see sign-ins although they are not the registry's own.
    pub(in crate::cli) token_hosts: Vec<String>,
    /// How patient we are with registries.
    pub(in crate::cli) patience: Patience,
    /// Who is told when a registry is waited for: whoever shows the progress of the command.
    pub(in crate::cli) listener: Relay,
    /// Where sign-ins are kept.
    pub(in crate::cli) credentials: CredentialPaths,
    /// `DOCKER_HOST`, if it is set.
    pub(in crate::cli) docker_host: Option<String>,
}

impl Connection {
    pub(in crate::cli) fn resolve(args: args::RegistryArgs, environment: &Environment) -> Self {
        Self {
            plain_http: args.plain_http,
            ca_files: args.ca_file,
            token_hosts: args.token_host,
            patience: Patience::with_retries(args.retries),
            listener: Relay::default(),
            credentials: environment.credentials.clone(),
            docker_host: environment.docker_host.clone(),
        }
    }
}
