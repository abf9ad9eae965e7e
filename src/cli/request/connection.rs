//! How registries and daemons are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::sign_in::sign_in;
use crate::cli::args::{self, EVERY_HOST};
use crate::cli::environment::Environment;
use crate::endpoint::Relay;
use crate::model::Result;
use crate::transport::registry::{
    CertificateFolders, CredentialPaths, CredentialStore, Credentials, Options, Patience, Proxies,
    ProxySettings, RegistryRules, RuleFiles,
};

/// How registries and daemons are reached.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Connection {
    /// Plain HTTP instead of HTTPS, everywhere.
    pub(in crate::cli) plain_http: bool,
    /// Registries that plain HTTP is spoken to.
    pub(in crate::cli) plain_hosts: Vec<String>,
    /// PEM files of further certificate authorities.
    pub(in crate::cli) ca_files: Vec<PathBuf>,
    /// Where there are certificates for single registries.
    pub(in crate::cli) certificates: CertificateFolders,
    /// `FROM=TO`, as typed.
    pub(in crate::cli) mirrors: Vec<String>,
    /// Whether images are read from where their names say.
    pub(in crate::cli) straight: bool,
    /// Files that speak of mirrors and the like.
    pub(in crate::cli) rules: RuleFiles,
    /// What the environment says about proxies.
    pub(in crate::cli) proxies: ProxySettings,
    /// Token services that may see sign-ins although they are not the registry's own.
    pub(in crate::cli) token_hosts: Vec<String>,
    /// How patient we are with registries.
    pub(in crate::cli) patience: Patience,
    /// Who is told when a registry is waited for: whoever shows the progress of the command.
    pub(in crate::cli) listener: Relay,
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
        let (all, plain_hosts): (Vec<String>, Vec<String>) =
            args.plain_http.into_iter().partition(|host| host == EVERY_HOST);
        let mut certificates = environment.routes.certificates.clone();
        certificates.only = args.cert_dir;
        Ok(Self {
            plain_http: !all.is_empty(),
            plain_hosts,
            ca_files: args.ca_file,
            certificates,
            mirrors: Vec::new(),
            straight: false,
            rules: environment.routes.rules.clone(),
            proxies: environment.routes.proxies.clone(),
            token_hosts: args.token_host,
            patience: Patience::with_retries(args.retries),
            listener: Relay::default(),
            credentials,
            given,
            docker_host: environment.docker_host.clone(),
        })
    }

    /// The same for a command that reads images by their names.
    pub(in crate::cli) fn reading(self, args: args::MirrorArgs) -> Self {
        Self { mirrors: args.mirror, straight: args.no_mirrors, ..self }
    }

    /// What a client for registries is to know. Reads the configuration that speaks of them.
    ///
    /// # Errors
    /// Configuration that cannot be read or understood.
    pub(in crate::cli) fn options(&self) -> Result<Options> {
        let rules = RegistryRules::read(&self.rules, &self.mirrors)?;
        Ok(Options {
            plain_http: self.plain_http,
            plain_hosts: self.plain_hosts.clone(),
            ca_files: self.ca_files.clone(),
            certificates: self.certificates.clone(),
            proxies: Proxies::read(&self.proxies)?,
            rules: if self.straight { rules.straight() } else { rules },
            token_hosts: self.token_hosts.clone(),
            patience: self.patience.clone(),
            listener: self.listener.clone(),
            credentials: CredentialStore::with(self.given.clone(), self.credentials.clone()),
        })
    }
}
