//! Registries behind a proxy.

use super::*;
use crate::support::command::Run;
use crate::support::registry::{Registry, Setup};
use crate::support::tinyproxy::Tinyproxy;

/// A registry with an image, plain or with TLS, and somebody who wants it.
struct Place {
    registry: Registry,
    station: Station,
}

impl Place {
    fn new(tls: bool) -> Self {
        let registry = Registry::start_with(Setup { tls, ..Setup::default() });
        push_image(&registry);
        Self { registry, station: Station::new() }
    }

    fn host(&self) -> String {
        abroad(self.registry.port())
    }

    /// Looks at the image with these variables set.
    fn look(&self, variables: &[(&str, &str)]) -> Run {
        let name = format!("{}/app:1", self.host());
        let mut program = self.station.program();
        program.args(["export", "-q", "--dry-run", &name]).envs(variables.iter().copied());
        match self.registry.ca_files().first() {
            // The certificate does not know this name of the machine; the proxy is what counts.
            Some(file) => program.arg("--ca-file").arg(file),
            None => program.arg("--plain-http"),
        };
        Run::of(&mut program)
    }

    fn told(&self, variables: &[(&str, &str)], proxy: &str) -> String {
        let text = self.look(variables).refused(8);
        assert!(!text.contains("canary"), "{text}");
        tidy(&self.station, &[(&self.host(), "REGISTRY"), (proxy, "PROXY")], &text)
    }
}

#[test]
fn requests_go_through_the_proxy_that_is_set() {
    let (place, proxy) = (Place::new(false), Tinyproxy::start(None));
    let address = format!("http://{}", proxy.host());
    place.look(&[]).succeeds();
    assert_eq!(proxy.requests("GET"), 0);
    place.look(&[("HTTP_PROXY", &address)]).succeeds();
    let first = proxy.requests("GET");
    assert!(first > 1, "{first} requests went through");
    place.look(&[("http_proxy", &proxy.host()), ("https_proxy", "http://127.0.0.1:1")]).succeeds();
    place.look(&[("all_proxy", &address)]).succeeds();
    let third = proxy.requests("GET");
    assert_eq!(third, 3 * first);

    for around in ["0.0.0.0", "0.0.0.0/8", &place.host(), "*"] {
        place.look(&[("HTTP_PROXY", &address), ("NO_PROXY", around)]).succeeds();
    }
    place.look(&[("HTTPS_PROXY", &address)]).succeeds();
    // This machine itself is never reached through a proxy.
    let name = format!("{}/app:1", place.registry.host());
    let mut program = place.station.program();
    program.args(["export", "-q", "--dry-run", &name]).env("HTTP_PROXY", &address);
    Run::of(&mut program).succeeds();
    assert_eq!(proxy.requests("GET"), third);

    // Docker's own configuration is asked where the environment says nothing.
    let config = format!(r#"{{"proxies":{{"default":{{"httpProxy":"{address}"}}}}}}"#);
    write(&place.station, ".docker/config.json", &config);
    place.look(&[]).succeeds();
    assert!(proxy.requests("GET") > third);
}

#[test]
fn tls_goes_through_a_tunnel() {
    let authority = crate::support::authority::Authority::new();
    let pair = authority.certify("server", "IP:0.0.0.0");
    let registry = Registry::start();
    push_image(&registry);
    let front = crate::support::nginx::Front {
        certificate: Some(pair),
        ..crate::support::nginx::Front::default()
    };
    let nginx = crate::support::nginx::Nginx::before(&registry.host(), &front);
    let proxy = Tinyproxy::start(Some(("user", "canary-7")));
    let station = Station::new();
    let authority = authority.certificate();
    let export = |address: &str, more: &[&str]| {
        let mut program = station.program();
        program.args(["export", &format!("{}/app:1", abroad(nginx.port()))]).args(more);
        Run::of(program.arg("--ca-file").arg(&authority).env("HTTPS_PROXY", address))
    };
    let good = format!("http://user:canary-7@{}", proxy.host());
    let run = export(&good, &["-o", "b.sealift"]);
    assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    run.succeeds();
    assert!(proxy.requests("CONNECT") > 0);
    station.import("b.sealift", &registry.host(), [""; 0]);

    let tell = |address: &str| {
        let text = export(address, &["--dry-run", "-q"]).refused(8);
        assert!(!text.contains("canary"), "{text}");
        let names = [(abroad(nginx.port()), "REGISTRY"), (proxy.host(), "PROXY")];
        let names: Vec<_> = names.iter().map(|(name, to)| (name.as_str(), *to)).collect();
        tidy(&station, &names, &text)
    };
    told!(tell(&format!("http://{}", proxy.host())), @r"
    error: cannot reach registry REGISTRY: the proxy http://PROXY wants a user name and a password (407)
      hint: HTTPS_PROXY names this proxy: write http://USER:PASSWORD@HOST:PORT there; to go around it, add 0.0.0.0 to NO_PROXY
    ");
    told!(tell(&format!("http://user:canary-8@{}", proxy.host())), @r"
    error: cannot reach registry REGISTRY: the proxy http://PROXY does not connect to REGISTRY
      hint: HTTPS_PROXY names this proxy: it may not accept our user name and password, not know REGISTRY, or forbid it; to go around it, add 0.0.0.0 to NO_PROXY
    ");
}

#[test]
fn a_proxy_that_does_not_help_is_named() {
    let (plain, secure) = (Place::new(false), Place::new(true));
    let gone = "http://user:canary@127.0.0.1:1";
    told!(plain.told(&[("HTTP_PROXY", gone)], "127.0.0.1:1"), @r"
    error: cannot reach registry REGISTRY: cannot reach the proxy http://PROXY: Connection refused (os error 111)
      hint: HTTP_PROXY names this proxy: correct or unset it; to go around it, add 0.0.0.0 to NO_PROXY
    ");
    told!(secure.told(&[("https_proxy", gone)], "127.0.0.1:1"), @r"
    error: cannot reach registry REGISTRY: cannot reach the proxy http://PROXY: Connection refused (os error 111)
      hint: https_proxy names this proxy: correct or unset it; to go around it, add 0.0.0.0 to NO_PROXY
    ");
    let unknown = "http://proxy.invalid:3128";
    let told = secure.told(&[("ALL_PROXY", unknown)], "127.0.0.1:1");
    assert!(told.contains("cannot reach the proxy http://proxy.invalid:3128"), "{told}");
    assert!(told.contains("ALL_PROXY"), "{told}");

    let proxy = Tinyproxy::start(Some(("user", "canary")));
    let address = format!("http://{}", proxy.host());
    told!(plain.told(&[("HTTP_PROXY", &address)], &proxy.host()), @r"
    error: cannot reach registry REGISTRY: the proxy http://PROXY wants a user name and a password (407)
      hint: HTTP_PROXY names this proxy: write http://USER:PASSWORD@HOST:PORT there; to go around it, add 0.0.0.0 to NO_PROXY
    ");
    let strict = Tinyproxy::strict();
    let address = format!("http://{}", strict.host());
    told!(secure.told(&[("HTTPS_PROXY", &address)], &strict.host()), @r"
    error: cannot reach registry REGISTRY: the proxy http://PROXY does not connect to REGISTRY
      hint: HTTPS_PROXY names this proxy: it may not know REGISTRY, or forbid it; to go around it, add 0.0.0.0 to NO_PROXY
    ");

    let text = plain.look(&[("HTTP_PROXY", "http://canary:x@")]).refused(2);
    assert!(!text.contains("canary"), "{text}");
    told!(text, @r"
    error: HTTP_PROXY is not the address of a proxy
      hint: write it as http://[USER:PASSWORD@]HOST:PORT; https and socks5 are understood too
    ");
}

#[test]
fn names_that_nobody_knows_are_told_as_such() {
    let station = Station::new();
    let text = station.sealift(["export", "-q", "-n", "h.invalid/app:1"]).refused(8);
    assert!(text.contains("no machine is known by the name h.invalid"), "{text}");
    assert!(text.contains("check how h.invalid is spelt"), "{text}");
}
