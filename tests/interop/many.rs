//! Many images: the number of requests is what it has to be.

use std::collections::BTreeMap;

use crate::support::command::Station;
use crate::support::registry::{Access, Registry};
use crate::support::{crowd, judge};

const IMAGES: usize = 60;
const REPOSITORIES: usize = 10;
/// Nine layers and a configuration of each image, three layers of each repository.
const BLOBS: usize = IMAGES * 10 + REPOSITORIES * 3;

/// How many requests of each kind there were.
fn kinds(accesses: &[Access]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for access in accesses {
        let kind = ["/blobs/uploads/", "/blobs/", "/manifests/", "/referrers/", "/v2/"]
            .into_iter()
            .find(|part| access.path.contains(part))
            .unwrap();
        *kinds
            .entry(format!("{} {}", access.method, kind.replace('/', " ").trim()))
            .or_default() += 1;
    }
    kinds
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|&(kind, count)| (kind.to_owned(), count)).collect()
}

#[test]
fn sixty_images_take_as_many_requests_as_they_have_parts() {
    let (from, to) = (Registry::start(), Registry::start());
    let names = crowd::fill(&from, IMAGES, REPOSITORIES);
    let station = Station::new();
    let before = from.accesses().len();
    station.export("many.sealift", &names);
    assert_eq!(
        kinds(&from.accesses_since(before)),
        counts(&[
            ("GET blobs", BLOBS),
            // The image, and four tags under which something may be attached.
            ("GET manifests", IMAGES * 5),
            ("GET referrers", IMAGES),
            ("GET v2", 1),
        ])
    );

    let import = |before: usize| {
        station.import("many.sealift", &format!("{}/m", to.host()), [""; 0]);
        kinds(&to.accesses_since(before))
    };
    let asked = [("GET v2", 1), ("HEAD blobs", BLOBS)];
    let first = counts(
        &[
            &asked[..],
            &[
                // An upload that is begun and given up tells beforehand whether we may.
                ("POST blobs uploads", BLOBS + 1),
                ("DELETE blobs uploads", 1),
                ("PUT blobs uploads", BLOBS),
                // Each manifest and each tag is asked for; each tag is read back.
                ("HEAD manifests", IMAGES * 3),
                ("PUT manifests", IMAGES * 2),
            ],
        ]
        .concat(),
    );
    assert_eq!(import(to.accesses().len()), first);
    let before = to.accesses_since(0).len();
    let again = counts(&[&asked[..], &[("HEAD manifests", IMAGES * 2)]].concat());
    assert_eq!(import(before), again, "a second import sends nothing");
    let verdict = judge::same(&from, &to, "m/");
    assert_eq!((verdict.tags, verdict.manifests, verdict.blobs), (IMAGES, IMAGES, BLOBS));
}
