//! Every blob comes back with its digest, whatever it was, and the file does not depend on threads.

use std::io::Read;

use sealift::bundle::{Body, Bundle};
use sealift::endpoint::{Attachment, AttachmentKind, Form, Silent, Source};
use sealift::model::manifest::media;
use sealift::model::{Descriptor, Digest};
use sealift::operation::verify::{Depth, verify};

use crate::Bench;
use crate::memory::{Memory, noise, package, tar};

/// Images of every kind of layer, an index, an artifact, attachments, an empty blob.
pub(crate) fn assortment() -> Memory {
    let mut memory = Memory::default();
    let base = tar(&package(1));
    let forms = [media::OCI_LAYER_GZIP, media::OCI_LAYER_ZSTD, media::OCI_LAYER];
    for (name, form) in ["gzip", "zstd", "plain"].into_iter().zip(forms) {
        let layers = [memory.layer(&base, form), memory.layer(&tar(&package(2)), form)];
        memory.image(&format!("h.example/{name}:1"), "amd64", &layers);
    }
    // The same layer twice, and one that is no tar at all.
    let odd = memory.layer(b"{\"in-toto\": true}", media::OCI_LAYER);
    let twice = memory.layer(&base, media::OCI_LAYER);
    memory.image("h.example/odd:1", "arm64", &[twice.clone(), odd, twice]);
    let children = ["amd64", "arm64"].map(|architecture| {
        let layer = memory.layer(&tar(&package(3)), media::OCI_LAYER_GZIP);
        let mut child = memory.image("", architecture, &[layer]);
        child.platform = Some(format!("linux/{architecture}").parse().unwrap());
        child
    });
    let index = sealift::model::graph::layout_index(&children);
    let index = memory.put(media::OCI_INDEX, &index);
    memory.name("h.example/index:1", &index);
    // An artifact with an empty configuration, and an empty blob.
    let config = memory.put("application/vnd.oci.empty.v1+json", b"{}");
    let blobs = [
        memory.put("text/plain", b""),
        memory.put("model/x", &noise(9, 3_000_000)),
        memory.put("text/x", "abc ".repeat(900_000).as_bytes()),
    ];
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "config": config, "layers": blobs});
    let artifact = memory.put(media::OCI_MANIFEST, manifest.to_string().as_bytes());
    memory.name("h.example/artifact:1", &artifact);
    memory.attachments = vec![
        Attachment {
            kind: AttachmentKind::Tag(format!("{}.sig", index.digest.as_tag())),
            descriptor: artifact.clone(),
            subject: index.digest,
        },
        Attachment {
            kind: AttachmentKind::Referrer,
            descriptor: artifact,
            subject: children[0].digest,
        },
    ];
    memory
}

fn read(source: &dyn Source, blob: &Descriptor, form: Form) -> Vec<u8> {
    let mut bytes = Vec::new();
    source.open(blob, form).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn everything_comes_back_with_its_digest() {
    let bench = Bench::new();
    let path = bench.path("b.sealift");
    let originals = assortment();
    bench.export(assortment(), &path, 2);
    let bundle = Bundle::open(&path).unwrap().authenticate(&bench.trust).unwrap();
    assert_eq!(bundle.roots().unwrap().len(), 6);
    let mut blobs = 0;
    for (digest, bytes) in &originals.blobs {
        let entry = bundle.contents().index.blob(digest).expect("carried");
        let descriptor = Descriptor::new("", entry.digest, entry.size);
        assert!(read(&bundle, &descriptor, Form::Exact) == bytes[..], "{digest}");
        let plain = read(&bundle, &descriptor, Form::Plain);
        assert_eq!(Digest::of(&plain), entry.plain.map_or(*digest, |plain| plain.digest));
        blobs += 1;
    }
    assert_eq!(blobs, bundle.contents().index.blobs().len());
    let index = bundle
        .roots()
        .unwrap()
        .into_iter()
        .find(|root| root.descriptor.media_type == media::OCI_INDEX)
        .unwrap();
    let attached = bundle.attachments(&index.descriptor).unwrap();
    assert_eq!(attached.len(), 1);
    assert!(matches!(&attached[0].kind, AttachmentKind::Tag(tag) if tag.contains(".sig")));
    let report = verify(&bundle, Depth::Full, 2, &Silent).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.blobs, blobs);
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let bench = Bench::new();
    let bundles: Vec<Vec<u8>> = [1, 2, 7]
        .into_iter()
        .map(|threads| {
            let path = bench.path(&format!("{threads}.sealift"));
            bench.export(assortment(), &path, threads);
            std::fs::read(path).unwrap()
        })
        .collect();
    assert!(bundles[0] == bundles[1] && bundles[1] == bundles[2]);
}

#[test]
fn plain_layers_share_their_content() {
    let bench = Bench::new();
    let mut files = package(5);
    let first = tar(&files);
    files[3].1.extend(b"one line more\n");
    files.push(("new".into(), noise(77, 10_000)));
    let second = tar(&files);
    let size = |layers: &[&[u8]]| {
        let mut memory = Memory::default();
        for (n, layer) in layers.iter().enumerate() {
            let layer = memory.layer(layer, media::OCI_LAYER);
            memory.image(&format!("h.example/a:{n}"), "amd64", &[layer]);
        }
        let path = bench.path(&format!("{}.sealift", layers.len()));
        let report = bench.export(memory, &path, 1);
        let bundle = Bundle::open(&path).unwrap().authenticate(&bench.trust).unwrap();
        let tars = bundle
            .contents()
            .index
            .blobs()
            .iter()
            .filter(|blob| matches!(blob.recipe.body, Body::Tar { .. }));
        assert_eq!(tars.count(), layers.len());
        report.sealed.bytes
    };
    let (one, two) = (size(&[&first]), size(&[&first, &second]));
    assert!(two < one + 40_000, "{one} bytes became {two}");
}
