//! Images that are read from somewhere else than their names say.

use sealift::endpoint::{Action, BlobStep, Form, Source, Target as _};
use sealift::model::{Descriptor, Error};
use sealift::operation::gather::{Wanted, gather};
use sealift::transport::registry::{Client, Options, Patience, RegistrySource, RegistryTarget};

use super::*;
use crate::support::command::Run;
use crate::support::registry::{Registry, Setup};

/// A registry with an image, and a mirror that fetches from it what it is asked for.
struct Place {
    registry: Registry,
    mirror: Registry,
    station: Station,
}

impl Place {
    fn new() -> Self {
        let registry = Registry::start();
        push_image(&registry);
        let mirror_of = Some(registry.url());
        let mirror = Registry::start_with(Setup { mirror_of, ..Setup::default() });
        Self { registry, mirror, station: Station::new() }
    }

    fn name(&self) -> String {
        format!("{}/app:1", self.registry.host())
    }

    fn option(&self) -> String {
        format!("--mirror={}={}", self.registry.host(), self.mirror.host())
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.station.sealift(arguments)
    }

    fn tidy(&self, text: &str) -> String {
        let (registry, mirror) = (self.registry.host(), self.mirror.host());
        tidy(&self.station, &[(&registry, "REGISTRY"), (&mirror, "MIRROR")], text)
    }

    fn configure(&self, conf: &str) {
        write(&self.station, ".config/containers/registries.conf", conf);
    }
}

#[test]
fn a_mirror_is_asked_first_and_the_bundle_says_so() {
    let place = Place::new();
    let before = place.registry.accesses_since(0).len();
    let run = place.run(&["export", "-o", "b.sealift", &place.name(), &place.option()]);
    let notes: Vec<&str> = run.stderr.lines().filter(|line| line.contains("mirror")).collect();
    told!(place.tidy(&notes.join("\n")), @r"
    sealift: reading from the mirror MIRROR (--mirror)
    ");
    run.succeeds();
    let read = |registry: &Registry, since| {
        let accesses = registry.accesses_since(since);
        accesses.iter().filter(|access| access.path.ends_with("/app/manifests/1")).count()
    };
    assert!(read(&place.mirror, 0) > 0);
    assert!(read(&place.registry, before) > 0, "the mirror asks the registry in its turn");

    let inspected = place.run(&["inspect", "b.sealift", "--json"]).json();
    assert_eq!(inspected["images"][0]["name"], place.name());
    let origin = format!("{}/app:1", place.mirror.host());
    assert_eq!(inspected["images"][0]["origin"], origin.as_str());
    let shown = place.run(&["inspect", "b.sealift"]).succeeds();
    assert!(shown.contains(&format!("was read at {origin}")), "{shown}");

    // Under its own name it goes on.
    let to = Registry::start();
    place.station.import("b.sealift", &to.host(), [""; 0]);
    assert_eq!(raw(&format!("{}/app:1", to.host())), raw(&place.name()));

    // What the mirror has does not need the registry.
    drop(place.registry);
    let station = place.station;
    let name = inspected["images"][0]["name"].as_str().unwrap();
    let option = format!("--mirror={}={}", name.trim_end_matches("/app:1"), place.mirror.host());
    station.export("c.sealift", [name, &option]);
}

#[test]
fn a_mirror_that_does_not_help_is_passed_over() {
    let place = Place::new();
    let empty = Registry::start();
    let private = Registry::start_with(Setup { login: Some(("user", "pass")), ..Setup::default() });
    let registry = place.registry.host();
    let options = [empty.host(), "127.0.0.1:1".to_owned(), private.host()]
        .map(|mirror| format!("--mirror={registry}={mirror}/below"));
    let export = |name: &str, bundle: &str| {
        let mut arguments = vec!["export", "-o", bundle, name];
        arguments.extend(options.iter().map(String::as_str));
        place.run(&arguments)
    };
    let hide = |text: &str| {
        place.tidy(text).replace(&empty.host(), "EMPTY").replace(&private.host(), "PRIVATE")
    };
    let run = export(&place.name(), "b.sealift");
    let notes: Vec<&str> = run.stderr.lines().filter(|line| line.contains("mirror")).collect();
    told!(hide(&notes.join("\n")), @r#"
    sealift: the mirror EMPTY/below (--mirror) is passed over: it does not have EMPTY/below/app:1
    sealift: the mirror 127.0.0.1:1/below (--mirror) is passed over: cannot reach registry 127.0.0.1:1: Connection refused (os error 111)
    sealift: the mirror PRIVATE/below (--mirror) is passed over: cannot read manifest 1 of PRIVATE/below/app: registry PRIVATE answered 401 Unauthorized: UNAUTHORIZED: authentication required ([{"Action":"pull","Class":"","Name":"below/app","Type":"repository"}])
    "#);
    run.succeeds();
    let inspected = place.run(&["inspect", "b.sealift", "--json"]).json();
    assert!(inspected["images"][0]["origin"].is_null(), "{inspected}");

    // What is nowhere is said with all that was tried.
    let run = export(&format!("{registry}/no/such:1"), "c.sealift");
    let told = hide(&run.refused(8));
    let error: Vec<&str> = told.lines().skip_while(|line| !line.starts_with("error")).collect();
    told!(error.join("\n"), @r#"
    error: REGISTRY/no/such:1 is not at registry REGISTRY; before that, mirror EMPTY/below: it does not have EMPTY/below/no/such:1; mirror 127.0.0.1:1/below: cannot reach registry 127.0.0.1:1: Connection refused (os error 111); mirror PRIVATE/below: cannot read manifest 1 of PRIVATE/below/no/such: registry PRIVATE answered 401 Unauthorized: UNAUTHORIZED: authentication required ([{"Action":"pull","Class":"","Name":"below/no/such","Type":"repository"}])
      hint: check the name and the tag; if it is private, sign in with `sealift login REGISTRY`
    "#);
}

#[test]
fn what_the_machine_is_configured_for_is_followed() {
    let place = Place::new();
    let (registry, mirror) = (place.registry.host(), place.mirror.host());
    let origin = |arguments: &[&str]| {
        let arguments = [&["export", "-n", "-q", "--json"], arguments].concat();
        let shown = place.run(&arguments).json();
        let image = &shown["images"][0];
        image["origin"].as_str().map(|text| place.tidy(text))
    };
    let name = place.name();
    assert_eq!(origin(&[&name]), None);
    place.configure(&format!(
        "[[registry]]\nlocation = \"{registry}\"\n[[registry.mirror]]\nlocation = \"{mirror}\"\n"
    ));
    assert_eq!(origin(&[&name]).as_deref(), Some("MIRROR/app:1"));
    assert_eq!(origin(&[&name, "--no-mirrors"]), None);

    // A name that exists only in the configuration.
    place.configure(&format!(
        "[[registry]]\nprefix = \"*.corp.example\"\nblocked = true\n\
         [[registry]]\nprefix = \"team.corp.example/x\"\nlocation = \"{registry}\"\n"
    ));
    assert_eq!(origin(&["team.corp.example/x/app:1"]).as_deref(), Some("REGISTRY/app:1"));
    let blocked = place.run(&["export", "-n", "-q", "h.corp.example/app:1"]);
    told!(place.tidy(&blocked.refused(2)), @r"
    error: h.corp.example/app:1 is blocked: HOME/.config/containers/registries.conf says so for *.corp.example
      hint: ask whoever keeps that file; sealift does not go around it
    ");
    place.station.export("b.sealift", [&name]);
    let blocked = place.run(&["import", "-q", "b.sealift", "--to", "h.corp.example/mirror"]);
    told!(place.tidy(&blocked.refused(2)), @r"
    error: h.corp.example/mirror is blocked: HOME/.config/containers/registries.conf says so for *.corp.example
      hint: ask whoever keeps that file; sealift does not go around it
    ");

    // A digest is what some mirrors are trusted for, and nothing else.
    place.configure(&format!(
        "[[registry]]\nlocation = \"{registry}\"\nmirror-by-digest-only = true\n\
         [[registry.mirror]]\nlocation = \"{mirror}\"\n"
    ));
    assert_eq!(origin(&[&name]), None);
    let digest = sealift::model::Digest::of(&raw(&name));
    let pinned = format!("{registry}/app@{digest}");
    assert_eq!(origin(&[&pinned]), Some(format!("MIRROR/app@{digest}")));

    place.configure("[[registry]]\nprefix = 1\n");
    told!(place.tidy(&place.run(&["export", "-n", "-q", &name]).refused(2)), @r"
    error: HOME/.config/containers/registries.conf cannot be understood, line 2: invalid type: integer `1`, expected a string
    ");
}

#[test]
fn dockers_mirrors_are_for_docker_hub() {
    let place = Place::new();
    // What docker.io/library/app would be.
    let mut layout = crate::support::pictures::Layout::new();
    let layer = layout.add(sealift::model::manifest::media::OCI_LAYER, b"hub");
    let image = layout.add_image("amd64", &[layer]);
    layout.name("image", &image);
    layout.push("image", &format!("{}/library/app:1", place.registry.host()), &[]);
    let daemon = format!(r#"{{"registry-mirrors":["http://{}/"]}}"#, place.mirror.host());
    write(&place.station, ".config/docker/daemon.json", &daemon);
    let run = place.run(&["export", "-o", "b.sealift", "app:1"]);
    assert!(run.stderr.contains(&place.mirror.host()), "{}", run.stderr);
    run.succeeds();
    let inspected = place.run(&["inspect", "b.sealift", "--json"]).json();
    assert_eq!(inspected["images"][0]["name"], "docker.io/library/app:1");
    assert_eq!(inspected["images"][0]["digest"], image.digest.to_string());
    // Another registry is none of their business.
    place.run(&["export", "-n", "-q", &place.name()]).succeeds();
}

#[test]
fn a_mirror_takes_nothing_in() {
    let place = Place::new();
    let patience = Patience { attempts: 1, ..Patience::default() };
    let client = Client::new(Options { patience, ..Options::default() }).unwrap();
    let source = RegistrySource::new(client.clone(), place.name().parse().unwrap());
    let sources = [&source as &dyn Source];
    let parcels = gather(sources.into_iter(), &Wanted::default()).unwrap().concat();
    let target = RegistryTarget::new(client, place.mirror.host(), "x");
    let tell = |error: &Error| {
        let told = place.tidy(&format!("{error}\n  hint: {}", error.get_hint().unwrap()));
        let digest = told.split("sha256:").nth(1).and_then(|rest| rest.get(..64)).unwrap();
        told.replace(digest, "DIGEST")
    };
    told!(tell(&target.plan(&parcels).unwrap_err()), @r#"
    cannot ask for manifest sha256:DIGEST of MIRROR/x/app: registry MIRROR answered 500 Internal Server Error: UNKNOWN: unknown error ({"errors":[{"code":"MANIFEST_UNKNOWN","detail":{"Name":"x/app","Revision":"sha256:DIGEST"},"message":"manifest unknown"}]})
      hint: MIRROR seems to be a mirror, which hands on what another registry has and takes nothing in; bring images to that one
    "#);
    let descriptor = Descriptor::of("x", b"blob");
    let step = BlobStep {
        form: Form::Exact,
        bytes: descriptor.size,
        place: "x/app".into(),
        action: Action::Send,
        descriptor,
    };
    let error = target.put_blob(&step, &mut || Ok(Box::new(&b"blob"[..]))).unwrap_err();
    told!(tell(&error), @r"
    cannot upload blob sha256:DIGEST to MIRROR/x/app: registry MIRROR answered 405 Method Not Allowed: UNSUPPORTED: The operation is unsupported.
      hint: MIRROR seems to be a mirror, which hands on what another registry has and takes nothing in; bring images to that one
    ");
}
