//! A registry, as it is talked to, and what stands on the way to it.

use std::sync::Arc;

use url::Url;

use super::address;
use super::route::Proxy;
use super::wire::Options;

/// A registry, as it is talked to.
pub(super) struct Peer {
    /// The name that images give it.
    pub(super) name: String,
    /// `https://HOST/v2/`.
    pub(super) base: Url,
    /// What the user decided, for saying what to do where something fails.
    pub(super) options: Arc<Options>,
}

impl Peer {
    /// The proxy that a request to `url` goes through.
    pub(super) fn proxy(&self, url: &Url) -> Option<&Proxy> {
        self.options.proxies.to(url).map(Arc::as_ref)
    }

    /// How the host of an address is written where registries are named, and the registry itself
    /// where it is that.
    pub(super) fn host(&self, url: &Url) -> String {
        if address::same_origin(url, &self.base) {
            self.name.clone()
        } else {
            address::written(url)
        }
    }
}
