//! The way to a registry: what the user and the machine's configuration say about it.
//!
//! ```text
//! certificates   certs.d: whom to trust at a host, and who we are there
//! proxy, bypass  which proxy a request goes through, and what goes around it
//! rules          mirrors, blocked and insecure registries
//!                ▲ registries_conf (containers), daemon_json (docker), mirror (--mirror)
//! ```
//!
//! All of it is data. Files are read when the value is made, each bounded, and the paths come from
//! outside: nothing here looks into the environment or opens a connection. What the files say is
//! followed by [`super::wire`] and [`super::client`].

mod bypass;
mod certificates;
mod daemon_json;
mod file;
mod mirror;
mod proxy;
mod registries_conf;
mod rules;

pub use certificates::CertificateFolders;
pub(super) use certificates::{Certificates, Identity, read_authorities};
pub(super) use proxy::Proxy;
pub use proxy::{Proxies, ProxySettings, Setting};
pub(super) use rules::Place;
pub use rules::{RegistryRules, RuleFiles};
