//! Bundles made by somebody who has read the format and holds a key: taken apart, changed, put
//! together again without a seam. What is behind the signature is only met this way.

use sealift::model::Digest;
use sealift::trust::SecretKey;
use serde_json::{Value, json};

pub(crate) use super::volume::{end, frame, put_member};

/// The first line of a manifest.
pub(crate) const TYPE_LINE: &str = "sealift manifest 1\n";

/// A member of a volume.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    /// Where its header begins.
    pub(crate) at: usize,
}

impl Member {
    /// Where the next one begins.
    pub(crate) fn end(&self) -> usize {
        self.at + 512 + self.content.len().next_multiple_of(512)
    }
}

/// The members of a volume, as they lie.
pub(crate) fn members(volume: &[u8]) -> Vec<Member> {
    let (mut found, mut at) = (Vec::new(), 0);
    while volume[at] != 0 {
        let header = tar::Header::from_byte_slice(&volume[at..at + 512]);
        let size = header.size().unwrap() as usize;
        let name = String::from_utf8(header.path_bytes().into_owned()).unwrap();
        let content = volume[at + 512..at + 512 + size].to_vec();
        found.push(Member { name, content, at });
        at = found.last().unwrap().end();
    }
    found
}

/// The member whose name begins so; the first of several.
pub(crate) fn member(volume: &[u8], name: &str) -> Member {
    members(volume).into_iter().find(|member| member.name.starts_with(name)).expect(name)
}

/// A bundle in parts.
#[derive(Clone)]
pub(crate) struct Forge {
    readme: Vec<u8>,
    packs: Vec<Vec<u8>>,
    index: Vec<u8>,
    manifest: Value,
    /// What stands in place of the manifest that would be right.
    text: Option<Vec<u8>>,
    time: u64,
    /// How many packs lie in each volume.
    spread: Vec<usize>,
}

impl Forge {
    pub(crate) fn of(bundle: &[u8]) -> Self {
        let members = members(bundle);
        let content = |name: &str| -> Vec<Vec<u8>> {
            let named = members.iter().filter(|member| member.name.starts_with(name));
            named.map(|member| member.content.clone()).collect()
        };
        let only = |name: &str| content(name).swap_remove(0);
        let manifest = only("manifest");
        let document = manifest.strip_prefix(TYPE_LINE.as_bytes()).unwrap();
        let manifest: Value = serde_json::from_slice(document).unwrap();
        Self {
            readme: only("README.txt"),
            packs: content("packs/"),
            index: only("index/"),
            time: manifest["created"].as_u64().unwrap(),
            spread: vec![content("packs/").len()],
            manifest,
            text: None,
        }
    }

    /// The same in several volumes, with so many packs in each; the index is in the last.
    pub(crate) fn spread(&self, packs: &[usize]) -> Self {
        assert_eq!(packs.iter().sum::<usize>(), self.packs.len());
        Self { spread: packs.to_vec(), ..self.clone() }
    }

    /// How many packs there are.
    pub(crate) fn pack_count(&self) -> usize {
        self.packs.len()
    }

    /// With another name of its set.
    pub(crate) fn with_set(&self, set: &str) -> Self {
        let mut other = self.clone();
        other.manifest["set"] = json!(set);
        other
    }

    /// The index, unpacked.
    pub(crate) fn index(&self) -> Vec<u8> {
        zstd::decode_all(&self.index[..]).unwrap()
    }

    /// The first pack, as it is stored.
    pub(crate) fn pack(&self) -> &[u8] {
        &self.packs[0]
    }

    /// With this index.
    pub(crate) fn with_index(&self, index: &[u8]) -> Self {
        self.with_stored_index(frame(index), index.len() as u64)
    }

    /// With this frame in place of the index, said to hold so many bytes.
    pub(crate) fn with_stored_index(&self, stored: Vec<u8>, content: u64) -> Self {
        let mut other = self.clone();
        other.manifest["index"]["content"] = json!(content);
        other.index = stored;
        other
    }

    /// With this frame in place of the first pack, said to hold so many bytes.
    pub(crate) fn with_pack(&self, stored: Vec<u8>, content: u64) -> Self {
        let mut other = self.clone();
        other.manifest["packs"][0]["content"] = json!(content);
        other.packs[0] = stored;
        other
    }

    /// With these bytes of the manifest, first line included, however wrong they are.
    pub(crate) fn with_text(&self, text: impl Into<Vec<u8>>) -> Self {
        Self { text: Some(text.into()), ..self.clone() }
    }

    /// With a manifest that says something else, after all lengths and digests in it were made
    /// right.
    pub(crate) fn with_manifest(&self, change: impl FnOnce(&mut Value)) -> Self {
        let mut manifest = self.manifest();
        change(&mut manifest);
        let document = serde_json::to_string_pretty(&manifest).unwrap();
        self.with_text(format!("{TYPE_LINE}{document}\n"))
    }

    /// With a change in the text of its manifest that would be right.
    pub(crate) fn with_words(&self, from: &str, to: &str) -> Self {
        let text = String::from_utf8(self.text()).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        self.with_text(text.replacen(from, to, 1))
    }

    /// With another README and everything that follows from it.
    pub(crate) fn with_readme(&self, readme: &[u8]) -> Self {
        Self { readme: readme.to_vec(), ..self.clone() }
    }

    /// With other bytes of the same length in place of a blob that stands in the index; the digest
    /// is the right one everywhere, in the manifests of images only where `new` says so.
    pub(crate) fn with_blob(&self, old: &[u8], new: &[u8]) -> Self {
        assert_eq!(old.len(), new.len());
        let (from, to) = (Digest::of(old), Digest::of(new));
        let raw = |digest: Digest| hex::decode(digest.hex()).unwrap();
        let index = replace(&self.index(), old, new);
        let index = replace(&index, &raw(from), &raw(to));
        let mut other = self.with_index(&index);
        let manifest = other.manifest.to_string().replace(&from.hex(), &to.hex());
        other.manifest = serde_json::from_str(&manifest).unwrap();
        other
    }

    /// The manifest that is right for what is there.
    pub(crate) fn manifest(&self) -> Value {
        let mut manifest = self.manifest.clone();
        manifest["readme"] = described(&self.readme);
        let begin = |number| bytes_of(&self.readme) + bytes_of(&self.volume_text(number));
        let mut packs = self.packs.iter().enumerate();
        let mut volumes = Vec::new();
        for (number, &count) in (1..).zip(&self.spread) {
            let mut at = begin(number);
            for (pack, content) in packs.by_ref().take(count) {
                place(&mut manifest["packs"][pack], content, number, at);
                at += bytes_of(content);
            }
            if number == self.spread.len() as u64 {
                place(&mut manifest["index"], &self.index, number, at);
                at += bytes_of(&self.index);
            } else {
                at += 1024;
            }
            volumes.push(json!({"number": number, "size": at}));
        }
        manifest["volumes"] = json!(volumes);
        manifest
    }

    fn volume_text(&self, number: u64) -> Vec<u8> {
        let set = self.manifest["set"].as_str().unwrap();
        format!("sealift volume 1\nset {set}\nnumber {number}\n").into_bytes()
    }

    /// The bytes of the manifest.
    pub(crate) fn text(&self) -> Vec<u8> {
        self.text.clone().unwrap_or_else(|| {
            let document = serde_json::to_string_pretty(&self.manifest()).unwrap();
            format!("{TYPE_LINE}{document}\n").into_bytes()
        })
    }

    /// The whole bundle, signed by these keys.
    pub(crate) fn sealed(&self, keys: &[SecretKey]) -> Vec<u8> {
        self.with_signatures(&self.signatures(keys))
    }

    fn signatures(&self, keys: &[SecretKey]) -> Vec<(String, Vec<u8>)> {
        let text = self.text();
        let signed = keys.iter().map(|key| (key.public().id().to_string(), key.sign(&text)));
        let mut signatures: Vec<_> = signed.map(|(id, bytes)| (id, bytes.to_vec())).collect();
        signatures.sort();
        signatures
    }

    /// The whole bundle with these signatures, by the names of their keys.
    pub(crate) fn with_signatures(&self, signatures: &[(String, Vec<u8>)]) -> Vec<u8> {
        self.set_with_signatures(signatures).pop().unwrap()
    }

    /// All volumes, signed by these keys.
    pub(crate) fn sealed_set(&self, keys: &[SecretKey]) -> Vec<Vec<u8>> {
        self.set_with_signatures(&self.signatures(keys))
    }

    fn set_with_signatures(&self, signatures: &[(String, Vec<u8>)]) -> Vec<Vec<u8>> {
        let mut packs = self.packs.iter();
        let mut volumes = Vec::new();
        for (number, &count) in (1..).zip(&self.spread) {
            let mut volume: Vec<u8> = Vec::new();
            let mut put =
                |name: &str, content: &[u8]| put_member(&mut volume, name, content, self.time);
            put("README.txt", &self.readme);
            put("volume", &self.volume_text(number as u64));
            for pack in packs.by_ref().take(count) {
                put(&format!("packs/{}.zst", Digest::of(pack).hex()), pack);
            }
            if number < self.spread.len() {
                volume.resize(volume.len() + 1024, 0);
            }
            volumes.push(volume);
        }
        let last = volumes.last_mut().unwrap();
        let index = format!("index/{}.zst", Digest::of(&self.index).hex());
        put_member(last, &index, &self.index, self.time);
        end(last, &self.text(), signatures, self.time);
        volumes
    }
}

/// Replaces every occurrence, of which there must be one at least.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let found: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!found.is_empty(), "it is in the index");
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

/// Bytes of a member with header and padding.
fn bytes_of(content: &[u8]) -> u64 {
    512 + content.len().next_multiple_of(512) as u64
}

fn described(content: &[u8]) -> Value {
    json!({"size": content.len(), "digest": Digest::of(content)})
}

fn place(entry: &mut Value, content: &[u8], volume: u64, at: u64) {
    entry["volume"] = json!(volume);
    entry["offset"] = json!(at);
    entry["size"] = json!(content.len());
    entry["digest"] = json!(Digest::of(content));
}

/// As the index writes numbers (unsigned LEB128).
pub(crate) fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
