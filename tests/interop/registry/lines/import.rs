//! Harm done to imports.

use std::collections::HashMap;

use sealift::model::Naming;
use sealift::operation::import as importing;

use super::*;
use crate::support::vault::Vault;

/// A blob that is too long for a proxy, which makes it go in pieces.
fn in_pieces(more: Vec<Rule>) -> Vec<Rule> {
    let limit = |phase| rule(phase, ANY, Harm::Limit(1 << 20), ALWAYS);
    let mut rules = more;
    rules.extend([limit(Phase::PutBlob), limit(Phase::Patch)]);
    rules
}

fn cases(world: &World) -> Vec<Case> {
    let elsewhere = world.elsewhere();
    let redirect = || Harm::Answer(307, format!("Location: {elsewhere}"), String::new());
    let foreign_realm = Harm::Answer(
        401,
        format!("WWW-Authenticate: Bearer realm=\"{elsewhere}\",service=\"test\""),
        String::new(),
    );
    let missing = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"unknown to registry"}]}"#;
    let stale = || Harm::Answer(404, "Content-Type: application/json".into(), missing.into());
    let large = |phase, harm, times| vec![rule(phase, LARGE, harm, times)];
    let piece = |harm| in_pieces(vec![rule(Phase::Patch, 1..usize::MAX, harm, 1)]);
    // Only the request that ends an upload in pieces has no content.
    let close = |harm| in_pieces(vec![rule(Phase::PutBlob, 0..1, harm, 1)]);

    let mut cases = Vec::new();
    // What passes, at every phase.
    let passing = [
        Phase::Ping,
        Phase::Token,
        Phase::HeadBlob,
        Phase::Mount,
        Phase::PostUpload,
        Phase::HeadManifest,
        Phase::PutManifest,
        Phase::PutTag,
    ];
    for phase in passing {
        for (name, harm) in [
            ("drops before the request", Harm::DropBefore),
            ("drops before the answer", Harm::DropBeforeAnswer),
            ("drops in the answer", Harm::DropInAnswer),
            ("429 with Retry-After", busy(429)),
            ("500", answers(500)),
        ] {
            cases.push(case(format!("{phase:?}: {name}"), once(phase, harm), Works));
        }
    }
    for phase in [Phase::Token, Phase::HeadBlob, Phase::PutTag] {
        cases.push(slow(format!("{phase:?}: a byte at a time"), once(phase, Harm::Drip), Works));
    }
    for phase in [Phase::PutManifest, Phase::PutTag] {
        let name = format!("{phase:?}: drops in the request");
        cases.push(case(name, once(phase, Harm::DropInRequest), Works));
    }
    // What does not pass.
    for (phase, harm, words) in [
        (Phase::Ping, busy(503), "503"),
        (Phase::Ping, foreign_realm.clone(), "does not belong"),
        (Phase::Token, answers(500), "500"),
        (Phase::Token, Harm::Answer(200, String::new(), "{}".into()), "gave none"),
        (Phase::Token, redirect(), "307"),
        (Phase::HeadBlob, busy(429), "429"),
        (Phase::HeadBlob, foreign_realm, "does not belong"),
        (Phase::HeadBlob, redirect(), "MANIFEST_BLOB_UNKNOWN"),
        (Phase::PostUpload, Harm::DropBeforeAnswer, "connection closed"),
        (Phase::PostUpload, redirect(), "307"),
        (Phase::PostUpload, Harm::Header("Location", elsewhere.clone()), "another place"),
        (Phase::PutBlob, busy(503), "503"),
        (Phase::PutBlob, answers(403), "403"),
        (Phase::PutBlob, redirect(), "307"),
        (Phase::PutBlob, stale(), "BLOB_UPLOAD_UNKNOWN"),
        (Phase::PutManifest, answers(502), "502"),
        (Phase::PutManifest, redirect(), "307"),
        (Phase::PutTag, Harm::DropBefore, "cannot put manifest"),
        (Phase::PutTag, answers(403), "403"),
    ] {
        cases.push(case(
            format!("{phase:?}: always {harm:?}"),
            always(phase, harm),
            Refused(words),
        ));
    }
    let spoilt = always(Phase::PutManifest, Harm::SpoilRequest);
    cases.push(case("PutManifest: spoilt", spoilt, Refused("400")));
    cases.push(case("HeadBlob: 405", always(Phase::HeadBlob, answers(405)), Works));
    cases.push(case("HeadManifest: 412", always(Phase::HeadManifest, answers(412)), Works));
    cases.push(case("Mount: 403", always(Phase::Mount, answers(403)), Works));
    // A large blob.
    for (name, harm) in [
        ("drops before the request", Harm::DropBefore),
        ("drops in the request", Harm::DropInRequest),
        ("drops before the answer", Harm::DropBeforeAnswer),
        ("drops in the answer", Harm::DropInAnswer),
        ("401", answers(401)),
        ("404 BLOB_UPLOAD_UNKNOWN", stale()),
        ("408", answers(408)),
        ("429 with Retry-After", busy(429)),
        ("500", answers(500)),
        ("502", answers(502)),
        ("503", answers(503)),
        ("spoilt", Harm::SpoilRequest),
    ] {
        cases.push(case(format!("PutBlob: {name}"), large(Phase::PutBlob, harm, 1), Works));
    }
    let spoilt = |phase| rule(phase, LARGE, Harm::SpoilRequest, ALWAYS);
    let spoilt = vec![spoilt(Phase::PutBlob), spoilt(Phase::Patch)];
    cases.push(case("PutBlob: always spoilt", spoilt, Refused("DIGEST_INVALID")));
    let dripping = large(Phase::PutBlob, Harm::Drip, 1);
    cases.push(slow("PutBlob: the answer a byte at a time", dripping, Works));
    let breaking = large(Phase::PutBlob, Harm::DropInRequest, ALWAYS);
    cases.push(case("PutBlob: never more than half; in pieces", breaking, Works));
    cases.push(case("PutBlob: 413 for more than 1 MiB; in pieces", in_pieces(Vec::new()), Works));
    let limit = |phase| rule(phase, ANY, Harm::Limit(100_000), ALWAYS);
    let limits = vec![limit(Phase::PutBlob), limit(Phase::Patch)];
    cases.push(case("PutBlob: 413 for more than 100 kB", limits, Refused("413")));
    // In pieces.
    for (name, harm) in [
        ("drops before the request", Harm::DropBefore),
        ("drops in the request", Harm::DropInRequest),
        ("drops before the answer", Harm::DropBeforeAnswer),
        ("drops in the answer", Harm::DropInAnswer),
        ("401", answers(401)),
        ("404 BLOB_UPLOAD_UNKNOWN", stale()),
        ("416", answers(416)),
        ("429 with Retry-After", busy(429)),
        ("502", answers(502)),
        ("spoilt", Harm::SpoilRequest),
        ("says that it has nothing", Harm::Header("Range", "0-0".into())),
        ("says that it has too much", Harm::Header("Range", "0-99999999".into())),
    ] {
        cases.push(case(format!("Patch: {name}"), piece(harm), Works));
    }
    let foreign = piece(Harm::Header("Location", elsewhere));
    cases.push(case("Patch: goes on elsewhere", foreign, Refused("another place")));
    for (name, harm) in [
        ("drops before the request", Harm::DropBefore),
        ("drops before the answer", Harm::DropBeforeAnswer),
        ("404 BLOB_UPLOAD_UNKNOWN", stale()),
        ("503", answers(503)),
    ] {
        cases.push(case(format!("PutBlob after pieces: {name}"), close(harm), Works));
    }
    let mut unasked = piece(answers(502));
    unasked.push(rule(Phase::UploadStatus, ANY, Harm::DropBefore, 1));
    cases.push(case("UploadStatus: drops before the request", unasked, Works));
    let mut unable = piece(answers(502));
    unable.push(rule(Phase::UploadStatus, ANY, answers(405), ALWAYS));
    cases.push(case("UploadStatus: 405", unable, Works));
    // Lists of referrers.
    let page = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let endless = Harm::Answer(
        200,
        "Content-Type: application/vnd.oci.image.index.v1+json\r\nLink: <?n=1>; rel=\"next\""
            .into(),
        page.into(),
    );
    let endless = always(Phase::Referrers, endless);
    cases.push(case("Referrers: without end", endless, Refused("pages")));
    cases.push(case("Referrers: 503", once(Phase::Referrers, answers(503)), Works));
    let spoilt = always(Phase::GetManifest, Harm::SpoilAnswer);
    cases.push(case("GetManifest: spoilt", spoilt, Refused("digest")));
    cases
}

fn import(
    world: &World,
    bundle: &Bundle<Authentic>,
    line: &Faultline,
    prefix: &str,
    patience: &Patience,
) -> (Result<Plan, Error>, Vec<String>) {
    let heard: Arc<Heard> = Arc::default();
    let relay = heard.relay();
    let target = RegistryTarget::new(world.client(line, patience, &relay), line.host(), prefix);
    let naming = Naming::below(line.host(), prefix);
    let request = importing::Request {
        bundle,
        trust: &sealift::trust::Trust::default(),
        naming: &naming,
        bases: &[],
        target: &target,
        images: Vec::new(),
        platforms: Vec::new(),
        dry_run: false,
        read_back: false,
        temporary: world.folder.path(),
    };
    let result = importing::import(&request, &*heard).map(|report| report.plan);
    (result, heard.warnings())
}

#[test]
fn an_import_over_a_bad_line_is_whole_or_says_why() {
    let world = World::new();
    let line = world.line(&world.from, Vec::new());
    let bundle = world.open(&world.export(&line, &quick(), "all.sealift").0.unwrap());
    let bundle = &bundle;
    let vault = Vault::of(&world.to);
    let cases = cases(&world);
    let expected = {
        let line = world.line(&world.to, Vec::new());
        import(&world, bundle, &line, "straight", &quick()).0.unwrap();
        vault.tags("straight")
    };
    assert_eq!(expected.len(), 6, "{expected:?}");
    for (tag, digest) in Vault::of(&world.from).tags("") {
        assert_eq!(expected.get(&tag), Some(&digest), "{tag}");
    }

    run_all(&cases, |at, case| {
        let prefix = format!("case{at}");
        let line = world.line(&world.to, case.rules.clone());
        let (result, warnings) = import(&world, bundle, &line, &prefix, &case.patience);
        let missing = vault.missing(&prefix);
        if !missing.is_empty() {
            return Err(format!("tagged, but not whole: {missing:?} after {:?}", result.err()));
        }
        if line.harmed() == 0 {
            return Err("no harm was done".to_owned());
        }
        let told = judge(case.want, &result, &warnings)?;
        if result.is_ok() && vault.tags(&prefix) != expected {
            return Err(format!("it holds {:?}", vault.tags(&prefix)));
        }
        line.heal();
        let (again, _) = import(&world, bundle, &line, &prefix, &quick());
        if let Err(error) = again {
            return Err(format!("the second run: {error:?}"));
        }
        if vault.tags(&prefix) != expected || !vault.missing(&prefix).is_empty() {
            return Err("the second run leaves something out".to_owned());
        }
        Ok(told)
    });
    assert_eq!(vault.damaged(), Vec::<String>::new());
    world.nothing_was_stolen();

    // What arrived was never sent again, in the same run or the next one.
    let mut arrived: HashMap<(String, String), usize> = HashMap::new();
    for access in world.to.accesses_since(0) {
        let ends = access.method == "PUT" && access.status == 201;
        if let (true, Some((session, digest))) = (ends, access.path.split_once("digest=")) {
            let repository = session.split("/blobs/").next().unwrap().to_owned();
            *arrived.entry((repository, digest.to_owned())).or_default() += 1;
        }
    }
    let twice: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    // skopeo, who knows nothing of all this, agrees about a few.
    for at in [0, cases.len() / 2, cases.len() - 1] {
        let name = format!("docker://{}/case{at}/team/app:1", world.to.host());
        let folder = format!("dir:{}", world.folder.path().join(format!("out{at}")).display());
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--all", "--preserve-digests"])
            .args(["--src-tls-verify=false", "--src-creds", "user:canary"])
            .args([&name, &folder]));
    }
}

#[test]
fn a_blob_is_asked_for_once_and_a_second_run_changes_nothing() {
    let world = World::new();
    let line = world.line(&world.from, Vec::new());
    let bundle = world.open(&world.export(&line, &quick(), "all.sealift").0.unwrap());
    let line = world.line(&world.to, Vec::new());
    for second in [false, true] {
        let before = world.to.accesses_since(0).len();
        import(&world, &bundle, &line, "x", &quick()).0.unwrap();
        let accesses = world.to.accesses_since(before);
        let mut asked: Vec<_> = accesses
            .iter()
            .filter(|access| access.method == "HEAD" && access.path.contains("/blobs/"))
            .map(|access| &access.path)
            .collect();
        let count = asked.len();
        asked.sort();
        asked.dedup();
        assert!(count > 5, "{accesses:?}");
        assert_eq!(asked.len(), count, "asked for twice: {accesses:?}");
        let changes = accesses.iter().filter(|access| !matches!(&*access.method, "GET" | "HEAD"));
        assert_eq!(changes.count() == 0, second, "{accesses:?}");
    }
}

#[test]
fn a_crowded_registry_gets_fewer_requests_at_a_time() {
    let world = World::new();
    let line = world.line(&world.from, Vec::new());
    let bundle = world.open(&world.export(&line, &quick(), "all.sealift").0.unwrap());
    let line = world.line(&world.to, Vec::new());
    line.crowd(2);
    let patience = Patience { attempts: 12, ..quick() };
    let (result, warnings) = import(&world, &bundle, &line, "crowd", &patience);
    result.unwrap();
    let (refused, all) = (line.harmed(), line.count());
    assert!(refused > 0, "nobody was in the way: {all} requests");
    assert!(refused * 3 < all, "{refused} of {all} requests were refused: nothing was learnt");
    let told = warnings.iter().find(|text| text.contains("is busy (429): waiting"));
    assert!(told.is_some_and(|text| text.contains("of 12")), "{warnings:?}");
}
