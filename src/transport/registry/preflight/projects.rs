//! What a Harbor's projects have against an import: asked of its API.

use std::collections::{HashMap, HashSet};

use bytesize::ByteSize;

use super::super::harbor::{Harbor, Known, LISTS_REFERRERS, NewProjects, Quota};
use super::super::reason::{Reason, project_of};
use super::ledger::{Ledger, Remark, listed};
use super::{Area, Standing};
use crate::endpoint::{Action, Plan};
use crate::model::{Digest, Result};

/// What is to become of a project, before anything else is asked there.
pub(super) fn standing(
    harbor: &Harbor<'_>,
    area: &Area,
    host: &str,
    wish: Option<NewProjects>,
    ledger: &Ledger,
) -> Result<Standing> {
    if !harbor.has_api {
        return Ok(Standing::Open);
    }
    match harbor.project(&area.name, &area.sample)? {
        Known::This(project) if project.is_proxy_cache => {
            let reason = Reason::ProxyCache(area.name.clone());
            ledger.add(
                Remark::hindrance("nobody can push to project ", &area.name)
                    .after(format!(" of {host}: a proxy cache holds what Harbor fetches itself"))
                    .advice(reason.advice(host)),
            );
            Ok(Standing::Closed)
        }
        Known::This(_) | Known::Untold => Ok(Standing::Open),
        Known::Nothing => missing(harbor, area, host, wish, ledger),
    }
}

/// A project that is not there: it is made, or that it is not there is said.
pub(super) fn missing(
    harbor: &Harbor<'_>,
    area: &Area,
    host: &str,
    wish: Option<NewProjects>,
    ledger: &Ledger,
) -> Result<Standing> {
    let Some(_) = wish else {
        let reason = Reason::NoProject(area.name.clone());
        ledger.add(
            Remark::hindrance(format!("{host} has no project "), &area.name)
                .advice(reason.advice(host)),
        );
        return Ok(Standing::Closed);
    };
    if harbor.only_admins_create && harbor.are_we_admin(&area.sample)? == Known::This(false) {
        ledger.add(not_allowed(host, &area.name));
        return Ok(Standing::Closed);
    }
    Ok(Standing::ToBeMade)
}

/// Projects are made by others here.
pub(super) fn not_allowed(host: &str, project: &str) -> Remark {
    Remark::hindrance(
        format!("only an administrator or a system robot may create projects at {host}: it has no project "),
        project,
    )
    .advice("ask an administrator for it")
}

/// Looks at a plan with the eyes of one project.
pub(super) fn examine(
    harbor: &Harbor<'_>,
    area: &Area,
    standing: Standing,
    plan: &Plan,
    host: &str,
    wish: Option<NewProjects>,
    ledger: &Ledger,
) -> Result<()> {
    room(harbor, area, standing, plan, host, wish, ledger)?;
    if standing == Standing::Open {
        tags(harbor, area, plan, host, ledger)?;
    }
    Ok(())
}

/// Bytes that come to a project: Harbor counts each blob and manifest of it once, linked or sent.
/// One that lies only in a repository which the plan does not touch is counted here and not there.
fn coming(plan: &Plan, project: &str) -> u64 {
    let mut sizes: HashMap<Digest, u64> = HashMap::new();
    let mut there: HashSet<Digest> = HashSet::new();
    let blobs = plan.blobs.iter().map(|step| (&step.place, &step.descriptor, &step.action));
    let manifests = plan.manifests.iter().map(|step| (&step.place, &step.descriptor, &step.action));
    for (place, descriptor, action) in blobs.chain(manifests) {
        if project_of(place) != project {
        } else if *action == Action::Present {
            there.insert(descriptor.digest);
        } else {
            sizes.insert(descriptor.digest, descriptor.size);
        }
    }
    sizes.iter().filter(|(digest, _)| !there.contains(*digest)).map(|(_, size)| size).sum()
}

/// Whether a project has room for what comes to it.
fn room(
    harbor: &Harbor<'_>,
    area: &Area,
    standing: Standing,
    plan: &Plan,
    host: &str,
    wish: Option<NewProjects>,
    ledger: &Ledger,
) -> Result<()> {
    let coming = coming(plan, &area.name);
    if coming == 0 {
        return Ok(());
    }
    let size = |bytes| ByteSize::b(bytes).display().iec();
    if standing == Standing::ToBeMade {
        if let Some(limit) = wish.and_then(|wish| wish.quota).filter(|limit| coming > *limit) {
            ledger.add(
                Remark::hindrance("project ", &area.name)
                    .after(format!(
                        " would be created with a quota of {}, and {} come to it",
                        size(limit),
                        size(coming)
                    ))
                    .advice("give it a larger --project-quota"),
            );
        }
        return Ok(());
    }
    let Quota { limit, used } = match harbor.quota(&area.name, &area.sample)? {
        Known::This(quota) => quota,
        Known::Nothing => return Ok(()),
        Known::Untold => {
            ledger.add(
                Remark::note(
                    format!("{host} does not tell this account how much room there is in project "),
                    &area.name,
                )
                .advice("what does not fit is refused when it is sent"),
            );
            return Ok(());
        }
    };
    let Some(limit) = limit else { return Ok(()) };
    let left = limit.saturating_sub(used);
    if coming > left {
        let short = coming - left;
        ledger.add(
            Remark::hindrance("project ", &area.name)
                .after(format!(
                    " of {host} has {} left of its quota of {}, and {} come to it",
                    size(left),
                    size(limit),
                    size(coming)
                ))
                .advice(format!(
                    "have its quota raised by {} or more, make room in it (what is removed counts until Harbor's garbage collection), or bring fewer images with --image",
                    size(short)
                )),
        );
    }
    Ok(())
}

/// Whether tags would move that must not.
fn tags(harbor: &Harbor<'_>, area: &Area, plan: &Plan, host: &str, ledger: &Ledger) -> Result<()> {
    let moving: Vec<(&str, &str)> = plan
        .tags
        .iter()
        .filter(|step| step.action == Action::Send && step.replaces.is_some())
        .filter(|step| project_of(step.name.repository()) == area.name)
        .filter_map(|step| Some((step.name.repository(), step.name.tag()?)))
        .collect();
    if moving.is_empty() {
        return Ok(());
    }
    let name = |(repository, tag): &(&str, &str)| format!("{repository}:{tag}");
    let Known::This(rules) = harbor.immutability(&area.name, &area.sample)? else {
        ledger.add(
            Remark::note(
                format!("{host} does not tell this account which tags must not move in project "),
                &area.name,
            )
            .after(format!("; to be moved: {}", listed(moving.iter().map(name).collect())))
            .advice("a tag that must not move is refused when its turn comes, after everything was sent"),
        );
        return Ok(());
    };
    let kept: Vec<String> = moving
        .iter()
        .filter(|(repository, tag)| {
            let (_, own) = repository.split_once('/').unwrap_or_default();
            rules.iter().any(|rule| rule.keeps(own, tag))
        })
        .map(name)
        .collect();
    if !kept.is_empty() {
        let reason = Reason::Immutable(area.name.clone());
        ledger.add(
            Remark::hindrance("a rule of project ", &area.name)
                .after(format!(" keeps tags where they are that would move: {}", listed(kept)))
                .advice(reason.advice(host)),
        );
    }
    Ok(())
}

/// What a whole Harbor cannot do.
pub(super) fn abilities(harbor: &Harbor<'_>, plan: &Plan, host: &str, ledger: &Ledger) {
    if !harbor.has_api {
        ledger.add(
            Remark::note("projects, quotas and rules could not be asked for at ", host)
                .after(": its API does not answer this account")
                .advice("whatever is wrong with them shows when something is sent"),
        );
    }
    let referring =
        plan.manifests.iter().any(|step| step.subject.is_some() && step.action == Action::Send);
    if let Some(version) = harbor.version.filter(|version| *version < LISTS_REFERRERS)
        && referring
    {
        ledger.add(
            Remark::note("", host)
                .after(format!(
                    " is Harbor {version}, which keeps no list of what refers to an image"
                ))
                .advice(
                    "the list is kept under a tag of the image's digest, where clients look for it",
                ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{BlobStep, Form};
    use crate::model::Descriptor;

    #[test]
    fn a_project_counts_each_blob_once_and_what_it_has_not_at_all() {
        let step = |place: &str, content: &[u8], action| {
            let descriptor = Descriptor::of("x", content);
            let bytes = descriptor.size;
            BlobStep { descriptor, form: Form::Exact, bytes, place: place.into(), action }
        };
        let mount = || Action::Mount { from: "one/a".into() };
        let plan = Plan {
            blobs: vec![
                step("one/a", b"12345", Action::Send),
                step("one/b", b"12345", mount()),
                step("one/b", b"123", Action::Present),
                step("one/a", b"123", mount()),
                step("two/a", b"12345", mount()),
                step("two/a", b"", Action::Send),
            ],
            ..Plan::default()
        };
        assert_eq!((coming(&plan, "one"), coming(&plan, "two"), coming(&plan, "on")), (5, 5, 0));
    }
}
