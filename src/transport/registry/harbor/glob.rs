//! Patterns as Harbor's rules have them: `*` and `?` within one part of a path, `**` across parts,
//! `[a-z]` and `[^a-z]`, alternatives in braces, `\` before what is meant literally.

/// Texts that the alternatives of one pattern may come to. Rules are typed by hand and have a few;
/// nested braces multiply.
const ALTERNATIVES: usize = 256;

/// Characters of a pattern. Harbor keeps 1024.
const LONGEST: usize = 4096;

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Literal(char),
    /// `?`: any one character but the slash.
    One,
    /// `*`: any number of them.
    Some,
    /// `**`: any number, slashes too.
    All,
    /// `[…]`: one of these ranges, or none of them; never the slash.
    Class(bool, Vec<(char, char)>),
}

/// Whether a text fits a pattern; the empty pattern fits everything. `None` for a pattern that
/// cannot be read.
pub(super) fn fits(pattern: &str, text: &str) -> Option<bool> {
    if pattern.is_empty() {
        return Some(true);
    }
    if pattern.chars().count() > LONGEST {
        return None;
    }
    let mut alternatives = Vec::new();
    spread(pattern, &mut alternatives)?;
    let text: Vec<char> = text.chars().collect();
    for alternative in alternatives {
        if matches(&steps(&alternative)?, &text) {
            return Some(true);
        }
    }
    Some(false)
}

/// Every text that a pattern with braces stands for.
fn spread(pattern: &str, found: &mut Vec<String>) -> Option<()> {
    let mut waiting = vec![pattern.to_owned()];
    while let Some(next) = waiting.pop() {
        match braces(&next)? {
            None => found.push(next),
            Some((before, choices, after)) => {
                waiting.extend(choices.iter().map(|choice| format!("{before}{choice}{after}")));
            }
        }
        if found.len() + waiting.len() > ALTERNATIVES {
            return None;
        }
    }
    Some(())
}

type Braces<'a> = (&'a str, Vec<&'a str>, &'a str);

/// The first braces of a pattern, their choices, and what stands around them; the outer `None`
/// where they are not closed.
#[allow(clippy::option_option, reason = "none to be found is not the same as none to be read")]
fn braces(pattern: &str) -> Option<Option<Braces<'_>>> {
    let (mut depth, mut start, mut choice) = (0_usize, 0, 0);
    let mut choices = Vec::new();
    let mut characters = pattern.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => {
                characters.next();
            }
            '{' => {
                depth += 1;
                if depth == 1 {
                    (start, choice) = (at, at + 1);
                }
            }
            ',' if depth == 1 => {
                choices.push(&pattern[choice..at]);
                choice = at + 1;
            }
            '}' if depth == 1 => {
                choices.push(&pattern[choice..at]);
                return Some(Some((&pattern[..start], choices, &pattern[at + 1..])));
            }
            '}' if depth > 0 => depth -= 1,
            _ => {}
        }
    }
    (depth == 0).then_some(None)
}

/// A pattern without braces, step by step.
fn steps(pattern: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        steps.push(match c {
            '\\' => Step::Literal(rest.next()?),
            '?' => Step::One,
            '*' if rest.next_if_eq(&'*').is_some() => Step::All,
            '*' => Step::Some,
            '[' => {
                let negated = rest.next_if(|c| matches!(c, '^' | '!')).is_some();
                let mut ranges = Vec::new();
                loop {
                    let first = match rest.next()? {
                        ']' if !ranges.is_empty() => break,
                        '\\' => rest.next()?,
                        c => c,
                    };
                    let last = if rest.next_if_eq(&'-').is_some() { rest.next()? } else { first };
                    ranges.push((first, last));
                }
                Step::Class(negated, ranges)
            }
            c => Step::Literal(c),
        });
    }
    Some(steps)
}

/// Whether steps lead from the start of a text to its end. Takes no longer than both are long
/// together, multiplied: there is a set of places that the steps so far may have come to.
fn matches(steps: &[Step], text: &[char]) -> bool {
    let mut places = vec![false; text.len() + 1];
    places[0] = true;
    for (number, step) in steps.iter().enumerate() {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            let here = text.get(at).copied();
            match step {
                Step::Literal(c) if places[at] && here == Some(*c) => next[at + 1] = true,
                // The slash after `**/` is there only if something is before it.
                Step::Literal('/')
                    if places[at]
                        && number > 0
                        && steps[number - 1] == Step::All
                        && (at == 0 || text[at - 1] == '/') =>
                {
                    next[at] = true;
                }
                Step::One if places[at] && here.is_some_and(|c| c != '/') => next[at + 1] = true,
                Step::Class(negated, ranges) if places[at] => {
                    let fits = here.is_some_and(|c| {
                        let listed =
                            ranges.iter().any(|(first, last)| (*first..=*last).contains(&c));
                        c != '/' && listed != *negated
                    });
                    if fits {
                        next[at + 1] = true;
                    }
                }
                Step::Some | Step::All if places[at] || next[at] => {
                    next[at] = true;
                    if here.is_some_and(|c| c != '/' || *step == Step::All) {
                        next[at + 1] = true;
                    }
                }
                _ => {}
            }
        }
        places = next;
    }
    places[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_as_people_write_them() {
        for (pattern, yes, no) in [
            ("**", &["", "app", "team/app"][..], &[][..]),
            ("*", &["", "app"], &["team/app"]),
            ("", &["app", "team/app"], &[]),
            ("v*", &["v1", "v"], &["1", "xv"]),
            ("v?.?", &["v1.2"], &["v1.20", "v1/2"]),
            ("{latest,stable}", &["latest", "stable"], &["late"]),
            ("release-{1,2{a,b}}", &["release-1", "release-2b"], &["release-2"]),
            ("[0-9]*", &["1.2"], &["v1"]),
            ("[^0-9]*", &["v1"], &["1.2", ""]),
            ("team/**", &["team/app", "team/a/b"], &["teams/app", "app"]),
            ("**/app", &["app", "team/app", "a/b/app"], &["apps", "myapp"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb"]),
            (r"a\*", &["a*"], &["ab"]),
            ("app", &["app"], &["apps", "ap"]),
        ] {
            for text in yes {
                assert_eq!(fits(pattern, text), Some(true), "{pattern} {text}");
            }
            for text in no {
                assert_eq!(fits(pattern, text), Some(false), "{pattern} {text}");
            }
        }
        let many = "{a,b}".repeat(20);
        for pattern in ["{a", "[a", "a\\", &many] {
            assert_eq!(fits(pattern, "a"), None, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in r"[a*?/{},\[\]^\\-]{0,40}", text in "[a/]{0,40}") {
            let _ = fits(&pattern, &text);
        }

        #[test]
        fn a_text_fits_itself(text in "[a-z0-9./_-]{1,40}") {
            prop_assert_eq!(fits(&text, &text), Some(true));
        }
    }
}
