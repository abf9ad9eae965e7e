//! TLS with certificates of one's own: what is trusted, who we are, and what is said where it does
//! not fit.

use super::*;
use crate::support::authority::{Authority, Pair, self_signed};
use crate::support::nginx::{Front, Nginx};
use crate::support::registry::Registry;

const NAMES: &str = "IP:127.0.0.1,IP:0.0.0.0";

/// A registry with an image, and nginx with a certificate in front of it.
struct Place {
    _registry: Registry,
    nginx: Nginx,
    station: Station,
}

impl Place {
    fn new(certificate: Pair, clients: Option<&Authority>) -> Self {
        let registry = Registry::start();
        push_image(&registry);
        let clients = clients.map(Authority::certificate);
        let front = Front { certificate: Some(certificate), clients, limit: Some("0") };
        let nginx = Nginx::before(&registry.host(), &front);
        Self { _registry: registry, nginx, station: Station::new() }
    }

    fn host(&self) -> String {
        abroad(self.nginx.port())
    }

    fn look(&self, more: &[&str]) -> crate::support::command::Run {
        let name = format!("{}/app:1", self.host());
        self.station.sealift([&["export", "-q", "--dry-run", &name], more].concat())
    }

    fn told(&self, more: &[&str], code: i32) -> String {
        let text = self.look(more).refused(code);
        tidy(&self.station, &[(&self.host(), "REGISTRY")], &text)
    }

    fn certs(&self, root: &str, file: &str) -> String {
        format!("{root}/certs.d/{}/{file}", self.host())
    }
}

#[test]
fn an_authority_of_ones_own_is_trusted_where_a_folder_has_it() {
    let authority = Authority::new();
    let (stranger, twin) = (Authority::new(), authority.twin());
    let place = Place::new(authority.certify("server", NAMES), None);
    told!(place.told(&[], 8), @r"
    error: cannot reach registry REGISTRY: the certificate of REGISTRY proves nothing: an authority that is not trusted here signed it
      hint: put the certificate of its authority into HOME/.config/containers/certs.d/REGISTRY/ca.crt or /etc/docker/certs.d/REGISTRY/ca.crt, or name it with --ca-file
    ");

    for root in [".config/containers", ".docker", ".config/docker"] {
        let file = place.certs(root, "ca.crt");
        copy(&place.station, &authority.certificate(), &file);
        place.look(&[]).succeeds();
        fs::remove_dir_all(place.station.path(&file).parent().unwrap()).unwrap();
    }
    // The first folder for the registry counts, and no other.
    copy(&place.station, &authority.certificate(), &place.certs(".docker", "ca.crt"));
    copy(&place.station, &stranger.certificate(), &place.certs(".config/containers", "ca.crt"));
    told!(place.told(&[], 8), @r"
    error: cannot reach registry REGISTRY: the certificate of REGISTRY proves nothing: an authority that is not trusted here signed it, nor by anything in HOME/.config/containers/certs.d/REGISTRY
      hint: put the certificate of its authority into HOME/.config/containers/certs.d/REGISTRY/ca.crt or /etc/docker/certs.d/REGISTRY/ca.crt, or name it with --ca-file
    ");
    copy(&place.station, &twin.certificate(), &place.certs(".config/containers", "ca.crt"));
    told!(place.told(&[], 8), @r"
    error: cannot reach registry REGISTRY: the certificate of REGISTRY proves nothing: an authority signed it that bears the name of one that is trusted here, but has another key, nor by anything in HOME/.config/containers/certs.d/REGISTRY
      hint: put the certificate of its authority into HOME/.config/containers/certs.d/REGISTRY/ca.crt or /etc/docker/certs.d/REGISTRY/ca.crt, or name it with --ca-file
    ");
    // It counts for this registry only.
    let other = Place::new(authority.certify("other", NAMES), None);
    copy(&other.station, &authority.certificate(), &place.certs(".docker", "ca.crt"));
    other.look(&[]).refused(8);
    let file = authority.certificate();
    other.look(&["--ca-file", file.to_str().unwrap()]).succeeds();
}

#[test]
fn a_registry_may_want_to_see_who_we_are() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let place = Place::new(authority.certify("server", NAMES), Some(&clients));
    let client = clients.certify("somebody", "DNS:somebody.example");
    let file = |name| place.certs(".docker", name);
    copy(&place.station, &authority.certificate(), &file("ca.crt"));
    told!(place.told(&[], 8), @r#"
    error: cannot reach registry REGISTRY: registry REGISTRY answered 400 Bad Request: an HTML page, as a proxy in front of a registry sends it: "400 No required SSL certificate was sent"
      hint: put the certificate that it wants from us into HOME/.config/containers/certs.d/REGISTRY, as client.cert and client.key
    "#);

    copy(&place.station, &client.certificate, &file("client.cert"));
    told!(place.told(&[], 2), @r"
    error: HOME/.docker/certs.d/REGISTRY/client.cert needs client.key beside it, which is not there
      hint: a client certificate is NAME.cert with NAME.key; an authority is NAME.crt
    ");
    copy(&place.station, &client.key, &file("client.key"));
    place.look(&[]).succeeds();

    // Of several the one is shown that comes from an authority that the registry names.
    let other = authority.certify("nobody", "DNS:nobody.example");
    copy(&place.station, &other.certificate, &file("a.cert"));
    copy(&place.station, &other.key, &file("a.key"));
    place.look(&[]).succeeds();

    // A folder that is named takes the place of all.
    let folder = place.station.path(&file("")).display().to_string();
    let moved = place.station.path("mine");
    fs::rename(folder, &moved).unwrap();
    place.look(&[]).refused(8);
    place.look(&["--cert-dir", "mine"]).succeeds();

    // A key that belongs to another certificate.
    fs::copy(moved.join("a.key"), moved.join("client.key")).unwrap();
    told!(place.told(&["--cert-dir", "mine"], 2), @r"
    error: mine/client.cert and its key cannot be used together
      caused by: keys may not be consistent: KeyMismatch
      hint: the .key must be the key of the certificate in the .cert of the same name
    ");
}

#[test]
fn a_certificate_that_signs_itself_is_trusted_when_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let pair = self_signed(folder.path(), NAMES);
    let place = Place::new(pair.clone(), None);
    told!(place.told(&[], 8), @r"
    error: cannot reach registry REGISTRY: the certificate of REGISTRY proves nothing: it signs itself and is not trusted here
      hint: put the certificate of its authority into HOME/.config/containers/certs.d/REGISTRY/ca.crt or /etc/docker/certs.d/REGISTRY/ca.crt, or name it with --ca-file
    ");
    copy(&place.station, &pair.certificate, &place.certs(".docker", "ca.crt"));
    place.look(&[]).succeeds();

    // Its name is checked all the same.
    let pair = self_signed(folder.path(), "DNS:h.example");
    let place = Place::new(pair.clone(), None);
    copy(&place.station, &pair.certificate, &place.certs(".docker", "ca.crt"));
    told!(place.told(&[], 8), @r"
    error: cannot reach registry REGISTRY: the certificate of REGISTRY is not for 0.0.0.0, but for h.example
      hint: name the registry as its certificate does, or have one made with this name among its subjectAltNames
    ");
}

#[test]
fn dates_and_names_are_checked() {
    let authority = Authority::new();
    let file = authority.certificate();
    let trusting = ["--ca-file", file.to_str().unwrap()];
    let place = Place::new(authority.expired("late", NAMES), None);
    let told = place.told(&trusting, 8);
    let today = told.split("(today is ").nth(1).and_then(|rest| rest.get(..10)).unwrap();
    told!(told.replace(today, "TODAY"), @r"
    error: cannot reach registry REGISTRY: the certificate of REGISTRY has expired on 2020-02-01 (today is TODAY)
      hint: have it renewed; if it has not expired, set the clock of this machine
    ");
    let place = Place::new(authority.certify("wrong", "DNS:h.example,IP:192.0.2.1"), None);
    told!(place.told(&trusting, 8), @r"
    error: cannot reach registry REGISTRY: the certificate of REGISTRY is not for 0.0.0.0, but for h.example, 192.0.2.1
      hint: name the registry as its certificate does, or have one made with this name among its subjectAltNames
    ");
}

#[test]
fn plain_and_tls_are_told_apart() {
    let authority = Authority::new();
    let secure = Place::new(authority.certify("server", NAMES), None);
    told!(secure.told(&["--plain-http"], 8), @r#"
    error: cannot reach registry REGISTRY: registry REGISTRY answered 400 Bad Request: an HTML page, as a proxy in front of a registry sends it: "400 The plain HTTP request was sent to HTTPS port"
      hint: leave out --plain-http: this registry speaks TLS
    "#);
    let itself = format!("--plain-http={}", secure.host());
    assert!(secure.told(&[&itself], 8).contains("HTTPS port"));

    let registry = Registry::start();
    push_image(&registry);
    let (station, host) = (Station::new(), abroad(registry.port()));
    let name = format!("{host}/app:1");
    let look =
        |more: &[&str]| station.sealift([&["export", "-q", "--dry-run", &name], more].concat());
    told!(tidy(&station, &[(&host, "REGISTRY")], &look(&[]).refused(8)), @r"
    error: cannot reach registry REGISTRY: REGISTRY does not speak TLS there
      hint: if it is meant to be so, allow plain HTTP with --plain-http=REGISTRY
    ");
    look(&["--plain-http=127.0.0.1:1"]).refused(8);
    look(&["--plain-http"]).succeeds();
    look(&[&format!("--plain-http={host}")]).succeeds();

    // What the machine's configuration calls insecure may be spoken to in the clear…
    let daemon = format!(r#"{{"insecure-registries":["{host}"]}}"#);
    write(&station, ".config/docker/daemon.json", &daemon);
    look(&[]).succeeds();
    fs::remove_file(station.path(".config/docker/daemon.json")).unwrap();
    let conf = format!("[[registry]]\nlocation = \"{host}\"\ninsecure = true\n");
    write(&station, ".config/containers/registries.conf", &conf);
    look(&[]).succeeds();
    // …but its certificate is checked.
    let conf = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", secure.host());
    write(&secure.station, ".config/containers/registries.conf", &conf);
    told!(secure.told(&[], 8), @r"
    error: cannot reach registry REGISTRY: the certificate of REGISTRY proves nothing: an authority that is not trusted here signed it
      hint: put the certificate of its authority into HOME/.config/containers/certs.d/REGISTRY/ca.crt or /etc/docker/certs.d/REGISTRY/ca.crt, or name it with --ca-file; HOME/.config/containers/registries.conf calls this registry insecure, which sealift takes for leave to speak plain HTTP, and never to skip the check of a certificate
    ");
}
