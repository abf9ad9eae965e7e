//! Small texts from strangers: names, places, keys, and what registries answer.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use sealift::model::{Destination, Digest, ImageName, Location, Platform};
use sealift::transport::registry::fuzzing;
use sealift::trust::{Endorsement, KeyId, PublicKey, Trust};

use super::{scratch, take};

/// What was read is written and read again as the same.
fn settles<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string().parse::<T>().expect("what was written is read"), read);
    }
}

/// A name or a place as somebody types it, or as an archive has it.
pub fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    settles::<ImageName>(text);
    settles::<Digest>(text);
    settles::<Platform>(text);
    settles::<Location>(text);
    settles::<Destination>(text);
    if let Ok(name) = text.parse::<ImageName>() {
        let _ = name.familiar();
        assert_eq!(name.without_digest().digest(), None);
    }
}

/// A file with a key, with rules about keys, or with the endorsement of one.
pub fn trust(data: &[u8]) {
    let path = scratch::file("key.pub", data);
    let loaded = PublicKey::load(&path);
    let _ = Trust::from_policy(&path);
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(loaded.is_err());
        return;
    };
    assert!(KeyId::parse(text).is_none_or(|id| id.to_string() == text));
    if let Ok(endorsement) = Endorsement::parse(text, "it") {
        assert_eq!(endorsement.to_text().expect("what was read is written"), text);
    }
    if let Ok(key) = loaded {
        let again = PublicKey::from_pem(&key.to_pem().expect("a key can be written"), "it");
        assert_eq!(again.expect("what was written is read"), key);
        assert!(!key.verifies(data, &[0; 64]));
    }
}

/// What a registry wants to see before it answers, and where it wants an upload: first byte 0 or 1.
pub fn registry(mut data: &[u8]) {
    let which = take(&mut data, 1);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if which == [0] {
        let lines: Vec<&str> = text.split('\n').collect();
        let _ = fuzzing::challenge(&lines);
        return;
    }
    for base in ["https://h.example:8443/v2/", "http://127.0.0.1:5000/v2/", "https://[::1]/v2/"] {
        let base: url::Url = base.parse().expect("an address");
        let request = base.join("a/blobs/uploads/").expect("an address below it");
        if let Ok(place) = fuzzing::upload_location(&base, &request, text) {
            assert_eq!(place.origin(), base.origin());
            assert!(place.username().is_empty() && place.password().is_none());
        }
    }
}
