//! From an image to the name that it gets at its destination.

use super::goal::{Field, Values};
use super::pattern::last_part;
use super::{Mapping, Rule, Subject};
use crate::model::error::{Error, Result};
use crate::model::location::Destination;
use crate::model::reference::ImageName;

/// Rules, and what becomes of an image that none of them is for.
#[derive(Clone, Debug)]
pub struct Naming {
    base: Base,
    mapping: Mapping,
}

#[derive(Clone, Debug)]
enum Base {
    /// A registry: names stand below a prefix, which may be empty.
    Registry { host: String, prefix: String },
    /// Anything else: images keep the whole of their names.
    Whole,
}

/// A name, and the rule that made it.
#[derive(Clone, Debug)]
pub struct NewName<'a> {
    /// With a tag, or with a digest alone.
    pub name: ImageName,
    /// `None` where no rule was for the image.
    pub rule: Option<&'a Rule>,
}

impl Naming {
    /// Below a path of a registry, without rules.
    pub fn below(host: impl Into<String>, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/').to_owned();
        let base = Base::Registry { host: host.into(), prefix };
        Self { base, mapping: Mapping::default() }
    }

    /// By rules, at a destination.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) for a rule that makes no sense there.
    pub fn new(destination: &Destination, mapping: Mapping) -> Result<Self> {
        let naming = match destination {
            Destination::Registry { host, prefix } => {
                Self { mapping, ..Self::below(host.as_str(), prefix) }
            }
            _ => Self { base: Base::Whole, mapping },
        };
        for rule in &naming.mapping.rules {
            naming.check(rule)?;
        }
        Ok(naming)
    }

    fn check(&self, rule: &Rule) -> Result<()> {
        let first = rule.to.first_part().unwrap_or_default();
        match &self.base {
            Base::Registry { host, .. }
                if !rule.to.is_rooted() && (first == host || first.contains(':')) =>
            {
                Err(Error::usage(format!(
                    "the rule {rule} names the host {first}, and TO is a name below {}",
                    self.shown()
                ))
                .hint(
                    "leave the host out; a TO that begins with / leaves the prefix of --to, and \
                     another host needs an import of its own",
                ))
            }
            Base::Whole if rule.to.is_rooted() => Err(Error::usage(format!(
                "the rule {rule} leaves the prefix of a registry, and this target is none"
            ))
            .hint("write the whole name, as in registry.example/app")),
            _ => Ok(()),
        }
    }

    fn shown(&self) -> String {
        match &self.base {
            Base::Registry { host, prefix } if prefix.is_empty() => host.clone(),
            Base::Registry { host, prefix } => format!("{host}/{prefix}"),
            Base::Whole => "the target".to_owned(),
        }
    }

    /// The rules.
    pub const fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The name that an image gets; `None` for one without a name where it needs none.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) where there is none for it, or none that is
    /// valid, with the rule and the image.
    pub fn name(&self, subject: &Subject<'_>) -> Result<Option<NewName<'_>>> {
        let rule = self.mapping.rule_for(subject);
        let Some(name) = subject.name() else { return self.name_by_digest(subject, rule) };
        let (path, tag, rooted) = match rule {
            None => (name.repository().to_owned(), name.tag().map(str::to_owned), false),
            Some(rule) => {
                let values = Values {
                    registry: name.registry(),
                    repository: name.repository(),
                    name: last_part(name),
                    tag: name.tag(),
                    rest: rule.from.rest(name),
                };
                if let Some(field) = rule.to.lacks(&values) {
                    return Err(lacking(rule, subject, field));
                }
                let (path, tag) = rule.to.fill(&values, matches!(self.base, Base::Whole));
                (path, tag, rule.to.is_rooted())
            }
        };
        if rule.is_none() && matches!(self.base, Base::Whole) {
            return Ok(Some(NewName { name: name.clone(), rule }));
        }
        self.make(subject, rule, &path, tag.as_deref(), rooted).map(Some)
    }

    /// An image without a name can only be given a whole one.
    fn name_by_digest<'a>(
        &self,
        subject: &Subject<'_>,
        rule: Option<&'a Rule>,
    ) -> Result<Option<NewName<'a>>> {
        let values = Values { registry: "", repository: "", name: "", tag: None, rest: "" };
        let Some(rule) = rule.filter(|rule| !rule.from.is_open()) else {
            return match &self.base {
                Base::Whole => Ok(None),
                Base::Registry { host, .. } => Err(Error::usage(format!(
                    "image {subject} has no name to be filed under at {host}"
                ))
                .hint(format!("give it one, as with --map {subject}=app:1.2"))),
            };
        };
        if rule.to.needs_name() {
            return Err(lacking(rule, subject, Field::Name));
        }
        if let Some(field) = rule.to.lacks(&values) {
            return Err(lacking(rule, subject, field));
        }
        let (path, tag) = rule.to.fill(&values, matches!(self.base, Base::Whole));
        self.make(subject, Some(rule), &path, tag.as_deref(), rule.to.is_rooted()).map(Some)
    }

    fn make<'a>(
        &self,
        subject: &Subject<'_>,
        rule: Option<&'a Rule>,
        path: &str,
        tag: Option<&str>,
        rooted: bool,
    ) -> Result<NewName<'a>> {
        let by_digest = if tag.is_none() { subject.digest() } else { None };
        let name = match &self.base {
            Base::Registry { host, prefix } => {
                let path = match prefix.as_str() {
                    prefix if !prefix.is_empty() && !rooted => format!("{prefix}/{path}"),
                    _ => path.to_owned(),
                };
                ImageName::from_parts(host, &path, tag, by_digest)
            }
            Base::Whole => {
                let tag = tag.map_or(String::new(), |tag| format!(":{tag}"));
                let digest = by_digest.map_or(String::new(), |digest| format!("@{digest}"));
                format!("{path}{tag}{digest}").parse()
            }
        };
        let name = name.map_err(|e| match rule {
            Some(rule) => Error::usage(format!("the rule {rule} makes no valid name of {subject}"))
                .because(e)
                .hint(format!("give it a rule of its own, as with --map {subject}=app:1.2")),
            None => e.context(format!("{subject} has no place at {}", self.shown())),
        })?;
        Ok(NewName { name, rule })
    }

    /// A rule that keeps the registry of an image in the names of all images from there; for hints.
    pub fn keeping_registry(name: &ImageName) -> String {
        let registry = name.registry();
        format!("{registry}/={}/", super::goal::path_part(registry))
    }

    /// A rule that would give an image a place of its own, whatever else is there; for hints.
    pub fn way_out(name: &ImageName) -> Option<String> {
        let tag = name.tag()?;
        let registry = super::goal::path_part(name.registry());
        let plain = name.without_digest();
        Some(format!("{plain}={registry}/{}:{tag}", name.repository()))
    }
}

fn lacking(rule: &Rule, subject: &Subject<'_>, field: Field) -> Error {
    let what = match field {
        Field::Tag => "tag",
        _ => "name",
    };
    Error::usage(format!("the rule {rule} needs a {what}, and {subject} has none"))
        .hint(format!("give it a rule of its own, as with --map {subject}=app:1.2"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Kind};
    use proptest::prelude::*;

    fn naming(target: &str, rules: &[&str]) -> Result<Naming> {
        let mut mapping = Mapping::default();
        for rule in rules {
            mapping.add(rule)?;
        }
        Naming::new(&target.parse()?, mapping)
    }

    fn named(target: &str, rules: &[&str], name: &str) -> Result<String> {
        let name: ImageName = name.parse()?;
        let digests = [Digest::of(b"x")];
        let naming = naming(target, rules)?;
        let new = naming.name(&Subject::new(Some(&name), &digests))?;
        Ok(new.map(|new| new.name.to_string()).unwrap_or_default())
    }

    #[test]
    fn without_a_rule_paths_stay_below_the_prefix() {
        let keep = |target: &str, name: &str| named(target, &[], name).unwrap();
        assert_eq!(keep("h.example/mirror", "nginx:1"), "h.example/mirror/library/nginx:1");
        assert_eq!(keep("h.example", "r.example:5000/a/b:1"), "h.example/a/b:1");
        assert_eq!(keep("oci:dir", "r.example:5000/a/b:1"), "r.example:5000/a/b:1");
        let digest = Digest::of(b"x");
        assert_eq!(
            keep("h.example/m", &format!("r.example/a@{digest}")),
            format!("h.example/m/a@{digest}")
        );
        assert_eq!(keep("h.example/m", &format!("r.example/a:1@{digest}")), "h.example/m/a:1");
    }

    #[test]
    fn rules_make_names_below_the_target() {
        for (rule, name, new) in [
            ("r.example/app:1.2=apps/app:1.2", "r.example/app:1.2", "apps/app:1.2"),
            ("r.example/app=apps/other", "r.example/app:7", "apps/other:7"),
            ("r.example/app=apps/", "r.example/app:7", "apps/app:7"),
            ("r.example/a/app:7=apps/:stable", "r.example/a/app:7", "apps/app:stable"),
            ("r.example/team/=apps/", "r.example/team/x/app:7", "apps/x/app:7"),
            ("r.example/team/=", "r.example/team/x/app:7", "x/app:7"),
            ("r.example/team/=all/{name}:{tag}-x", "r.example/team/x/app:7", "all/app:7-x"),
            ("*=every/", "r.example/x/app:7", "every/x/app:7"),
            ("*={registry}/", "r.example:5000/x/app:7", "r.example-5000/x/app:7"),
            ("*={registry}/{repository}:{tag}", "nginx:1", "docker.io/library/nginx:1"),
            ("docker.io/=docker.io/", "nginx:1", "docker.io/library/nginx:1"),
            ("r.example/=x-{repository}", "r.example/a/b:1", "x-a/b:1"),
        ] {
            let there = named("h.example/mirror", &[rule], name).unwrap();
            assert_eq!(there, format!("h.example/mirror/{new}"), "{rule}");
        }
        let leaves = |rule| named("h.example/mirror", &[rule], "r.example/team/app:7").unwrap();
        assert_eq!(leaves("r.example/team/=/apps/"), "h.example/apps/app:7");
        assert_eq!(leaves("r.example/team/=/"), "h.example/app:7");
        assert_eq!(leaves("r.example/team/app=/x/y:1"), "h.example/x/y:1");
    }

    #[test]
    fn whole_names_are_made_where_there_is_no_registry() {
        for (rule, name, new) in [
            (
                "r.example/team/=h.example:5000/apps/",
                "r.example/team/a:1",
                "h.example:5000/apps/a:1",
            ),
            ("nginx=web:stable", "nginx:1", "docker.io/library/web:stable"),
            ("*={registry}/x/{name}", "r.example:5000/a/b:1", "r.example:5000/x/b:1"),
            ("*=h.example/{registry}/", "r.example:5000/a/b:1", "h.example/r.example-5000/a/b:1"),
        ] {
            assert_eq!(named("docker-daemon:", &[rule], name).unwrap(), new, "{rule}");
        }
        assert_eq!(named("oci:d", &["a=/b"], "a").unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn what_has_no_tag_keeps_its_digest_or_gets_a_tag() {
        let digest = Digest::of(b"x");
        let image = format!("r.example/a@{digest}");
        let new = |rule| named("h.example", &[rule], &image);
        assert_eq!(new("r.example/a=b").unwrap(), format!("h.example/b@{digest}"));
        assert_eq!(new("*={name}:{tag}").unwrap(), format!("h.example/a@{digest}"));
        assert_eq!(new("r.example/a=b:1").unwrap(), "h.example/b:1");
        let error = new("*={name}:x-{tag}").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.message().contains("*={name}:x-{tag}") && error.message().contains(&image));
    }

    #[test]
    fn what_has_no_name_can_be_given_one() {
        let digests = [Digest::of(b"x")];
        let subject = Subject::new(None, &digests);
        let name = |target, rule: &str| {
            let naming = naming(target, &[rule]).unwrap();
            let new = naming.name(&subject).map_err(|error| error.kind())?;
            Ok::<_, Kind>(new.map(|new| new.name.to_string()))
        };
        let by = |to| format!("{}={to}", digests[0]);
        assert_eq!(name("h.example/m", &by("app:1")), Ok(Some("h.example/m/app:1".into())));
        assert_eq!(name("oci:d", &by("r.example/app:1")), Ok(Some("r.example/app:1".into())));
        assert_eq!(name("oci:d", "*=x/"), Ok(None));
        for rule in ["*=x/", &by("x/"), &by("{registry}/x:1"), &by("x:{tag}-1")] {
            assert_eq!(name("h.example", rule), Err(Kind::Usage), "{rule}");
        }
    }

    #[test]
    fn another_host_is_refused() {
        for rule in [
            "r.example/a=h.example/a",
            "r.example/=h.example/",
            "r.example/a=other.example:5000/a",
            "r.example/a=localhost:5000/a:1",
        ] {
            let error = naming("h.example/m", &[rule]).unwrap_err();
            assert!(error.message().contains(rule), "{error}");
        }
        assert!(naming("h.example/m", &["r.example/a=/h.example/a"]).is_ok());
    }

    #[test]
    fn a_name_that_cannot_be_is_told_with_rule_and_image() {
        let error = named("h.example", &["*=x:{tag}{tag}{name}"], &format!("a:{}", "1".repeat(80)));
        let error = error.unwrap_err();
        assert!(error.message().contains("*=x:{tag}{tag}{name}"), "{error}");
        assert!(error.message().contains("docker.io/library/a:111"), "{error}");
    }

    const NAME: &str = "([a-z]{1,5}\\.[a-z]{2}(:[0-9]{2,4})?/)?[a-z]{1,4}(/[a-z0-9]{1,4}){0,3}(:[a-zA-Z0-9_]{1,9})?";

    proptest! {
        #[test]
        fn the_longest_folder_counts(name in NAME, depths in prop::collection::btree_set(0usize..5, 1..4)) {
            let image: ImageName = name.parse().unwrap();
            let full = format!("{}/{}", image.registry(), image.repository());
            let folders: Vec<&str> =
                full.match_indices('/').map(|(at, _)| &full[..=at]).collect();
            let taken: Vec<&str> =
                depths.iter().filter_map(|depth| folders.get(*depth).copied()).collect();
            let rules: Vec<String> =
                taken.iter().map(|folder| format!("{folder}=n{}/", folder.len())).collect();
            let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            let there = named("h.example", &rules, &name).unwrap();
            let expected = match taken.iter().max_by_key(|folder| folder.len()) {
                Some(folder) => format!("h.example/n{}/{}", folder.len(), &full[folder.len()..]),
                None => format!("h.example/{}", image.repository()),
            };
            prop_assert_eq!(there, format!("{expected}:{}", image.tag().unwrap()));
        }

        #[test]
        fn spelling_everything_out_changes_nothing(name in NAME) {
            let image: ImageName = name.parse().unwrap();
            let whole = named("oci:d", &["*={registry}/{repository}:{tag}"], &name).unwrap();
            prop_assert_eq!(whole, image.to_string());
            let below = named("h.example/m", &["*={repository}:{tag}"], &name).unwrap();
            prop_assert_eq!(below, named("h.example/m", &[], &name).unwrap());
        }

        #[test]
        fn the_way_out_is_a_rule_for_this_image(name in NAME) {
            let image: ImageName = name.parse().unwrap();
            let rule = Naming::way_out(&image).unwrap();
            let there = named("h.example", &[&rule], &name).unwrap();
            let own = format!("/{}:{}", image.repository(), image.tag().unwrap());
            prop_assert!(there.ends_with(&own));
            prop_assert!(there != named("h.example", &[], &name).unwrap());
        }
    }
}
