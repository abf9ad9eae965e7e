//! FAT32, which most sticks come with: names without case, no links, no permissions, times of two
//! seconds, renaming over a file that is there.

use std::fs;

use crate::medium::Medium;
use crate::support::command::Run;
use crate::yard::{NAMES, Yard, tags};

#[test]
fn a_bundle_travels_on_fat() {
    let yard = Yard::new();
    let stick = Medium::fat(64 << 20);
    for _ in 0..2 {
        // The second time it takes the place of the first.
        Run::of(&mut yard.export_to(&stick.at("Images of June.sealift"))).succeeds();
        assert_eq!(stick.names(), ["Images of June.sealift"]);
    }
    stick.check_fat();
    stick.mount_fat();
    assert!(fs::read(stick.at("Images of June.sealift")).unwrap() == yard.whole());
    yard.sealift(["verify", "-q", &stick.at("images of june.SEALIFT")]).succeeds();
    fs::rename(stick.at("Images of June.sealift"), stick.at("IMAGES~1.SEA")).unwrap();
    yard.import(&stick.at("IMAGES~1.SEA"), "oci:arrived", [""; 0]);
    assert_eq!(tags(&yard.path("arrived")), NAMES);

    // A name that differs in case alone is the same file.
    let mut command = yard.program();
    command.args(["export", "-q", "oci:images", "-o", &stick.at("images~1.sea")]);
    let said = Run::of(&mut command).refused(2);
    assert!(said.contains("images~1.sea"), "{said}");

    // Layouts and archives on it, too.
    yard.import("whole.sealift", &format!("oci:{}", stick.at("layout")), [""; 0]);
    assert_eq!(tags(&stick.path().join("layout")), NAMES);
    for kind in ["oci-archive", "docker-archive"] {
        yard.import("whole.sealift", &format!("{kind}:{}", stick.at(kind)), [""; 0]);
    }
    stick.check_fat();
}

#[test]
fn a_fat_that_is_full_keeps_nothing_of_a_bundle() {
    let yard = Yard::new();
    let stick = Medium::fat(36 << 20);
    let filler = fs::File::create(stick.at("filler")).unwrap();
    // All but 128 KiB.
    let mut written = 0;
    let sevens = vec![7; 64 << 10];
    while std::io::Write::write(&mut (&filler), &sevens).is_ok_and(|n| n > 0) {
        written += 64 << 10;
    }
    filler.set_len(written - (128 << 10)).unwrap();
    drop(filler);
    let said = Run::of(&mut yard.export_to(&stick.at("b.sealift"))).refused(3);
    // The kernel says that there is no space; the other driver has its own words.
    assert!(said.contains("b.sealift"), "{said}");
    assert_eq!(stick.names(), ["filler"]);
    fs::remove_file(stick.at("filler")).unwrap();
    Run::of(&mut yard.export_to(&stick.at("b.sealift"))).succeeds();
    assert_eq!(stick.names(), ["b.sealift"]);
    stick.check_fat();
}
