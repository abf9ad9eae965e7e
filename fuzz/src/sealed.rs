//! Whole bundles: any bytes, and lies that a trusted key has signed.

use std::sync::LazyLock;

use sealift::bundle::{Bundle, Receipt};
use sealift::endpoint::Silent;
use sealift::model::Digest;
use sealift::operation::verify::{Depth, verify};
use sealift::trust::{SecretKey, Trust};

use super::volume::{end, frame, put_member};
use super::{scratch, take, take_length};

/// Bytes of blobs up to which a bundle is rebuilt here.
const MOST: u64 = 4 << 20;

static SEALER: LazyLock<(SecretKey, Trust)> = LazyLock::new(|| {
    let key = SecretKey::generate().expect("the system has random numbers");
    let trust = Trust::in_key(key.public(), "the sealer");
    (key, trust)
});

/// Any bytes as the file of a bundle, or of a receipt.
pub fn bundle(data: &[u8]) {
    let path = scratch::file("b.sealift", data);
    let _ = Receipt::is_one(&path);
    if let Ok(receipt) = Receipt::open(&path) {
        assert!(receipt.authenticate(&SEALER.1).is_err(), "nobody has signed it");
    }
    let Ok(bundle) = Bundle::open(&path) else { return };
    let _ = bundle.peek();
    assert!(bundle.signers(&SEALER.1).iter().all(|signer| signer.trusted.is_none()));
    assert!(bundle.authenticate(&SEALER.1).is_err(), "nobody has signed it");
}

/// Contents of packs, the index and the list of images, each with its length before it, made into a
/// bundle that is what it should be in all else, and signed. It is refused, or all of it is looked at.
pub fn sealed(data: &[u8]) {
    let _ = looked_at(data);
}

/// How much is found to be wrong with such a bundle; `None` where it is refused before.
pub fn looked_at(mut data: &[u8]) -> Option<usize> {
    let count = take(&mut data, 1).first().map_or(0, |count| usize::from(count % 5));
    let packs: Vec<&[u8]> = (0..count)
        .map(|_| {
            let length = take_length(&mut data);
            take(&mut data, length)
        })
        .collect();
    let length = take_length(&mut data);
    let index = take(&mut data, length);
    let path = scratch::file("b.sealift", &assemble(&packs, index, data));
    let bundle = Bundle::open(&path).expect("its frame is what it should be");
    let bundle = bundle.authenticate(&SEALER.1).ok()?;
    let blobs = bundle.contents().index.blobs().iter();
    let sizes = blobs.flat_map(|blob| [blob.size, blob.plain.map_or(0, |plain| plain.size)]);
    if sizes.fold(0, u64::saturating_add) > MOST {
        return None;
    }
    let _ = verify(&bundle, Depth::Quick, 1, &Silent);
    let report = verify(&bundle, Depth::Full, 1, &Silent).ok()?;
    Some(report.problems.len())
}

const SET: &str = "0123456789abcdef0123456789abcdef";
const TIME: u64 = 1_700_000_000;

fn assemble(packs: &[&[u8]], index: &[u8], images: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    put_member(&mut file, "README.txt", b"any", TIME);
    let own = format!("sealift volume 1\nset {SET}\nnumber 1\n");
    put_member(&mut file, "volume", own.as_bytes(), TIME);
    let mut put = |folder: &str, content: &[u8]| {
        let stored = frame(content);
        let digest = Digest::of(&stored);
        let entry = serde_json::json!({
            "volume": 1, "offset": file.len(), "size": stored.len(), "digest": digest,
            "content": content.len(),
        });
        put_member(&mut file, &format!("{folder}/{}.zst", digest.hex()), &stored, TIME);
        entry
    };
    let packs: Vec<_> = packs.iter().map(|content| put("packs", content)).collect();
    let index = put("index", index);
    let at = file.len();
    let rest = serde_json::json!({
        "set": SET, "created": TIME, "generator": "fuzz",
        "volumes": [{"number": 1, "size": at}],
        "readme": {"size": 3, "digest": Digest::of(b"any")},
        "packs": packs, "index": index,
        "encoder": {"zstd": "1", "level": 1, "windowLog": 20, "chunker": "any"},
    });
    let rest = rest.to_string();
    // The list of images stands as it came: it need not even be JSON.
    let manifest =
        [b"sealift manifest 1\n{\"images\":", images, b",", &rest.as_bytes()[1..], b"\n"].concat();
    let (key, _) = &*SEALER;
    let signature = (key.public().id().to_string(), key.sign(&manifest).to_vec());
    end(&mut file, &manifest, &[signature], TIME);
    file
}
