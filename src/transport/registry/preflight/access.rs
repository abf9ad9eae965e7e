//! Who we are, and whether we may push: asked, not guessed, and nothing is left behind.

use std::collections::BTreeMap;

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};

use super::super::address;
use super::super::authority::SignIn;
use super::super::client::Registry;
use super::super::exchange::Ask;
use super::super::failure::Refusal;
use super::super::identity::{Found, Whom};
use super::super::scope::Scope;
use super::ledger::{Ledger, Remark};
use super::{Area, Ground};
use crate::model::Result;

/// Whether the registry knows us; each sign-in is tried once, however many areas it is for. What
/// comes back are the areas where it is of no use to ask anything more.
pub(super) fn sign_in<'a>(
    registry: &Registry,
    areas: impl Iterator<Item = &'a Area>,
    needs_somebody: bool,
    ledger: &Ledger,
) -> Result<Vec<&'a Area>> {
    let mut closed = Vec::new();
    let mut tried: Vec<(Found, SignIn)> = Vec::new();
    for area in areas {
        let Some(found) = registry.found(&area.sample)? else {
            if needs_somebody || registry.sign_in(&area.sample)? == SignIn::Refused {
                ledger.add(nobody(registry.name()));
                closed.push(area);
            }
            continue;
        };
        let known = tried.iter().find(|(known, _)| *known == found).map(|(_, came)| *came);
        let came = if let Some(came) = known {
            came
        } else {
            let came = registry.sign_in(&area.sample)?;
            if came == SignIn::Refused {
                ledger.add(not_accepted(registry.name(), &found));
            }
            tried.push((found, came));
            came
        };
        if came == SignIn::Refused {
            closed.push(area);
        }
    }
    Ok(closed)
}

fn nobody(host: &str) -> Remark {
    Remark::hindrance("nobody is signed in to ", host)
        .advice(format!("sign in with `sealift login {host}`"))
}

fn not_accepted(host: &str, found: &Found) -> Remark {
    let whom = Whom::of(found);
    Remark::hindrance("", host)
        .after(format!(" did not accept the sign-in: {}", whom.told()))
        .advice(whom.advice(host))
}

/// Begins an upload and gives it up again. What the registry has against it, if anything.
///
/// It is the question that the first blob would ask, so the answer is that of every proxy, policy
/// and mirror on the way.
pub(super) fn try_to_push(registry: &Registry, repository: &str) -> Result<Option<Refusal>> {
    let url = registry.url(repository, "blobs/uploads/")?;
    let what = format!("cannot push to {}/{repository}", registry.name());
    let ask = Ask::new(Method::POST, url, Scope::push(repository), what.clone());
    let answer = registry.send(&ask)?;
    if !answer.status.is_success() {
        return Ok(Some(registry.refusal(&ask, answer)));
    }
    let session = answer
        .header(LOCATION)
        .and_then(|text| address::upload_location(&registry.peer().base, &answer.url, text).ok());
    if let Some(session) = session {
        // Who may push may not everywhere delete. What is left then is an empty session, which
        // registries clear away by themselves.
        let scope = Scope::push(repository).and_delete();
        let _ = registry.send(&Ask::new(Method::DELETE, session, scope, what));
    }
    Ok(None)
}

/// What a refusal means for an area.
pub(super) fn refused(registry: &Registry, area: &Area, refusal: &Refusal) -> Result<Remark> {
    let host = registry.name();
    let place = area.describe(host);
    if let Some(reason) = &refusal.reason {
        return Ok(Remark::hindrance("", place)
            .after(format!(": {}", reason.sentence(host)))
            .advice(reason.advice(host)));
    }
    if refusal.is_about_rights() {
        return Ok(match registry.found(&area.sample)? {
            None => {
                Remark::hindrance(format!("nobody is signed in to {host}, as it wants for "), place)
                    .advice(format!("sign in with `sealift login {host}`"))
            }
            Some(found) => {
                let who = match found.credentials.user() {
                    Some(user) => user.escape_debug().to_string(),
                    None => "whoever is signed in".to_owned(),
                };
                Remark::hindrance(format!("{who} may not push to "), place)
                    .after(status(refusal))
                    .advice(match area.ground {
                        Ground::Project => "have its administrator make the account a developer or maintainer of the project; a robot account needs leave to push and to pull".to_owned(),
                        Ground::Path => format!(
                            "ask for the right to push, or sign in with `sealift login {host}` as somebody who has it"
                        ),
                    })
            }
        });
    }
    let words = match refusal.said.as_str() {
        "" => String::new(),
        said => format!(": {said}"),
    };
    let remark =
        Remark::hindrance("", place).after(format!(" takes no push{}{words}", status(refusal)));
    Ok(remark.advice(match refusal.status {
        StatusCode::METHOD_NOT_ALLOWED => "a mirror, or a registry that is read-only, takes none: bring the images to the registry behind it".to_owned(),
        StatusCode::NOT_FOUND => "some registries want a repository to be created before anything is pushed to it".to_owned(),
        _ => refusal.error.get_hint().unwrap_or_default().to_owned(),
    }))
}

/// The status in brackets. What a registry says about rights differs from one repository to the
/// next, and says no more.
fn status(refusal: &Refusal) -> String {
    match refusal.status.canonical_reason() {
        Some(reason) => format!(" ({} {reason})", refusal.status.as_u16()),
        None => format!(" ({})", refusal.status.as_u16()),
    }
}

/// The areas of some repositories.
pub(super) fn areas<'a>(
    repositories: impl Iterator<Item = &'a str>,
    ground: Ground,
) -> BTreeMap<String, Area> {
    let mut areas = BTreeMap::new();
    for repository in repositories {
        let name = ground.of(repository);
        areas.entry(name.to_owned()).or_insert_with(|| Area {
            name: name.to_owned(),
            sample: repository.to_owned(),
            ground,
        });
    }
    areas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_share_an_area_where_they_share_rights() {
        let all = ["a/b/c", "a/b/d", "a/e", "f"];
        let names = |ground| -> Vec<(String, String)> {
            let areas = areas(all.into_iter(), ground);
            areas.into_values().map(|area| (area.describe("h"), area.sample)).collect()
        };
        let pair = |name: &str, sample: &str| (name.to_owned(), sample.to_owned());
        assert_eq!(
            names(Ground::Path),
            [pair("h", "f"), pair("h/a", "a/e"), pair("h/a/b", "a/b/c")]
        );
        assert_eq!(
            names(Ground::Project),
            [pair("project a of h", "a/b/c"), pair("project f of h", "f")]
        );
    }
}
