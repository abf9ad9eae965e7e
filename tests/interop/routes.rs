//! The way to registries as they are: their own authorities, proxies, mirrors, nginx in front.
//!
//! Registries listen on loopback. By the name `0.0.0.0` this machine reaches them too, and that is
//! no loopback address: what holds for the registries of the world holds for such a name.

mod certificates;
mod front;
mod mirrors;
mod proxies;

use std::fs;

use crate::support::command::Station;
use crate::support::pictures::{push_image, raw};

macro_rules! told {
    ($told:expr, @$expected:literal) => {
        insta::assert_snapshot!($told, @$expected)
    };
}
use told;

/// A name for what listens on a port of loopback that is not loopback.
fn abroad(port: u16) -> String {
    format!("0.0.0.0:{port}")
}

/// Writes a file in the station's home.
fn write(station: &Station, path: &str, text: &str) {
    let path = station.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Copies a file into the station's home.
fn copy(station: &Station, from: &std::path::Path, path: &str) {
    write(station, path, &fs::read_to_string(from).unwrap());
}

/// What a person is told, without what differs from run to run.
fn tidy(station: &Station, names: &[(&str, &str)], text: &str) -> String {
    let home = station.home().to_str().unwrap();
    let text = text.replace(home, "HOME");
    names.iter().fold(text, |text, (name, stands_for)| text.replace(name, stands_for))
}
