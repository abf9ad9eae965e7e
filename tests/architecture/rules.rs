//! The rules. Each takes a house (its files by path below `src`) and gives a sentence for each
//! place that breaks it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

type House = BTreeMap<String, Source>;

/// The floor of each top-level module. One that is not listed is a finding: decide where it lives.
const FLOORS: [(&str, u8); 9] = [
    ("model", 0),
    ("codec", 1),
    ("endpoint", 1),
    ("trust", 1),
    ("bundle", 2),
    ("transport", 2),
    ("operation", 3),
    ("cli", 4),
    ("main", 5),
];

/// Pairs on one floor that must not know each other.
const STRANGERS: [(&str, &str); 2] = [("bundle", "transport"), ("transport", "bundle")];

/// Lines of code of one file.
const LONGEST: usize = 500;

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The module path of a file: `codec/mod.rs` is `codec`, `lib.rs` is the root.
fn module(file: &str) -> Vec<&str> {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut path: Vec<&str> = stem.split('/').collect();
    if matches!(path.as_slice(), [.., "mod"] | ["lib"]) {
        path.pop();
    }
    path
}

/// Which files there are, to tell modules from items.
struct Map<'a> {
    house: &'a House,
    files: BTreeMap<Vec<&'a str>, &'a str>,
}

impl<'a> Map<'a> {
    fn new(house: &'a House) -> Self {
        Self { house, files: house.keys().map(|file| (module(file), file.as_str())).collect() }
    }

    /// The module in which the thing that `path` names is defined, as seen from `from`. Items that
    /// a folder only hands on belong to the child that they come from.
    fn resolve(&self, from: &[&'a str], path: &'a [String]) -> Vec<&'a str> {
        self.follow(from, path, 8)
    }

    fn follow(&self, from: &[&'a str], path: &'a [String], patience: u8) -> Vec<&'a str> {
        let mut at: Vec<&str> = from.to_vec();
        let mut words = path.iter().map(String::as_str).peekable();
        while let Some(word) = words.peek() {
            match *word {
                "crate" | "sealift" => at.clear(),
                "super" => drop(at.pop()),
                "self" => {}
                _ => break,
            }
            words.next();
        }
        while let Some(word) = words.peek() {
            at.push(word);
            if !self.files.contains_key(&at) {
                at.pop();
                break;
            }
            words.next();
        }
        let Some((known, file)) = self.files.get_key_value(&at) else { return Vec::new() };
        if let (Some(word), true) = (words.peek(), patience > 0) {
            let handed_on = self.house[*file]
                .exports
                .iter()
                .find(|export| export.last().is_some_and(|last| last == word));
            if let Some(export) = handed_on {
                return self.follow(known, export, patience - 1);
            }
        }
        known.clone()
    }
}

/// Whom each file uses, as (file, its module, the module used).
fn uses(house: &House) -> Vec<(&str, Vec<&str>, Vec<&str>)> {
    let map = Map::new(house);
    let mut all = Vec::new();
    for (file, source) in house {
        let from = module(file);
        // The binary is no part of the library's tree: it sees the library by its name.
        let base = if from == ["main"] { Vec::new() } else { from.clone() };
        for path in &source.imports {
            let foreign = path[0] == "self" && path.len() > 1 && {
                let mut child = base.clone();
                child.push(&path[1]);
                !map.files.contains_key(&child)
            };
            if !foreign {
                all.push((file.as_str(), from.clone(), map.resolve(&base, path)));
            }
        }
    }
    all
}

/// No floor looks up, and strangers stay strangers.
pub(crate) fn floors(house: &House) -> Vec<String> {
    let mut findings = BTreeSet::new();
    for file in house.keys() {
        if let Some(top) = module(file).first().filter(|top| floor(top).is_none()) {
            findings.insert(format!("{file}: {top} is on no floor"));
        }
    }
    for (file, from, to) in uses(house) {
        let (Some(from), Some(to)) = (from.first(), to.first()) else { continue };
        let (Some(here), Some(there)) = (floor(from), floor(to)) else { continue };
        if there > here {
            findings.insert(format!("{file}: {from} (floor {here}) looks up to {to} ({there})"));
        }
        if STRANGERS.contains(&(*from, *to)) {
            findings.insert(format!("{file}: {from} must not know {to}"));
        }
    }
    findings.into_iter().collect()
}

/// No circles: among the top-level modules, and among the modules of each folder. A folder's own
/// `mod.rs` is one of them, for what it defines itself.
pub(crate) fn circles(house: &House) -> Vec<String> {
    const OWN: &str = "mod.rs";
    type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;
    let mut folders: BTreeMap<Vec<&str>, Edges<'_>> = BTreeMap::new();
    for (_, from, to) in uses(house) {
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let here = from.get(shared).copied().unwrap_or(OWN);
        let there = to.get(shared).copied().unwrap_or(OWN);
        if here != there {
            folders
                .entry(from[..shared].to_vec())
                .or_default()
                .entry(here)
                .or_default()
                .insert(there);
        }
    }
    let mut findings = Vec::new();
    for (folder, edges) in &folders {
        if let Some(circle) = circle(edges) {
            let place = if folder.is_empty() { "src".to_owned() } else { folder.join("/") };
            findings.push(format!("{place}: {}", circle.join(" → ")));
        }
    }
    findings
}

/// One circle, if there is any: whoever can be reached from itself by the shortest way.
fn circle<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    edges.keys().find_map(|start| {
        let mut ways = std::collections::VecDeque::from([vec![*start]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            for next in way.last().and_then(|last| edges.get(last)).into_iter().flatten() {
                let mut longer = way.clone();
                longer.push(next);
                if next == start {
                    return Some(longer);
                }
                if seen.insert(*next) {
                    ways.push_back(longer);
                }
            }
        }
        None
    })
}

/// Files are short, and open with what lives there.
pub(crate) fn files(house: &House) -> Vec<String> {
    let mut findings = Vec::new();
    for (file, source) in house {
        if source.lines > LONGEST {
            findings.push(format!("{file}: {} lines of code, more than {LONGEST}", source.lines));
        }
        if !source.has_module_doc {
            findings.push(format!("{file}: does not begin with a module doc"));
        }
    }
    findings
}

/// Nothing prints but the output file, and only the command line reads the environment.
pub(crate) fn surroundings(house: &House) -> Vec<String> {
    const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];
    const READING: [&str; 6] = ["var", "var_os", "vars", "vars_os", "temp_dir", "home_dir"];
    let mut findings = Vec::new();
    for (file, source) in house {
        for three in source.tokens.windows(3) {
            if PRINTING.contains(&three[0].as_str()) && three[1] == "!" && file != "cli/output.rs" {
                findings.push(format!("{file}: {}! outside of cli/output.rs", three[0]));
            }
            let reads =
                three[0] == "env" && three[1] == "::" && READING.contains(&three[2].as_str());
            if reads && file != "cli/environment.rs" {
                findings.push(format!("{file}: env::{} outside of cli/environment.rs", three[2]));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(files: &[(&str, &str)]) -> House {
        files.iter().map(|(file, text)| ((*file).to_owned(), Source::read(text))).collect()
    }

    #[test]
    fn looking_down_is_fine() {
        let house = sample(&[
            ("lib.rs", "pub mod model; pub mod codec; pub mod bundle;"),
            ("model/mod.rs", "pub mod digest; pub use digest::Digest;"),
            ("model/digest.rs", "pub struct Digest;"),
            ("codec/mod.rs", "pub mod frame;"),
            ("codec/frame.rs", "use std::io; use serde::Serialize; use crate::model::Digest;"),
            ("bundle/mod.rs", "use crate::{codec::frame, model::Digest};"),
            ("main.rs", "fn main() { sealift::bundle::run() }"),
        ]);
        assert!(floors(&house).is_empty(), "{:?}", floors(&house));
        assert!(circles(&house).is_empty(), "{:?}", circles(&house));
    }

    #[test]
    fn looking_up_is_found_in_every_spelling() {
        for text in [
            "use crate::cli::Output;",
            "use crate::{model::Digest, cli};",
            "fn f() { crate::cli::run() }",
            "use super::super::cli;",
            "pub(crate) fn f(x: &sealift::cli::Output) {}",
        ] {
            let house = sample(&[
                ("codec/mod.rs", "mod frame;"),
                ("codec/frame.rs", text),
                ("cli/mod.rs", ""),
                ("model/mod.rs", ""),
            ]);
            assert_eq!(
                floors(&house),
                ["codec/frame.rs: codec (floor 1) looks up to cli (4)"],
                "{text}"
            );
        }
    }

    #[test]
    fn strangers_are_kept_apart_both_ways() {
        let house = sample(&[
            ("bundle/mod.rs", "use crate::transport;"),
            ("transport/mod.rs", "use crate::bundle::Bundle;"),
        ]);
        assert_eq!(floors(&house).len(), 2);
    }

    #[test]
    fn a_module_without_a_floor_is_found() {
        assert_eq!(floors(&sample(&[("utils.rs", "")])), ["utils.rs: utils is on no floor"]);
    }

    #[test]
    fn circles_are_found_at_the_top_and_in_folders() {
        let house =
            sample(&[("codec/mod.rs", "use crate::trust;"), ("trust/mod.rs", "use crate::codec;")]);
        assert_eq!(circles(&house), ["src: codec → trust → codec"]);
        let house = sample(&[
            ("codec/mod.rs", "mod a; mod b; mod c;"),
            ("codec/a.rs", "use super::b::B;"),
            ("codec/b.rs", "use crate::codec::c;"),
            ("codec/c/mod.rs", "mod deep;"),
            ("codec/c/deep.rs", "use super::super::a::A;"),
        ]);
        assert_eq!(circles(&house), ["codec: a → b → c → a"]);
    }

    #[test]
    fn a_circle_through_the_folder_itself_is_one_too() {
        let house = sample(&[
            ("codec/mod.rs", "mod a; use a::A; pub struct Own;"),
            ("codec/a.rs", "use super::Own;"),
        ]);
        assert_eq!(circles(&house), ["codec: a → mod.rs → a"]);
    }

    #[test]
    fn a_name_that_a_folder_hands_on_belongs_to_its_child() {
        let house = sample(&[
            ("codec/mod.rs", "mod a; mod b; pub use a::A; pub use self::b::B;"),
            ("codec/a.rs", "pub struct A;"),
            ("codec/b.rs", "use super::A;"),
        ]);
        assert!(circles(&house).is_empty(), "{:?}", circles(&house));
        let house = sample(&[
            ("codec/mod.rs", "mod a; mod b; pub use a::A; pub use self::b::B;"),
            ("codec/a.rs", "use super::B;"),
            ("codec/b.rs", "use super::A;"),
        ]);
        assert_eq!(circles(&house), ["codec: a → b → a"]);
    }

    #[test]
    fn long_and_nameless_files_are_found() {
        let long = format!("//! Doc.\n{}", "const A: u8 = 0;\n".repeat(LONGEST + 1));
        assert_eq!(files(&sample(&[("model/a.rs", &long)])).len(), 1);
        let tested = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n{long}}}");
        assert!(files(&sample(&[("model/a.rs", &tested)])).is_empty());
        assert_eq!(files(&sample(&[("model/mod.rs", "pub mod a;")])).len(), 1);
    }

    #[test]
    fn printing_and_peeking_are_found() {
        let text = "fn f() { println!(); let a = std::env::var_os(x); }";
        assert_eq!(surroundings(&sample(&[("codec/a.rs", text)])).len(), 2);
        let text = "// println!()\nconst A: &str = \"dbg!(env::var)\";";
        assert!(surroundings(&sample(&[("codec/a.rs", text)])).is_empty());
    }
}
