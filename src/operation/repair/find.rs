//! What is left of a bundle, among the files and folders that were named.

use std::path::{Path, PathBuf};

use crate::bundle::files_named;
use crate::bundle::parity::{Media, Medium, Parity, Survey, may_be_parity};
use crate::endpoint::Progress;
use crate::model::{Error, Result, limits};

use super::super::parity::phase;

/// What was found among the places that were named.
pub(super) struct Found {
    pub(super) media: Media,
    /// Files that were named, and not only their folder.
    pub(super) named: Vec<PathBuf>,
    pub(super) parity: Parity,
    effort: Effort,
}

/// How far it is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// For parity at both ends of what may be some, and for pieces in what says or seems to be of the
    /// bundle: in passing, nobody's other files are looked through.
    Quick,
    /// For parity at both ends, and if there is none anywhere, in all of every file; for pieces in
    /// every file, as long as some are missing.
    Thorough,
}

/// Looks for parity among these files and folders, and in the folders of the files.
pub(super) fn find(places: &[PathBuf], effort: Effort) -> Result<Found> {
    let mut media = Media::default();
    let mut named = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    let places: Vec<PathBuf> =
        places.iter().map(|place| files_named(place)).collect::<Result<Vec<_>>>()?.concat();
    for place in &places {
        let folder = if place.is_dir() {
            place.clone()
        } else {
            let added = media.add(place).map_err(|error| {
                error.hint("check the path; where a file is gone, name the folder that it was in")
            })?;
            named.push(media.files()[added].path.clone());
            match place.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            }
        };
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    for folder in folders {
        add_folder(&mut media, &folder)?;
    }
    let mut all = match effort {
        Effort::Thorough => Parity::find(&media)?,
        Effort::Quick => {
            let mut hunted = Media::default();
            let own = |path: &PathBuf| named.contains(path) || may_be_parity(path);
            for medium in media.files().iter().filter(|medium| own(&medium.path)) {
                hunted.add(&medium.path)?;
            }
            Parity::find_quickly(&hunted)
        }
    };
    if all.len() > 1 {
        let is_named = |medium: &&Medium| named.contains(&medium.path);
        let own: Vec<&Medium> = media.files().iter().filter(is_named).collect();
        let covers = |parity: &Parity| {
            own.iter().any(|medium| {
                parity.files().contains(&medium.path) || parity.covers(&medium.path, medium.length)
            })
        };
        if all.iter().any(covers) {
            all.retain(covers);
        }
    }
    let several = all.len() > 1;
    match all.pop() {
        None => Err(Error::damaged(format!("there is no parity at {}", listed(&places)))
            .hint("name the file or folder with the parity of this bundle too; without it, only another copy helps")),
        Some(_) if several => Err(Error::usage(format!(
            "there is parity of several bundles at {}",
            listed(&places)
        ))
        .hint("name the files of one bundle, or its parity")),
        Some(parity) => Ok(Found { media, named, parity, effort }),
    }
}

pub(super) fn listed(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    places.join(", ")
}

/// Adds the files of a folder. Hidden ones are somebody's unfinished work.
fn add_folder(media: &mut Media, folder: &Path) -> Result<()> {
    let cannot = |e| Error::io(format!("cannot read the folder {}", folder.display()), e);
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_hidden && entry.path().is_file() {
            paths.push(entry.path());
        }
        if paths.len() > limits::FOLDER_FILES {
            return Err(Error::usage(format!("{} has too many files", folder.display()))
                .hint("put bundle and parity into a folder of their own"));
        }
    }
    paths.sort();
    for path in paths {
        media.add(&path)?;
    }
    Ok(())
}

impl Found {
    /// Looks through the files: first those that were named or look like what is wanted.
    pub(super) fn survey(&mut self, progress: &dyn Progress) -> Result<Survey<'_>> {
        let (parity, named) = (&self.parity, &self.named);
        if self.effort == Effort::Quick {
            self.media.retain(|medium| {
                named.contains(&medium.path)
                    || parity.files().contains(&medium.path)
                    || parity.concerns(medium)
            });
        }
        let rank = |medium: &Medium| {
            let is_likely = named.contains(&medium.path)
                || parity.files().contains(&medium.path)
                || parity.covers(&medium.path, medium.length)
                || parity.resembles(&medium.path);
            u8::from(!is_likely)
        };
        self.media.sort_by_rank(rank);
        let likely = self.media.files().iter().take_while(|medium| rank(medium) == 0).count();
        let total = self.media.files()[..likely].iter().map(|medium| medium.length).sum();
        let survey = phase("looking for what is whole", total, progress, |advance| {
            Ok(Survey::new(&self.parity, &self.media, likely, advance))
        })?;
        for path in &self.named {
            let is_of_it = survey.uses(path) || self.parity.covers(path, u64::MAX);
            if !is_of_it {
                return Err(Error::damaged(format!(
                    "the parity in {} is not for {}, or nothing of that is left",
                    self.parity.files()[0].display(),
                    path.display()
                ))
                .hint("name the parity that was made for it"));
            }
        }
        Ok(survey)
    }
}
