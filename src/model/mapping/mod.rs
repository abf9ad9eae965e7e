//! Which image gets which name: rules as people write them, `FROM=TO`.
//!
//! [`pattern`] says which images a rule is for, [`goal`] what it makes of them, [`Mapping`] picks
//! the rule for an image, and [`naming`] makes the name, with or without a rule. Pure values:
//! what a rule does can be known without any registry.
//!
//! # FROM, the closest first
//!
//! | Written | Means |
//! |---|---|
//! | `registry.example/app@sha256:…`, `sha256:…` | the image with this digest |
//! | `registry.example/app:1.2` | this image |
//! | `registry.example/app` | every tag of this repository |
//! | `registry.example/team/` | everything below it; of several, the longest counts |
//! | `registry.example/` | everything of this registry |
//! | `*` | everything |
//!
//! Names are read as docker reads them: `nginx` is `docker.io/library/nginx`, `bitnami/` is
//! `docker.io/bitnami/`.
//!
//! # TO
//!
//! A name below the target; one that begins with `/` stands below its host, outside of the prefix.
//! Where the target is no registry, it is a whole name, host and all.
//!
//! Without a tag the image keeps its own. A TO that ends in `/` is a folder: what FROM left open
//! follows, or the last part of the name. `{registry}`, `{repository}`, `{name}` (the last part of
//! the repository) and `{tag}` stand for those of the image. A registry is spelled so that it can
//! be part of a path: `registry.example:5000` becomes `registry.example-5000`.
//!
//! A rule that begins with `?` may be for no image at all; any other such rule is refused, since it
//! is most likely misspelled.

mod goal;
mod naming;
mod pattern;
mod repositories;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

pub use self::naming::{Naming, NewName};
pub use self::pattern::Subject;
pub use self::repositories::Repositories;

use self::goal::Goal;
use self::pattern::Pattern;
use super::error::{Error, Result};
use super::limits;

/// Images that a message about a rule without any lists: enough to see how names are spelled.
const LISTED: usize = 10;

/// How a rule is written, for hints.
const WRITTEN: &str = "write it as FROM=TO, for example registry.example/team/=apps/";

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    from: Pattern,
    to: Goal,
    /// As it was written.
    text: String,
    /// File and line, where it came from a file.
    place: Option<String>,
    /// Whether it may be for no image.
    may_idle: bool,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} ({place})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl Rule {
    /// Whether it is for images of any registry and any name.
    pub fn is_for_everything(&self) -> bool {
        self.from == Pattern::All
    }

    fn parse(text: &str, place: Option<String>) -> Result<Self> {
        let wanted = text.strip_prefix('?');
        let (from, to) = wanted
            .unwrap_or(text)
            .split_once('=')
            .ok_or_else(|| Error::usage("there is no = in it").hint(WRITTEN))?;
        let (from, to): (Pattern, Goal) = (from.trim().parse()?, to.trim().parse()?);
        if to.is_empty() && !from.is_open() {
            return Err(Error::usage("TO is empty").hint(WRITTEN));
        }
        if from.is_open() && !to.tells_repositories_apart() {
            return Err(Error::usage("it would give many repositories one name")
                .hint("end TO with / to keep paths below it, or use {repository} or {name}"));
        }
        let (text, may_idle) = (text.to_owned(), wanted.is_some());
        Ok(Self { from, to, text, place, may_idle })
    }
}

/// Rules, each FROM once.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    rules: Vec<Rule>,
    /// Where the rule for a pattern is.
    by_pattern: HashMap<Pattern, usize>,
}

impl Mapping {
    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Adds a rule as it is written on a command line.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where it cannot be understood, or where another
    /// rule says something else about the same images.
    pub fn add(&mut self, text: &str) -> Result<()> {
        self.take(text.trim(), None)
    }

    /// Adds the rules of a file, one a line. What follows a `#` is a comment. `file` is what to
    /// call it.
    ///
    /// # Errors
    /// As [`add`](Self::add), with the line; [`Kind::Usage`](crate::model::Kind::Usage) for more
    /// than [`limits::MAPPING_RULES`].
    pub fn add_file(&mut self, file: &str, content: &str) -> Result<()> {
        for (number, line) in content.lines().enumerate() {
            let rule = line.split_once('#').map_or(line, |(rule, _)| rule).trim();
            if !rule.is_empty() {
                self.take(rule, Some(format!("{file}, line {}", number + 1)))?;
            }
        }
        Ok(())
    }

    fn take(&mut self, text: &str, place: Option<String>) -> Result<()> {
        let shown = place.as_ref().map_or(String::new(), |place| format!(" in {place}"));
        if self.rules.len() == limits::MAPPING_RULES {
            let most = limits::MAPPING_RULES;
            return Err(Error::usage(format!("more than {most} rules for names{shown}"))
                .hint("rules for folders and placeholders do the work of many"));
        }
        let rule = Rule::parse(text, place)
            .map_err(|e| e.context(format!("the rule {text:?}{shown} cannot be meant")))?;
        match self.by_pattern.get(&rule.from).map(|known| &self.rules[*known]) {
            None => {
                self.by_pattern.insert(rule.from.clone(), self.rules.len());
                self.rules.push(rule);
                Ok(())
            }
            Some(known) if known.to == rule.to => Ok(()),
            Some(known) => {
                Err(Error::usage(format!("two rules are for the same images: {known} and {rule}"))
                    .hint("keep one of them"))
            }
        }
    }

    /// The rule for an image: of those that fit, the closest.
    pub fn rule_for(&self, subject: &Subject<'_>) -> Option<&Rule> {
        subject.patterns().find_map(|pattern| self.at(&pattern)).map(|at| &self.rules[at])
    }

    fn at(&self, pattern: &Pattern) -> Option<usize> {
        self.by_pattern.get(pattern).copied()
    }

    /// Makes sure that every rule fits one of `subjects`, be it that a closer one counts.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) for a rule that fits none.
    pub fn refuse_idle(&self, subjects: &[Subject<'_>]) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let used: BTreeSet<usize> = subjects
            .iter()
            .flat_map(|subject| subject.patterns().filter_map(|pattern| self.at(&pattern)))
            .collect();
        let mut idle = self
            .rules
            .iter()
            .enumerate()
            .filter(|(at, rule)| !used.contains(at) && !rule.may_idle)
            .map(|(_, rule)| rule);
        let Some(first) = idle.next() else { return Ok(()) };
        let more = match idle.count() {
            0 => String::new(),
            1 => ", and so is another rule".to_owned(),
            more => format!(", and so are {more} other rules"),
        };
        let names: Vec<String> = subjects.iter().take(LISTED).map(Subject::to_string).collect();
        let rest = if subjects.len() > LISTED { " and more" } else { "" };
        Err(Error::usage(format!("the rule {first} is for no image of the bundle{more}")).hint(
            format!(
                "the bundle holds {}{rest}; a rule that may be for none begins with ?",
                names.join(", ")
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, ImageName, Kind};

    fn mapping(rules: &[&str]) -> Mapping {
        let mut mapping = Mapping::default();
        for rule in rules {
            mapping.add(rule).unwrap();
        }
        mapping
    }

    fn chosen(mapping: &Mapping, name: &str) -> Option<String> {
        let name: ImageName = name.parse().unwrap();
        let digest = Digest::of(b"x");
        mapping.rule_for(&Subject::new(Some(&name), &[digest])).map(ToString::to_string)
    }

    #[test]
    fn the_closest_rule_counts_whatever_the_order() {
        let digest = Digest::of(b"x");
        let by_digest = format!("r.example/team/sub/app@{digest}=g");
        let mut rules = vec![
            "*=a/",
            "r.example/=b/",
            "r.example/team/=c/",
            "r.example/team/sub/=d/",
            "r.example/team/sub/app=e",
            "r.example/team/sub/app:1=f",
            &by_digest,
        ];
        for reversed in [false, true] {
            if reversed {
                rules.reverse();
            }
            let all = mapping(&rules);
            for (name, rule) in [
                ("nginx", "*=a/"),
                ("r.example/x", "r.example/=b/"),
                ("r.example/team", "r.example/=b/"),
                ("r.example/teamx/y", "r.example/=b/"),
                ("r.example/team/x", "r.example/team/=c/"),
                ("r.example/team/sub/x", "r.example/team/sub/=d/"),
                ("r.example/team/sub/app:1", &by_digest),
            ] {
                assert_eq!(chosen(&all, name).as_deref(), Some(rule), "{name}");
            }
        }
        let without = mapping(&["r.example/team/sub/app=e", "r.example/team/sub/app:1=f"]);
        assert_eq!(
            chosen(&without, "r.example/team/sub/app:1").unwrap(),
            "r.example/team/sub/app:1=f"
        );
        assert_eq!(
            chosen(&without, "r.example/team/sub/app:2").unwrap(),
            "r.example/team/sub/app=e"
        );
        assert_eq!(chosen(&without, "r.example/team/sub/app/deep:2"), None);
    }

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let hub = mapping(&["nginx=a", "bitnami/=b/", "docker.io/=c/"]);
        assert_eq!(chosen(&hub, "docker.io/library/nginx:1").unwrap(), "nginx=a");
        assert_eq!(chosen(&hub, "docker.io/bitnami/redis").unwrap(), "bitnami/=b/");
        assert_eq!(chosen(&hub, "docker.io/grafana/grafana").unwrap(), "docker.io/=c/");
        assert_eq!(chosen(&hub, "r.example/library/nginx"), None);
        let port = mapping(&["localhost:5000/=a/", "localhost/=b/"]);
        assert_eq!(chosen(&port, "localhost:5000/x").unwrap(), "localhost:5000/=a/");
        assert_eq!(chosen(&port, "localhost/x").unwrap(), "localhost/=b/");
    }

    #[test]
    fn a_digest_needs_no_name() {
        let digest = Digest::of(b"x");
        let one = mapping(&[&format!("{digest}=apps/app:1")]);
        assert!(one.rule_for(&Subject::new(None, &[digest])).is_some());
        assert!(one.rule_for(&Subject::new(None, &[Digest::of(b"y"), digest])).is_some());
        assert!(one.rule_for(&Subject::new(None, &[Digest::of(b"y")])).is_none());
    }

    #[test]
    fn a_file_has_a_rule_a_line_and_says_where() {
        let mut mapping = Mapping::default();
        let text = "# names\n\n r.example/a = apps/a  # the first\r\nr.example/b=apps/b\n";
        mapping.add_file("names.txt", text).unwrap();
        assert_eq!(
            chosen(&mapping, "r.example/a:1").unwrap(),
            "r.example/a = apps/a (names.txt, line 3)"
        );
        assert!(chosen(&mapping, "r.example/b:1").is_some());
        let error = mapping.add_file("more.txt", "\nr.example/a=x\n").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.message().contains("line 3") && error.message().contains("more.txt, line 2"));
        let error = mapping.add_file("more.txt", "nonsense").unwrap_err();
        assert!(error.message().contains("more.txt, line 1"), "{error}");
        // The same once more does no harm.
        mapping.add("r.example/a=apps/a").unwrap();
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "r.example/a",
            "=x",
            "r.example/*=x/",
            "r.example/a=",
            "r.example/=x",
            "r.example/=x:{tag}",
            "*=all",
            "UPPER=x",
            "//=x/",
            "r.example/a=UPPER",
            "r.example/a=x y",
            "r.example/a=x:",
            "r.example/a=:1",
            "r.example/a=x:a:b",
            "r.example/a=x@sha256:00",
            "r.example/a={host}",
            "r.example/a={tag",
            "r.example/a=tag}",
            "r.example/a=docker://h.example/x",
            "r.example/a=../x",
            "r.example/a=x//y",
            "r.example/a=//",
        ] {
            let error = Mapping::default().add(text).expect_err(text);
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert!(error.get_hint().is_some(), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_rule_for_nobody_is_refused_unless_it_says_so() {
        let name: ImageName = "r.example/team/app:1".parse().unwrap();
        let subjects = [Subject::new(Some(&name), &[])];
        let refused = |rules: &[&str]| mapping(rules).refuse_idle(&subjects).err();
        assert!(refused(&[]).is_none());
        // A closer rule counts, and the wider one is no mistake.
        assert!(refused(&["r.example/team/app:1=a", "r.example/=b/", "*=c/"]).is_none());
        assert!(refused(&["?r.example/taem/=a/"]).is_none());
        let error = refused(&["r.example/taem/=a/", "r.example/=b/", "x=y", "z=y"]).unwrap();
        assert_eq!(
            error.message(),
            "the rule r.example/taem/=a/ is for no image of the bundle, and so are 2 other rules"
        );
        assert!(error.get_hint().unwrap().contains("r.example/team/app:1"));
    }
}
