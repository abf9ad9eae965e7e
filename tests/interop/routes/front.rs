//! nginx in front of a registry.

use super::*;
use crate::support::authority::Authority;
use crate::support::gallery::{self, Layer};
use crate::support::nginx::{Front, Nginx};
use crate::support::pictures::Layout;
use crate::support::registry::Registry;

/// A registry with an image of two mebibytes.
fn large() -> Registry {
    let registry = Registry::start();
    let layout = Layout::new();
    let layer = Layer::gzip(&layout, &gallery::tar_of_noise(5, 2 << 20));
    layout.put(&registry, "large", "1", &gallery::image(&layout, "amd64", &[layer]));
    registry
}

#[test]
fn an_upload_over_the_limit_of_nginx_goes_in_pieces_below_it() {
    let (from, to) = (large(), Registry::start());
    let nginx = Nginx::before(&to.host(), &Front::default());
    let station = Station::new();
    station.export("b.sealift", [format!("{}/large:1", from.host())]);
    let run = station.sealift(["import", "-q", "b.sealift", "--to", &nginx.host()]);
    let told = tidy(&station, &[(&nginx.host(), "REGISTRY")], &run.stderr);
    told!(told, @"warning: registry REGISTRY refuses 2049 KiB as too much for one request: sending pieces of 2048 KiB");
    run.succeeds();
    assert_eq!(raw(&format!("{}/large:1", to.host())), raw(&format!("{}/large:1", from.host())));
}

#[test]
fn a_limit_of_nginx_below_every_piece_is_told_in_words() {
    let (from, to) = (large(), Registry::start());
    let nginx = Nginx::before(&to.host(), &Front { limit: Some("100k"), ..Front::default() });
    let station = Station::new();
    station.export("b.sealift", [format!("{}/large:1", from.host())]);
    let run = station.sealift(["import", "-q", "b.sealift", "--to", &nginx.host()]);
    let told = tidy(&station, &[(&nginx.host(), "REGISTRY")], &run.refused(8));
    let digest = told.split("sha256:").nth(1).and_then(|rest| rest.get(..64)).unwrap();
    told!(told.replace(digest, "DIGEST"), @r#"
    warning: registry REGISTRY refuses 2049 KiB as too much for one request: sending pieces of 2048 KiB
    error: cannot upload blob sha256:DIGEST to REGISTRY/large: registry REGISTRY answered 413 Payload Too Large: an HTML page, as a proxy in front of a registry sends it: "413 Request Entity Too Large"
      hint: a proxy in front of REGISTRY refuses uploads over its limit; have the limit raised (nginx: client_max_body_size 0)
    "#);
}

#[test]
fn images_cross_nginx_both_ways_with_tls() {
    let (from, to) = (large(), Registry::start());
    let authority = Authority::new();
    let nginx = |registry: &Registry, name: &str| {
        let certificate = Some(authority.certify(name, "IP:127.0.0.1"));
        let front = Front { certificate, limit: Some("0"), clients: None };
        Nginx::before(&registry.host(), &front)
    };
    let (before, behind) = (nginx(&from, "from"), nginx(&to, "to"));
    let station = Station::new();
    for host in [before.host(), behind.host()] {
        copy(&station, &authority.certificate(), &format!(".docker/certs.d/{host}/ca.crt"));
    }
    station.export("b.sealift", [format!("{}/large:1", before.host())]);
    station.import("b.sealift", &behind.host(), [""; 0]);
    assert_eq!(raw(&format!("{}/large:1", to.host())), raw(&format!("{}/large:1", from.host())));
}
