//! How registries and daemons are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::sign_in::sign_in;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::model::Result;
use crate::transport::registry::{CredentialPaths, Credentials};

/// How registries and daemons are reached.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Connection {
    /// Plain HTTP instead of HTTPS.
    pub(in crate::cli) plain_http: bool,
    /// PEM files of further certificate authorities.
    pub(in crate::cli) ca_files: Vec<PathBuf>,
    /// Token services that may see sign-ins although they are not the registry's own.
    pub(in crate::cli) token_hosts: Vec<String>,
    /// Where sign-ins are kept.
    pub(in crate::cli) credentials: CredentialPaths,
    /// Who somebody says to be for this command, by registry; goes before what is kept.
    pub(in crate::cli) given: BTreeMap<String, Credentials>,
    /// `DOCKER_HOST`, if it is set.
    pub(in crate::cli) docker_host: Option<String>,
}

impl Connection {
    /// For a command that talks to `registries`; asks for a password where one is needed.
    pub(in crate::cli) fn resolve(
        args: args::RegistryArgs,
        environment: &Environment,
        registries: &BTreeSet<String>,
    ) -> Result<Self> {
        let (credentials, given) = sign_in(args.sign_in, environment, registries)?;
        Ok(Self {
            plain_http: args.plain_http,
            ca_files: args.ca_file,
            token_hosts: args.token_host,
            credentials,
            given,
            docker_host: environment.docker_host.clone(),
        })
    }
}
