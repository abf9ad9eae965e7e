//! Just enough of Rust to see what a file imports: comments, strings and tests are taken out, and
//! paths that begin with `crate`, `super`, `self` or `sealift` are followed through their groups.

/// What the rules need to know of one file.
pub(crate) struct Source {
    /// Paths as written, one for each leaf of a group, such as `["super", "digest", "Digest"]`.
    pub(crate) imports: Vec<Vec<String>>,
    /// The same for what is only handed on: `pub use`.
    pub(crate) exports: Vec<Vec<String>>,
    /// Tokens of the code.
    pub(crate) tokens: Vec<String>,
    /// Lines of code: neither blank nor comment nor test.
    pub(crate) lines: usize,
    /// Whether it opens with `//!`.
    pub(crate) has_module_doc: bool,
}

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let code = without_tests(&blanked(text));
        let tokens = tokens(&code);
        let (imports, exports) = paths(&tokens);
        Self {
            imports,
            exports,
            lines: code.lines().filter(|line| !line.trim().is_empty()).count(),
            has_module_doc: text.starts_with("//! "),
            tokens,
        }
    }
}

/// The text with comments and literals replaced by blanks of the same length; line ends stay.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skip(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` if none does.
fn skip(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let is_word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    if starts("//") {
        return chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n);
    }
    if starts("/*") {
        let (mut depth, mut end) = (0, at);
        while end < chars.len() {
            match (chars[end], chars.get(end + 1)) {
                ('/', Some('*')) => (depth, end) = (depth + 1, end + 2),
                ('*', Some('/')) => (depth, end) = (depth - 1, end + 2),
                _ => end += 1,
            }
            if depth == 0 {
                return end;
            }
        }
        return end;
    }
    if chars[at] == '"' {
        return past_quote(chars, at + 1, '"');
    }
    if chars[at] == '\'' {
        // 'a' and '\n' are characters, 'a in <'a> is a lifetime.
        let is_char = chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'');
        return if is_char { past_quote(chars, at + 1, '\'') } else { at };
    }
    // r"…", r#"…"#, br#"…"#; the letter must not be the end of a word.
    if chars[at] == 'r' {
        let word = |back: usize| is_word(at.checked_sub(back).and_then(|n| chars.get(n)));
        let byte = at.checked_sub(1).is_some_and(|n| chars[n] == 'b') && !word(2);
        let joined = word(1) && !byte;
        let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
        let open = at + 1 + hashes;
        if !joined && chars.get(open) == Some(&'"') {
            let mut end = open + 1;
            while end < chars.len() {
                let closing = chars[end] == '"'
                    && chars[end + 1..].iter().take(hashes).filter(|c| **c == '#').count()
                        == hashes;
                if closing {
                    return end + 1 + hashes;
                }
                end += 1;
            }
            return end;
        }
    }
    at
}

fn past_quote(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// Blanked code without the items that only tests see.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut rest = code;
    let mut out = String::with_capacity(code.len());
    while let Some(start) = rest.find(MARK) {
        out.push_str(&rest[..start]);
        let item = &rest[start + MARK.len()..];
        let mut depth = 0usize;
        let mut end = item.len();
        for (at, c) in item.char_indices() {
            match c {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && c == '}' {
                        end = at + 1;
                        break;
                    }
                }
                ';' if depth == 0 => {
                    end = at + 1;
                    break;
                }
                _ => {}
            }
        }
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut word = String::from(c);
            while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(next);
            }
            tokens.push(word);
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !c.is_whitespace() {
            tokens.push(c.into());
        }
    }
    tokens
}

type Paths = Vec<Vec<String>>;

/// Every path that starts inside the house: those used, and those only handed on by `pub use`.
fn paths(tokens: &[String]) -> (Paths, Paths) {
    let (mut used, mut exported) = (Vec::new(), Vec::new());
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token == text);
    let mut at = 0;
    while at < tokens.len() {
        let before = |text: &str| at > 0 && is(at - 1, text);
        let is_use = before("use");
        let anchored = matches!(tokens[at].as_str(), "crate" | "super" | "self" | "sealift")
            && is(at + 1, "::")
            && !before("::")
            && !before("in");
        // A bare path in a `use` may name a child module: `pub use source::Source;`
        let bare = is_use && is(at + 1, "::") && tokens[at].starts_with(char::is_alphabetic);
        if !anchored && !bare {
            at += 1;
            continue;
        }
        let public = is_use && at >= 2 && (is(at - 2, "pub") || is(at - 2, ")"));
        let mut path = Vec::new();
        if !anchored {
            path.push("self".to_owned());
        }
        at = tree(tokens, at, &path, if public { &mut exported } else { &mut used });
    }
    (used, exported)
}

/// Follows one path or group from `at`; gives where it ends.
fn tree(tokens: &[String], mut at: usize, path: &[String], out: &mut Paths) -> usize {
    let mut path = path.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    let next = tree(tokens, at, &path, out);
                    at = if tokens.get(next).is_some_and(|token| token == ",") {
                        next + 1
                    } else {
                        next
                    };
                    if at == next && tokens.get(at).is_some_and(|token| token != "}") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "*" => at += 1,
            word if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                // `use a::{self}` is `a`.
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                at += 1;
            }
            _ => break,
        }
        if tokens.get(at).is_some_and(|token| token == "::") {
            at += 1;
        } else {
            break;
        }
    }
    if tokens.get(at).is_some_and(|token| token == "as") {
        at += 2;
    }
    out.push(path);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(text: &str) -> Vec<String> {
        Source::read(text).imports.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn groups_are_followed_to_their_leaves() {
        let text = "use crate::{a::{self, B as C, d::*}, e};\nuse super::f;";
        assert_eq!(
            imports(text),
            ["crate::a", "crate::a::B", "crate::a::d", "crate::e", "super::f"]
        );
    }

    #[test]
    fn paths_in_code_count_too() {
        let text = "fn a(b: crate::c::D) -> super::E { self::f::g(); self.h(); pub(crate) i }";
        assert_eq!(imports(text), ["crate::c::D", "super::E", "self::f::g"]);
    }

    #[test]
    fn comments_strings_and_tests_do_not() {
        let text = r##"
            //! crate::a
            /* crate::b /* crate::c */ crate::d */
            const A: &str = "crate::e \" crate::f";
            const B: &str = r#"crate::g " crate::h"#;
            const C: char = '"';
            fn f<'a>(x: &'a str) { crate::i::j(x); }
            const D: char = '\'';
            #[cfg(test)]
            mod tests { use crate::k; fn f() { let a = [1; 2]; } }
            #[cfg(test)]
            use crate::l;
            fn g() { crate::m::n() }
        "##;
        assert_eq!(imports(text), ["crate::i::j", "crate::m::n"]);
    }

    #[test]
    fn what_is_handed_on_is_kept_apart() {
        let source =
            Source::read("mod a;\npub use a::{B, C};\npub(crate) use self::a::D;\nuse a::E;");
        let joined: Vec<String> = source.exports.iter().map(|path| path.join("::")).collect();
        assert_eq!(joined, ["self::a::B", "self::a::C", "self::a::D"]);
        assert_eq!(source.imports, [["self", "a", "E"]]);
    }

    #[test]
    fn lines_of_code_are_counted_without_tests_and_comments() {
        let source = Source::read(
            "//! Doc.\n\nfn a() {\n    // why\n}\n#[cfg(test)]\nmod t {\n fn b() {}\n}\n",
        );
        assert_eq!((source.lines, source.has_module_doc), (2, true));
    }
}
