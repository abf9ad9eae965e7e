//! What goes around a proxy: `NO_PROXY`, read as Go's programs read it
//! (golang.org/x/net/http/httpproxy), so that docker, skopeo and sealift agree.

use std::net::IpAddr;

use url::Host;

/// A list of hosts that are reached without a proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct Bypass {
    /// `*`: there is no proxy at all.
    everything: bool,
    networks: Vec<(IpAddr, u8)>,
    addresses: Vec<(IpAddr, Option<u16>)>,
    names: Vec<Name>,
}

/// A name, and what lies below it.
#[derive(Clone, Debug)]
struct Name {
    base: String,
    /// `.h.example` and `*.h.example` mean only what lies below.
    itself: bool,
    port: Option<u16>,
}

impl Bypass {
    /// Reads a list separated by commas: `h.example`, `.h.example`, `*.h.example`, an address, a
    /// network as in `10.0.0.0/8`, any but a network with `:PORT`; or `*`. An entry that is none
    /// of these matches nothing.
    pub(super) fn parse(text: &str) -> Self {
        let mut list = Self::default();
        for entry in text.split(',') {
            let entry = entry.trim().to_ascii_lowercase();
            if entry == "*" {
                list.everything = true;
            } else if let Some(network) = network(&entry) {
                list.networks.push(network);
            } else {
                list.add(&entry);
            }
        }
        list
    }

    fn add(&mut self, entry: &str) {
        let (host, port) = match split_port(entry) {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => return,
            },
            None => (entry, None),
        };
        if let Ok(address) = bare(host).parse() {
            self.addresses.push((address, port));
            return;
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let (name, itself) = match host.strip_prefix('.') {
            Some(below) => (below, false),
            None => (host, true),
        };
        if !name.is_empty() {
            self.names.push(Name { base: name.to_owned(), itself, port });
        }
    }

    /// Whether a host is on the list.
    pub(super) fn covers(&self, host: &Host<&str>, port: u16) -> bool {
        let at = |wanted: Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        let address = match host {
            Host::Domain(name) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                return self.everything
                    || self.names.iter().any(|entry| at(entry.port) && entry.covers(&name));
            }
            Host::Ipv4(ip) => IpAddr::V4(*ip),
            Host::Ipv6(ip) => IpAddr::V6(*ip),
        };
        self.everything
            || self.addresses.iter().any(|(entry, wanted)| *entry == address && at(*wanted))
            || self.networks.iter().any(|(network, bits)| is_within(address, *network, *bits))
    }
}

impl Name {
    fn covers(&self, host: &str) -> bool {
        match host.strip_suffix(self.base.as_str()) {
            Some("") => self.itself,
            Some(rest) => rest.ends_with('.'),
            None => false,
        }
    }
}

/// Whether an address lies in a network.
pub(super) fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32 - u32::from(bits.min(32));
            let cut = |ip: std::net::Ipv4Addr| u64::from(ip.to_bits()) >> shift;
            cut(address) == cut(network)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let cut = |ip: std::net::Ipv6Addr| {
                ip.to_bits().checked_shr(128 - u32::from(bits.min(128))).unwrap_or(0)
            };
            cut(address) == cut(network)
        }
        _ => false,
    }
}

/// `ADDRESS/BITS`.
pub(super) fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits = bits.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

/// Host and port, where there is one; an IPv6 address has one only behind brackets.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains(':') || host.ends_with(']')).then_some((host, port))
}

/// An address without the brackets that set it apart from a port.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(list: &str, authority: &str) -> bool {
        let url: url::Url = format!("https://{authority}/").parse().unwrap();
        Bypass::parse(list).covers(&url.host().unwrap(), url.port_or_known_default().unwrap())
    }

    #[test]
    fn names_cover_themselves_and_what_lies_below() {
        for (list, host, expected) in [
            ("h.example", "h.example", true),
            ("h.example", "a.h.example", true),
            ("h.example", "ah.example", false),
            ("H.Example", "h.example:5000", true),
            ("h.example:5000", "h.example:5000", true),
            ("h.example:443", "a.h.example", true),
            ("h.example:5000", "h.example", false),
            (".h.example", "h.example", false),
            (".h.example", "a.h.example", true),
            ("*.h.example", "h.example", false),
            ("*.h.example:443", "a.b.h.example", true),
            ("other.example , h.example", "h.example", true),
            ("*", "h.example", true),
            ("*", "10.0.0.1", true),
            ("", "h.example", false),
            (",:80,h.example:x", "h.example", false),
        ] {
            assert_eq!(around(list, host), expected, "{host} in {list:?}");
        }
    }

    #[test]
    fn addresses_and_networks_are_compared_as_numbers() {
        for (list, host, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("10.0.0.1/32", "10.0.0.1:5000", true),
            ("10.0.0.1", "10.0.0.1:5000", true),
            ("10.0.0.1:5000", "10.0.0.1:5000", true),
            ("10.0.0.1:5000", "10.0.0.1", false),
            ("fd00::/8", "[fd12::1]", true),
            ("fd00::/8", "[fe80::1]", false),
            ("::/0", "[fe80::1]", true),
            ("::1", "[::1]:5000", true),
            ("[fd12::1]:5000", "[fd12::1]:5000", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            // A name is not looked up.
            ("10.0.0.0/8", "h.example", false),
        ] {
            assert_eq!(around(list, host), expected, "{host} in {list:?}");
        }
    }
}
