//! What speaks against an import, found before anything is sent, all of it at once.
//!
//! Rights are not asked for repository by repository: five hundred repositories lie in a few
//! [areas](Area) within which rights are the same. Before the registry is asked what it has,
//! [`Preflight::begin`] finds out whether it knows us and, where it is a Harbor, whether its projects
//! are there. While it is asked, [`Preflight::ask`] notes what it refuses, once for each area, and
//! asks nothing more there. When it is known what has to be sent, [`Preflight::conclude`] begins one
//! upload in each area to which something goes, gives it up again, and looks at quotas and rules.
//!
//! ```text
//! begin: signed in? project there?   ask: refused?   conclude: may push? room? may tags move?
//!        └──────────────┴─────────────────┴──── ledger ────┴──────────┴──▶ Plan::findings
//! ```

mod access;
mod content;
mod ledger;
mod projects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use self::ledger::{Ledger, Remark};
use super::asking::in_parallel;
use super::client::{Registry, lock};
use super::failure::Refusal;
use super::harbor::{self, Harbor, NewProjects};
use super::reason::{Reason, project_of};
use crate::endpoint::{Action, Parcel, Plan};
use crate::model::Result;

/// Along what rights are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// By project, the first part of a repository's path: Harbor.
    Project,
    /// By the path above a repository, as far as anybody can know.
    Path,
}

impl Ground {
    /// The area in which a repository lies.
    fn of(self, repository: &str) -> &str {
        match self {
            Self::Project => project_of(repository),
            Self::Path => repository.rsplit_once('/').map_or("", |(above, _)| above),
        }
    }
}

/// Repositories with the same rights.
#[derive(Clone, Debug)]
struct Area {
    name: String,
    /// One of its repositories.
    sample: String,
    ground: Ground,
}

impl Area {
    /// What people call it.
    fn describe(&self, host: &str) -> String {
        match self.ground {
            Ground::Project => format!("project {} of {host}", self.name),
            Ground::Path if self.name.is_empty() => host.to_owned(),
            Ground::Path => format!("{host}/{}", self.name),
        }
    }
}

/// What is known about an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing speaks against it yet.
    Open,
    /// It is not there, and is made before anything is sent.
    ToBeMade,
    /// Something speaks against it, which is in the ledger.
    Closed,
}

/// The state of an inquiry.
pub(super) struct Preflight<'a> {
    registry: &'a Registry,
    harbor: Option<Harbor<'a>>,
    ground: Ground,
    areas: BTreeMap<String, Area>,
    standings: Mutex<BTreeMap<String, Standing>>,
    wish: Option<NewProjects>,
    ledger: Ledger,
}

impl<'a> Preflight<'a> {
    /// Finds out what can be known before anything in particular is asked for. `wish` says how
    /// missing projects are made, if they are.
    pub(super) fn begin(
        registry: &'a Registry,
        repositories: &BTreeSet<&str>,
        wish: Option<NewProjects>,
    ) -> Result<Self> {
        let host = registry.name();
        let sample = repositories.first().copied().unwrap_or_default();
        let harbor = harbor::recognise(registry, sample)?;
        let ground = if harbor.is_some() { Ground::Project } else { Ground::Path };
        let ledger = Ledger::default();
        let (named, nameless): (Vec<&str>, Vec<&str>) = repositories
            .iter()
            .partition(|repository| harbor.is_none() || repository.contains('/'));
        for repository in &nameless {
            ledger.add(
                Remark::hindrance(
                    "a Harbor keeps every repository in a project; these would lie in none: ",
                    format!("{host}/{repository}"),
                )
                .advice(Reason::NoProjectInName.advice(host)),
            );
        }
        let areas = access::areas(named.into_iter(), ground);
        let mut standings: BTreeMap<String, Standing> = BTreeMap::new();
        for area in access::sign_in(registry, areas.values(), harbor.is_some(), &ledger)? {
            standings.insert(area.name.clone(), Standing::Closed);
        }
        if harbor.is_none() && wish.is_some() {
            ledger.add(Remark::note("", host).after(" is no Harbor: it has no projects to create"));
        }
        if let Some(harbor) = &harbor {
            let open: Vec<&Area> =
                areas.values().filter(|area| !standings.contains_key(&area.name)).collect();
            let found =
                in_parallel(&open, |area| projects::standing(harbor, area, host, wish, &ledger))?;
            standings
                .extend(open.iter().zip(found).map(|(area, found)| (area.name.clone(), found)));
        }
        let standings = Mutex::new(standings);
        Ok(Self { registry, harbor, ground, areas, standings, wish, ledger })
    }

    fn standing(&self, area: &str) -> Standing {
        lock(&self.standings).get(area).copied().unwrap_or(Standing::Open)
    }

    /// Asks something about a repository; `None` where there is nobody to answer it: it is as if
    /// nothing were there.
    ///
    /// # Errors
    /// Where there is no answer, or one that has nothing to do with rights.
    pub(super) fn ask<T>(
        &self,
        repository: &str,
        question: impl FnOnce() -> Result<Result<T, Refusal>>,
    ) -> Result<Option<T>> {
        let Some(area) = self.areas.get(self.ground.of(repository)) else { return Ok(None) };
        if self.standing(&area.name) != Standing::Open {
            return Ok(None);
        }
        match question()? {
            Ok(answer) => Ok(Some(answer)),
            Err(refusal) if refusal.is_about_rights() || refusal.reason.is_some() => {
                self.close(area, &refusal)?;
                Ok(None)
            }
            Err(refusal) => Err(refusal.error),
        }
    }

    /// Notes a refusal; the second of an area is no news.
    fn close(&self, area: &Area, refusal: &Refusal) -> Result<()> {
        let host = self.registry.name();
        let mut standings = lock(&self.standings);
        let standing = standings.entry(area.name.clone()).or_insert(Standing::Open);
        if *standing != Standing::Open {
            return Ok(());
        }
        *standing =
            if let (Some(Reason::NoProject(_)), Some(harbor)) = (&refusal.reason, &self.harbor) {
                projects::missing(harbor, area, host, self.wish, &self.ledger)?
            } else {
                self.ledger.add(access::refused(self.registry, area, refusal)?);
                Standing::Closed
            };
        Ok(())
    }

    /// Looks at a plan, and completes it with what was found.
    pub(super) fn conclude(self, parcels: &[Parcel], plan: &mut Plan) -> Result<()> {
        let host = self.registry.name();
        let goes: BTreeSet<&str> = destinations(plan).map(|place| self.ground.of(place)).collect();
        let read_only = self.harbor.as_ref().is_some_and(|harbor| harbor.is_read_only);
        if read_only && !goes.is_empty() {
            self.ledger.add(
                Remark::hindrance("", host)
                    .after(" is in read-only mode")
                    .advice(Reason::ReadOnly.advice(host)),
            );
        }
        let tried: Vec<&Area> = goes
            .iter()
            .filter_map(|name| self.areas.get(*name))
            .filter(|area| !read_only && self.standing(&area.name) == Standing::Open)
            .collect();
        in_parallel(&tried, |area| {
            // Where it goes to is what counts, not what is there already.
            let place = destinations(plan).find(|place| self.ground.of(place) == area.name);
            match access::try_to_push(self.registry, place.unwrap_or(&area.sample))? {
                Some(refusal) => self.close(area, &refusal),
                None => Ok(()),
            }
        })?;
        if let Some(harbor) = &self.harbor {
            let looked: Vec<(&Area, Standing)> = goes
                .iter()
                .filter_map(|name| self.areas.get(*name))
                .map(|area| (area, self.standing(&area.name)))
                .filter(|(_, standing)| harbor.has_api && *standing != Standing::Closed)
                .collect();
            in_parallel(&looked, |(area, standing)| {
                projects::examine(harbor, area, *standing, plan, host, self.wish, &self.ledger)
            })?;
            projects::abilities(harbor, plan, host, &self.ledger);
        }
        content::examine(parcels, host, &self.ledger);
        let made = lock(&self.standings);
        let made = made.iter().filter(|(_, standing)| **standing == Standing::ToBeMade);
        plan.creates = made.map(|(name, _)| name.clone()).collect();
        plan.findings = self.ledger.findings();
        Ok(())
    }
}

/// Repositories to which something is sent, or in which something is linked.
fn destinations(plan: &Plan) -> impl Iterator<Item = &str> {
    let blobs = plan.blobs.iter().map(|step| (&*step.place, &step.action));
    let manifests = plan.manifests.iter().map(|step| (&*step.place, &step.action));
    let tags = plan.tags.iter().map(|step| (step.name.repository(), &step.action));
    blobs
        .chain(manifests)
        .chain(tags)
        .filter(|(_, action)| **action != Action::Present)
        .map(|(place, _)| place)
}
