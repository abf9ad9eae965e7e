//! What refers to a manifest: the registry's own list, and the list under a tag that clients keep
//! where the registry has none (OCI distribution 1.1, "Listing Referrers", "Referrers Tag Schema").

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header::LINK;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::client::Registry;
use super::exchange::Ask;
use super::manifest::{self, Named};
use super::scope::Scope;
use super::{address, failure};
use crate::model::json::parse_strict;
use crate::model::limits::{ATTACHMENTS, MANIFEST_BYTES};
use crate::model::manifest::media;
use crate::model::{Descriptor, Digest, Error, Manifest, Result};

/// Pages of one list. Registries put ten to a hundred entries on a page.
const PAGES: usize = 128;

/// What the registry lists for `subject`; `None` where it keeps no lists. Registries that do not
/// know the request answer with all kinds of refusals, and proxies with a page.
pub(super) fn list(
    registry: &Registry,
    repository: &str,
    subject: &Digest,
) -> Result<Option<Vec<Descriptor>>> {
    let what = format!("cannot list what refers to {subject} in {}/{repository}", registry.name());
    let mut url = registry.url(repository, &format!("referrers/{subject}"))?;
    let mut found: Vec<Descriptor> = Vec::new();
    for page in 0..PAGES {
        let ask = Ask::get(url.clone(), Scope::pull(repository), what.clone())
            .accept(&[media::OCI_INDEX]);
        let fetched = registry.fetch(&ask, MANIFEST_BYTES)?;
        let answer = fetched.answer;
        if page == 0 && answer.status.is_client_error() && answer.status.as_u16() != 429 {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(failure::refused(registry.peer(), &what, answer));
        }
        let index = match Manifest::parse(media::OCI_INDEX, &fetched.body) {
            Ok(Manifest::Index(index)) if answer.media_type() != "text/html" => index,
            _ if page == 0 => return Ok(None),
            _ => return Err(Error::remote(format!("{what}: a further page is no index"))),
        };
        found.extend(index.manifests);
        if found.len() > ATTACHMENTS {
            return Err(Error::remote(format!("{what}: more than {ATTACHMENTS} do")));
        }
        let next =
            answer.headers.get_all(LINK).iter().find_map(|value| next_page(value.to_str().ok()?));
        let Some(next) = next else { return Ok(Some(found)) };
        url = page_address(&registry.peer().base, &answer.url, &next)
            .ok_or_else(|| Error::remote(format!("{what}: the next page is at another place")))?;
    }
    Err(Error::remote(format!("{what}: the list has more than {PAGES} pages")))
}

fn page_address(base: &Url, page: &Url, next: &str) -> Option<Url> {
    let url = page.join(next).ok()?;
    address::same_origin(base, &url).then_some(url)
}

/// The address of the next page in a `Link` header (RFC 8288).
fn next_page(text: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (address, after) = after.split_once('>')?;
        // Parameters go up to the next link.
        let (parameters, following) = match after.find('<') {
            Some(end) => after.split_at(end),
            None => (after, ""),
        };
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').split(' ').any(|rel| rel == "next")
            })
        });
        if is_next {
            return Some(address.to_owned());
        }
        rest = following;
    }
}

/// What of a manifest goes into the list of referrers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    artifact_type: Option<String>,
    config: Option<Config>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

/// How a manifest is listed among the referrers of its subject: with its type of artifact, which
/// is that of its configuration where it names none, and with its annotations.
pub(super) fn listing(descriptor: &Descriptor, raw: &[u8]) -> Result<Descriptor> {
    let listed: Listed = serde_json::from_slice(raw).map_err(|e| {
        Error::malformed(format!("manifest {} is not readable", descriptor.digest)).because(e)
    })?;
    let mut entry =
        Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size);
    entry.artifact_type = listed
        .artifact_type
        .filter(|kind| !kind.is_empty())
        .or_else(|| listed.config.map(|config| config.media_type));
    entry.annotations = listed.annotations.unwrap_or_default();
    Ok(entry)
}

/// Makes sure that the list under the tag of `subject` has all of `entries`. Nothing is written
/// where it has; what it lists besides stays.
pub(super) fn enlist(
    registry: &Registry,
    repository: &str,
    subject: &Digest,
    entries: &[Descriptor],
) -> Result<()> {
    let tag = subject.as_tag();
    let held = manifest::get(registry, repository, Named::Tag(&tag), Scope::push(repository))?;
    let raw = match &held {
        Some(held) if media::is_index(&held.descriptor.media_type) => Some(&held.raw[..]),
        Some(_) => {
            return Err(Error::remote(format!(
                "tag {tag} of {}/{repository} should list what refers to {subject}, but is no index",
                registry.name()
            ))
            .hint("move that tag away; the registry keeps no list of its own"));
        }
        None => None,
    };
    let Some(index) = extended(raw, entries)? else { return Ok(()) };
    let descriptor = Descriptor::of(media::OCI_INDEX, &index);
    if descriptor.size > MANIFEST_BYTES {
        return Err(Error::remote(format!(
            "the list of what refers to {subject} in {}/{repository} grows over 4 MiB",
            registry.name()
        )));
    }
    manifest::put(registry, repository, Named::Tag(&tag), &descriptor, &Arc::from(index))?;
    Ok(())
}

/// The list with `entries` added; `None` where all are there.
fn extended(raw: Option<&[u8]>, entries: &[Descriptor]) -> Result<Option<Vec<u8>>> {
    let mut index: serde_json::Map<String, Value> = match raw {
        Some(raw) => parse_strict(raw, "the list of referrers")?,
        None => serde_json::Map::from_iter([
            ("schemaVersion".to_owned(), json!(2)),
            ("mediaType".to_owned(), json!(media::OCI_INDEX)),
        ]),
    };
    let list = index.entry("manifests").or_insert_with(|| json!([]));
    let list = list
        .as_array_mut()
        .ok_or_else(|| Error::malformed("the list of referrers is not a list"))?;
    let before = list.len();
    for entry in entries {
        let digest = entry.digest.to_string();
        if !list.iter().any(|listed| listed["digest"] == digest.as_str()) {
            list.push(json!(entry));
        }
    }
    Ok((list.len() > before).then(|| Value::Object(index).to_string().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        for (text, next) in [
            (r#"</v2/a/referrers/x?n=2>; rel="next""#, Some("/v2/a/referrers/x?n=2")),
            (r"<https://h/a,b>; rel=next", Some("https://h/a,b")),
            (r#"<a>; rel="prev", <b>; title="x"; rel="last next""#, Some("b")),
            (r#"<a>; rel="prev""#, None),
            ("<a", None),
            ("", None),
            ("rel=next", None),
        ] {
            assert_eq!(next_page(text).as_deref(), next, "{text}");
        }
        let base: Url = "https://h/v2/".parse().unwrap();
        assert!(page_address(&base, &base, "/v2/x?n=2").is_some());
        assert!(page_address(&base, &base, "https://evil/v2/x").is_none());
        assert!(page_address(&base, &base, "http://h/v2/x").is_none());
    }

    #[test]
    fn lists_grow_and_keep_what_they_had() {
        let a = Descriptor::of(media::OCI_MANIFEST, b"a");
        let mut b = Descriptor::of(media::OCI_MANIFEST, b"b");
        b.artifact_type = Some("x/y".into());
        let first = extended(None, std::slice::from_ref(&a)).unwrap().unwrap();
        assert!(matches!(Manifest::parse(media::OCI_INDEX, &first), Ok(Manifest::Index(_))));
        assert!(extended(Some(&first), std::slice::from_ref(&a)).unwrap().is_none());
        let mut foreign: Value = serde_json::from_slice(&first).unwrap();
        foreign["manifests"][0]["data"] = json!("eA==");
        let second = extended(Some(foreign.to_string().as_bytes()), &[a, b]).unwrap().unwrap();
        let second: Value = serde_json::from_slice(&second).unwrap();
        assert_eq!(second["manifests"][0]["data"], "eA==");
        assert_eq!(second["manifests"][1]["artifactType"], "x/y");
        assert!(extended(Some(br#"{"manifests":1}"#), &[]).is_err());
    }

    #[test]
    fn entries_say_what_kind_of_artifact_it_is() {
        let raw = br#"{"config":{"mediaType":"c/d"},"annotations":{"k":"v"}}"#;
        let entry = listing(&Descriptor::of(media::OCI_MANIFEST, raw), raw).unwrap();
        assert_eq!(entry.artifact_type.as_deref(), Some("c/d"));
        assert_eq!(entry.annotations["k"], "v");
        let raw = br#"{"artifactType":"a/b","config":{"mediaType":"c/d"}}"#;
        let entry = listing(&Descriptor::of(media::OCI_MANIFEST, raw), raw).unwrap();
        assert_eq!(entry.artifact_type.as_deref(), Some("a/b"));
    }
}
