//! Encrypted bundles on bad sticks: all of it is noticed, and it is said where.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use sealift::bundle::Bundle;
use sealift::codec::encryption::Identities;
use sealift::endpoint::Silent;
use sealift::model::Kind;
use sealift::operation::verify::{Depth, verify};
use sealift::trust::Trust;

use crate::hands::Hands;
use crate::support::images::noise;

/// Flips of single bits, all over the file. Each is a verification of its own.
const FLIPS: usize = 400;

#[test]
fn no_flipped_bit_gets_through() {
    let hands = Hands::new();
    let recipient = hands.identity("key.txt");
    hands.export(&["one"], &["-o", "x.age", "--encrypt-to", &recipient]).succeeds();
    let path = hands.path("x.age");
    let trust = Trust::from_files(&[hands.station.public_key()]).unwrap();
    let identities = Identities::load([hands.path("key.txt")]).unwrap();
    let look = || {
        let bundle = Bundle::open_set(std::slice::from_ref(&path), None, &identities)?
            .authenticate(&trust)?;
        Ok(verify(&bundle, Depth::Quick, 1, &Silent)?.worst())
    };
    assert_eq!(look().unwrap_or_else(|e: sealift::model::Error| panic!("{e}")), None);
    let good = fs::read(&path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    for (number, random) in noise(7, FLIPS * 8).chunks(8).enumerate() {
        let random = u64::from_le_bytes(random.try_into().unwrap());
        // The header is short and is to have its share.
        let within = if number % 4 == 0 { 400 } else { good.len() as u64 };
        let (at, bit) = (random / 8 % within, random % 8);
        file.write_all_at(&[good[at as usize] ^ (1 << bit)], at).unwrap();
        let kind = match look() {
            Ok(worst) => worst.unwrap_or_else(|| panic!("bit {bit} of byte {at} got through")),
            Err(error) => error.kind(),
        };
        let expected = match at {
            // The number of a later version.
            20 => &[Kind::Malformed, Kind::Damaged][..],
            // It may look as if it were for somebody else.
            0..400 => &[Kind::Usage, Kind::Damaged],
            _ => &[Kind::Damaged],
        };
        assert!(expected.contains(&kind), "bit {bit} of byte {at}: {kind:?}");
        file.write_all_at(&good[at as usize..=at as usize], at).unwrap();
    }
    assert_eq!(look().unwrap_or_else(|e| panic!("{e}")), None);
}

/// Bytes before the first chunk: a header, which ends with a line of its own, and a nonce.
fn header(file: &[u8]) -> usize {
    let end = file.windows(5).position(|window| window == b"\n--- ").unwrap() + 5;
    end + 43 + 1 + 16
}

#[test]
fn damage_is_named_with_its_place_and_cuts_and_additions_are_refused() {
    let hands = Hands::new();
    let recipient = hands.identity("key.txt");
    hands.export(&["one"], &["-o", "x.age", "--encrypt-to", &recipient]).succeeds();
    let good = hands.read("x.age");
    let verify = || hands.station.sealift(["verify", "x.age", "--identity", "key.txt"]);
    let write = |bytes: &[u8]| fs::write(hands.path("x.age"), bytes).unwrap();

    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    write(&bad);
    let run = verify();
    assert_eq!(run.code, Some(4), "{run:?}");
    let (chunk, header) = (64 * 1024, header(&good));
    let place = format!("byte {} of the volume", (middle - header) / (chunk + 16) * chunk);
    assert!(run.stdout.contains("x.age") && run.stdout.contains(&place), "{run:?}");

    for length in [10, 30, 100, good.len() - 1, good.len() - 16, good.len() / 2] {
        write(&good[..length]);
        let run = verify();
        assert_eq!(run.code, Some(4), "{length}: {run:?}");
    }
    let borders: Vec<usize> = (header..good.len()).step_by(chunk + 16).collect();
    assert!(borders.len() > 5);
    for border in borders {
        write(&good[..border]);
        let run = verify();
        assert_eq!(run.code, Some(4), "{border}: {run:?}");
    }
    write(&[&good[..], b"x"].concat());
    verify().refused(4);
    write(&[&good[..], &good[good.len() - chunk..]].concat());
    verify().refused(4);
    write(&good);
    verify().succeeds();
}
