//! Words as a shell takes them: a command that is advised is one that can be pasted.

use std::borrow::Cow;
use std::path::Path;

/// A word that a shell takes as it is.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

/// The name of a file as it can be typed: none is taken for an option.
pub fn file(path: &Path) -> String {
    let name = path.to_string_lossy();
    if name.starts_with('-') {
        quoted(&format!("./{name}")).into_owned()
    } else {
        quoted(&name).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_file_is_taken_for_an_option() {
        assert_eq!(file(Path::new("-o x")), "'./-o x'");
        assert_eq!(file(Path::new("/m/a.sealift")), "/m/a.sealift");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_shell_gives_every_word_back(word in "[^\\x00]{0,12}|['\"$`\\\\ !*~;&|<>#]{0,8}") {
            let script = format!("printf %s {}", quoted(&word));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(output.stdout, word.into_bytes());
        }
    }
}
