//! Sign-ins that do not work, as people meet them: what is said, and that nothing is kept.

use super::*;

/// What was said, with the registry and the home by name.
fn told(person: &Person<'_>, run: Run, code: i32) -> String {
    let home = person.station.home().to_str().unwrap();
    run.refused(code).replace(&person.registry.host(), "HOST").replace(home, "HOME")
}

macro_rules! snapshot {
    ($($arguments:tt)*) => {
        insta::with_settings!({filters => vec![
            ("/run/containers/[0-9]+/auth.json", "/run/containers/UID/auth.json"),
        ]}, { insta::assert_snapshot!($($arguments)*) })
    };
}

#[test]
fn nobody_is_signed_in() {
    let registry = private();
    let person = Person::at(&registry);
    snapshot!(told(&person, Run::of(&mut person.look()), 8), @r#"
    error: cannot read manifest 1 of HOST/app: registry HOST answered 401 Unauthorized: UNAUTHORIZED: authentication required ([{"Action":"pull","Class":"","Name":"app","Type":"repository"}]); nobody is signed in (there is none of /run/containers/UID/auth.json, HOME/.config/containers/auth.json, HOME/.docker/config.json, HOME/.dockercfg)
      hint: sign in with `sealift login HOST`, as somebody who may do this
    "#);
    person.write(".docker/config.json", "{}");
    snapshot!(told(&person, Run::of(&mut person.look()), 8), @r#"
    error: cannot read manifest 1 of HOST/app: registry HOST answered 401 Unauthorized: UNAUTHORIZED: authentication required ([{"Action":"pull","Class":"","Name":"app","Type":"repository"}]); nobody is signed in (looked into HOME/.docker/config.json)
      hint: sign in with `sealift login HOST`, as somebody who may do this
    "#);
    let run = Run::of(person.look().args(["--authfile", "none.json"]));
    snapshot!(told(&person, run, 2), @r#"
    error: no sign-ins at none.json
      hint: sealift login REGISTRY --authfile FILE makes such a file
    "#);
}

#[test]
fn a_password_that_is_wrong_is_not_kept() {
    let registry = private();
    let person = Person::at(&registry);
    snapshot!(told(&person, person.login("wrong"), 8), @r#"
    error: cannot sign in to registry HOST: registry HOST answered 401 Unauthorized: UNAUTHORIZED: authentication required; asked as "robot$team+ci"
      hint: see at HOST whether the robot account is still there and has not expired, and check its secret
    "#);
    let arguments = ["login", &registry.host(), "-u", "somebody", "--password-stdin"];
    let run = Run::of(&mut person.told(&arguments, PASSWORD));
    snapshot!(told(&person, run, 8), @r#"
    error: cannot sign in to registry HOST: registry HOST answered 401 Unauthorized: UNAUTHORIZED: authentication required; asked as "somebody"
      hint: check the name and the password, and that this account may do this; an account with a second factor needs a token in place of its password
    "#);
    // A shell took the `$team` out of "robot$team+ci".
    let arguments = ["login", &registry.host(), "-u", "robot+ci", "--password-stdin"];
    let run = Run::of(&mut person.told(&arguments, PASSWORD));
    snapshot!(told(&person, run, 8), @r#"
    error: cannot sign in to registry HOST: registry HOST answered 401 Unauthorized: UNAUTHORIZED: authentication required; asked as "robot+ci"
      hint: a shell takes the $ and what follows out of a robot's name: write it in single quotes, as in `sealift login HOST --username 'robot$name'`
    "#);
    assert!(!person.docker_config().exists());

    // A sign-in that has expired since: the old one stays, for the new one was never taken.
    let text = format!(r#"{{"auths":{{"{}":{{"auth":"cm9ib3QkeDpvbGQ="}}}}}}"#, registry.host());
    person.write(".docker/config.json", &text);
    snapshot!(told(&person, Run::of(&mut person.look()), 8), @r#"
    error: cannot read manifest 1 of HOST/app: registry HOST answered 401 Unauthorized: UNAUTHORIZED: authentication required ([{"Action":"pull","Class":"","Name":"app","Type":"repository"}]); asked as "robot$x", from HOME/.docker/config.json
      hint: see at HOST whether the robot account is still there, has not expired and may do this; sign in with its secret: `sealift login HOST --username 'robot$x'`
    "#);
    person.login("wrong").refused(8);
    assert_eq!(person.text(), text);
}

#[test]
fn a_helper_that_is_not_there() {
    let registry = private();
    let person = Person::at(&registry);
    person.write(".docker/config.json", r#"{"credsStore":"desktop"}"#);
    snapshot!(told(&person, Run::of(&mut person.look()), 2), @r#"
    error: HOME/.docker/config.json names a credential helper
      caused by: credential helper docker-credential-desktop is not installed
      hint: install it; or take it out of that file (credsStore, credHelpers) and sign in again
    "#);
    snapshot!(told(&person, person.login(PASSWORD), 2), @r#"
    error: HOME/.docker/config.json names a credential helper
      caused by: credential helper docker-credential-desktop is not installed
      hint: install it; or take it out of that file (credsStore, credHelpers) and sign in again
    "#);
    assert_eq!(person.text(), r#"{"credsStore":"desktop"}"#);
}

#[test]
fn what_is_missing_on_the_command_line() {
    let registry = private();
    let person = Person::at(&registry);
    let host = registry.host();
    // Nobody can be asked: the tests' standard input is no terminal, and a session has none.
    let mut login = Command::new("setsid");
    login.arg("--wait").arg(crate::support::command::BINARY).args(["login", &host]);
    login.env("HOME", person.station.home()).stdin(std::process::Stdio::null());
    snapshot!(told(&person, Run::of(&mut login), 2), @r#"
    error: a user name is needed, and there is no terminal to ask at
      hint: give both: --username NAME, and the password with --password-stdin or --password-file FILE
    "#);
    snapshot!(told(&person, Run::of(login.args(["-u", USER])), 2), @r#"
    error: a password is needed, and there is no terminal to ask at
      caused by: No such device or address (os error 6)
      hint: give both: --username NAME, and the password with --password-stdin or --password-file FILE
    "#);
    let names = ["export", "-n", "a.example/a", "b.example/b", "-u", USER];
    snapshot!(told(&person, Run::of(&mut person.sealift(&names)), 2), @r#"
    error: --username is given, and it is not clear for which registry: a.example, b.example
      hint: sign in to each once, with sealift login REGISTRY, and leave out --username
    "#);
    snapshot!(told(&person, person.login(""), 2), @r#"
    error: cannot read the password on standard input
      caused by: it must be one line that is not empty
      hint: write the secret, and nothing else, on the first line
    "#);
    let place = ["login", &format!("{host}/team"), "-u", USER];
    snapshot!(told(&person, Run::of(&mut person.sealift(&place)), 2), @r#"
    error: not a registry: "HOST/team"
      hint: write HOST or HOST:PORT, as in harbor.example or harbor.example:8443
    "#);
}

#[test]
fn another_file_comes_first() {
    let registry = private();
    let person = Person::at(&registry);
    let auth = encoded("nobody", "no");
    let text = format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.host());
    person.write(".config/containers/auth.json", &text);
    let run = person.login(PASSWORD);
    assert!(run.stderr.contains("comes first and is used instead"), "{}", run.stderr);
    run.succeeds();
    let run = Run::of(&mut person.sealift(&["logout", &registry.host()]));
    assert!(run.stderr.contains("still has a sign-in"), "{}", run.stderr);
    assert!(run.succeeds().starts_with("signed out"));
}
