//! Registries that are not open to everybody, with what `docker login` leaves behind.

use std::fs;

use crate::support::command::Station;
use crate::support::pictures::{push_image, raw};
use crate::support::registry::{Registry, Setup};

/// Signs a station in as docker does: `canary-7` is the password.
fn sign_in(station: &Station, registry: &Registry) {
    fs::create_dir(station.path(".docker")).unwrap();
    // The encoded form of "user:canary-7".
    let text =
        format!(r#"{{"auths":{{"{}":{{"auth":"dXNlcjpjYW5hcnktNw=="}}}}}}"#, registry.host());
    fs::write(station.path(".docker/config.json"), text).unwrap();
}

#[test]
fn a_private_registry_with_its_own_authority() {
    let login = Some(("user", "canary-7"));
    let from = Registry::start_with(Setup { tls: true, login, ..Setup::default() });
    let to = Registry::start();
    push_image(&from);
    let station = Station::new();
    let name = format!("{}/app:1", from.host());
    let authority = from.ca_files().remove(0);
    let export = |bundle: &str, more: &[&str]| {
        station.sealift([&["export", "-o", bundle, &name], more].concat())
    };

    let told = export("b.sealift", &[]).refused(8);
    assert!(told.contains("--ca-file"), "{told}");
    let trusting = ["--ca-file", authority.to_str().unwrap()];
    let told = export("b.sealift", &trusting).refused(8);
    assert!(told.contains("sealift login"), "{told}");

    sign_in(&station, &from);
    let run = export("b.sealift", &trusting);
    assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    run.succeeds();
    let bundle = fs::read(station.path("b.sealift")).unwrap();
    for secret in ["canary-7", "dXNlcjpjYW5hcnktNw"] {
        let found = bundle.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(!found, "a bundle tells nobody how it was come by");
    }

    station.import("b.sealift", &to.host(), [""; 0]);
    assert_eq!(
        sealift::model::Digest::of(&raw(&format!("{}/app:1", to.host()))).to_string(),
        station.sealift(["inspect", "b.sealift", "--json"]).json()["images"][0]["digest"]
    );
    // And back in, with the rights that it has there.
    let back = format!("{}/back", from.host());
    station.import("b.sealift", &back, trusting);
}
