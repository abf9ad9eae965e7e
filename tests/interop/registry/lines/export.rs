//! Harm done to exports.

use sealift::endpoint::Silent;
use sealift::operation::verify::{Depth, verify};

use super::*;

fn cases(world: &World, storage: &str) -> Vec<Case> {
    let elsewhere = world.elsewhere();
    let to = |place: &str| Harm::Answer(307, format!("Location: {place}"), String::new());
    let foreign_realm = Harm::Answer(
        401,
        format!("WWW-Authenticate: Bearer realm=\"{elsewhere}\",service=\"test\""),
        String::new(),
    );
    let large = |harm, times| rule(Phase::GetBlob, LARGE, harm, times);
    // What comes after the answer broke off.
    let cut_and = |harm| {
        let then = Rule { after: 1, ..large(harm, 1) };
        vec![large(Harm::DropInAnswer, 1), then]
    };

    let mut cases = Vec::new();
    for phase in [Phase::Ping, Phase::Token, Phase::GetManifest, Phase::Referrers] {
        for (name, harm) in [
            ("drops before the request", Harm::DropBefore),
            ("drops before the answer", Harm::DropBeforeAnswer),
            ("drops in the answer", Harm::DropInAnswer),
            ("429 with Retry-After", busy(429)),
            ("500", answers(500)),
        ] {
            cases.push(case(format!("{phase:?}: {name}"), once(phase, harm), Works));
        }
        cases.push(slow(format!("{phase:?}: a byte at a time"), once(phase, Harm::Drip), Works));
    }
    for (name, harm) in [
        ("drops before the request", Harm::DropBefore),
        ("drops before the answer", Harm::DropBeforeAnswer),
        ("drops in the answer", Harm::DropInAnswer),
        ("401", answers(401)),
        ("408", answers(408)),
        ("429 with Retry-After", busy(429)),
        ("500", answers(500)),
        ("502", answers(502)),
        ("503", answers(503)),
    ] {
        cases.push(case(format!("GetBlob: {name}"), vec![large(harm, 1)], Works));
    }
    cases.push(slow("GetBlob: a byte at a time", vec![large(Harm::Drip, 1)], Works));
    cases.push(case("GetBlob: drops four times", vec![large(Harm::DropInAnswer, 4)], Works));
    for (name, harm) in [
        ("another part", Harm::Header("Content-Range", "bytes 7-3145727/3145728".into())),
        ("no part at all", Harm::Header("Content-Range", "nothing".into())),
        ("416", answers(416)),
        ("401", answers(401)),
        ("503", answers(503)),
        ("too little", Harm::Header("Content-Length", "5".into())),
    ] {
        cases.push(case(format!("GetBlob, going on: {name}"), cut_and(harm), Works));
    }
    let whole =
        vec![rule(Phase::GetBlob, ANY, Harm::Without("Range"), 1), large(Harm::DropInAnswer, 1)];
    cases.push(case("GetBlob, going on: all of it", whole, Works));
    let cut = |n| Rule { times: n, ..large(Harm::DropInAnswer, 1) };
    let changed = vec![cut(1), Rule { after: 1, ..large(Harm::SpoilAnswer, 1) }];
    cases.push(case("GetBlob, going on: another copy", changed, Refused("has digest")));

    for (phase, harm, words) in [
        (Phase::Ping, busy(503), "503"),
        (Phase::Ping, foreign_realm.clone(), "does not belong"),
        (Phase::Token, answers(500), "500"),
        (Phase::GetManifest, busy(429), "429"),
        (Phase::GetManifest, Harm::DropInAnswer, "broke off"),
        (Phase::GetManifest, Harm::SpoilAnswer, "digest"),
        (Phase::GetManifest, Harm::Header("Content-Length", "20".into()), "digest"),
        (Phase::GetManifest, Harm::Header("Content-Length", "99999".into()), "broke off"),
        (Phase::GetManifest, foreign_realm, "does not belong"),
        (Phase::GetManifest, to(&elsewhere), "is no manifest"),
        (Phase::GetManifest, to("ftp://127.0.0.1/x"), "redirects to"),
        (Phase::GetManifest, to("http://["), "redirects nowhere"),
        (Phase::GetManifest, answers(403), "403"),
        (Phase::Referrers, endless(), "pages"),
    ] {
        cases.push(case(
            format!("{phase:?}: always {harm:?}"),
            always(phase, harm),
            Refused(words),
        ));
    }
    for (name, harm, words) in [
        ("404", answers(404), "404"),
        ("500", answers(500), "500"),
        ("drops before the answer", Harm::DropBeforeAnswer, "cannot read blob"),
        ("spoilt", Harm::SpoilAnswer, "has digest"),
        ("offers less", Harm::Header("Content-Length", "3000000".into()), "are offered"),
        ("offers more", Harm::Header("Content-Length", "4000000".into()), "are offered"),
        ("goes elsewhere", to(&elsewhere), "are offered"),
    ] {
        let rules = vec![large(harm, ALWAYS)];
        cases.push(case(format!("GetBlob: always {name}"), rules, Refused(words)));
    }
    let moved = vec![large(to(&format!("http://{storage}/data")), ALWAYS)];
    cases.push(case("GetBlob: lies at another origin", moved, Works));
    cases
}

fn endless() -> Harm {
    let page = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let header =
        "Content-Type: application/vnd.oci.image.index.v1+json\r\nLink: <?n=1>; rel=\"next\"";
    Harm::Answer(200, header.into(), page.into())
}

#[test]
fn an_export_over_a_bad_line_is_whole_or_says_why() {
    let world = World::new();
    let layer = pictures::noise(1, 3 << 20);
    // The place where the registry keeps its blobs, which knows nobody.
    let storage = Server::start(move |_| reply(200).body(layer.clone()));
    let cases = cases(&world, &storage.host());
    let whole = |path: &Path| -> Vec<String> {
        let bundle = world.open(path);
        let report = verify(&bundle, Depth::Full, 2, &Silent).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        let roots = bundle.roots().unwrap();
        roots.iter().map(|root| root.descriptor.digest.to_string()).collect()
    };
    let straight = world.line(&world.from, Vec::new());
    let expected = whole(&world.export(&straight, &quick(), "straight").0.unwrap());
    assert_eq!(expected.len(), IMAGES.len());

    run_all(&cases, |at, case| {
        let name = format!("case{at}");
        let line = world.line(&world.from, case.rules.clone());
        let (result, warnings) = world.export(&line, &case.patience, &name);
        if line.harmed() == 0 {
            return Err("no harm was done".to_owned());
        }
        let told = judge(case.want, &result, &warnings)?;
        let output = world.folder.path().join(&name);
        match result {
            Ok(path) if whole(&path) != expected => return Err("it holds others".to_owned()),
            Ok(_) => {}
            Err(_) if output.exists() => return Err("half a bundle is left".to_owned()),
            Err(_) => {
                line.heal();
                match world.export(&line, &quick(), &name).0 {
                    Ok(path) if whole(&path) == expected => {}
                    Ok(_) => return Err("the second run leaves something out".to_owned()),
                    Err(error) => return Err(format!("the second run: {error:?}")),
                }
            }
        }
        std::fs::remove_file(output).unwrap();
        Ok(told)
    });
    world.nothing_was_stolen();
    assert!(!storage.seen().is_empty());
    assert!(!storage.seen().iter().any(Seen::has_credentials), "{:?}", storage.seen());
}
