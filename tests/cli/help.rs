//! The help texts, word for word.

use assert_cmd::Command;

/// What the command prints with `--help`.
fn help(command: &[&str]) -> String {
    let output = Command::cargo_bin("sealift")
        .expect("the binary is built")
        .args(command)
        .arg("--help")
        .env("COLUMNS", "100")
        .env_remove("CLICOLOR_FORCE")
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

macro_rules! help_of {
    ($($name:ident: $command:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(help(&$command));
        }
    )*};
}

help_of! {
    sealift: [];
    export: ["export"];
    verify: ["verify"];
    import: ["import"];
    map: ["map"];
    inspect: ["inspect"];
    diff: ["diff"];
    parity: ["parity"];
    repair: ["repair"];
    log: ["log"];
    login: ["login"];
    logout: ["logout"];
    key: ["key"];
    key_generate: ["key", "generate"];
    key_show: ["key", "show"];
    key_list: ["key", "list"];
    key_endorse: ["key", "endorse"];
    key_accept: ["key", "accept"];
    sign: ["sign"];
}

#[test]
fn save_and_load_are_export_and_import() {
    assert_eq!(help(&["save"]), help(&["export"]));
    assert_eq!(help(&["load"]), help(&["import"]));
}

#[test]
fn no_line_is_wider_than_a_page() {
    for command in [
        "export", "verify", "import", "map", "inspect", "diff", "parity", "repair", "sign", "log",
        "login", "logout", "key",
    ] {
        for line in help(&[command]).lines() {
            assert!(line.chars().count() <= 100, "{command}: {line}");
        }
    }
}
