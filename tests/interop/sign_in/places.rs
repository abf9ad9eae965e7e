//! A password over TLS with an authority of one's own, from every place that may hold it.

use super::*;

/// One place: files to write, variables to set, arguments to add; `$` is the home.
struct Place {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    variables: &'static [(&'static str, &'static str)],
    arguments: &'static [&'static str],
}

fn place(name: &'static str, files: Vec<(&'static str, String)>) -> Place {
    Place { name, files, variables: &[], arguments: &[] }
}

#[test]
fn a_sign_in_is_found_wherever_the_tools_keep_it() {
    let registry = private();
    let host = registry.host();
    let entry = |key: &str| format!(r#""{key}":{{"auth":"{}"}}"#, encoded(USER, PASSWORD));
    let auths = |key: &str| format!(r#"{{"auths":{{{}}}}}"#, entry(key));
    let wrong = format!(r#"{{"auths":{{"{host}":{{"auth":"{}"}}}}}}"#, encoded("nobody", "no"));
    let stored = format!(
        r#"{{"ServerURL":"{host}","Username":"{USER}","Secret":"{}"}}"#,
        PASSWORD.replace('"', "\\\"")
    );
    let kept = || {
        use sha2::Digest as _;
        let name = hex::encode(sha2::Sha256::digest(host.as_bytes()));
        (format!("kept/{}", &name[..16]), stored.clone())
    };
    let good = || auths(&host);
    let places = [
        place("docker", vec![(".docker/config.json", good())]),
        place(
            "docker, long ago",
            vec![(".docker/config.json", auths(&format!("https://{host}/v1/")))],
        ),
        place("docker, very long ago", vec![(".dockercfg", format!("{{{}}}", entry(&host)))]),
        place(
            "podman on a machine without a runtime folder",
            vec![(".config/containers/auth.json", good())],
        ),
        place(
            "a repository's own",
            vec![(
                ".docker/config.json",
                format!(
                    r#"{{"auths":{{"{host}":{{"auth":"{}"}},{}}}}}"#,
                    encoded("nobody", "no"),
                    entry(&format!("{host}/app"))
                ),
            )],
        ),
        Place {
            variables: &[("DOCKER_CONFIG", "$/elsewhere")],
            ..place(
                "docker elsewhere",
                vec![("elsewhere/config.json", good()), (".docker/config.json", wrong.clone())],
            )
        },
        Place {
            variables: &[("XDG_RUNTIME_DIR", "$/run")],
            ..place(
                "podman before docker",
                vec![("run/containers/auth.json", good()), (".docker/config.json", wrong.clone())],
            )
        },
        Place {
            variables: &[("XDG_CONFIG_HOME", "$/settings")],
            ..place("podman's other file", vec![("settings/containers/auth.json", good())])
        },
        Place {
            variables: &[("REGISTRY_AUTH_FILE", "$/mine.json"), ("XDG_RUNTIME_DIR", "$/run")],
            ..place(
                "a file that the environment names",
                vec![("mine.json", good()), ("run/containers/auth.json", wrong.clone())],
            )
        },
        Place {
            variables: &[("REGISTRY_AUTH_FILE", "$/wrong.json")],
            arguments: &["--authfile", "mine.json"],
            ..place(
                "a file that is named",
                vec![("mine.json", good()), ("wrong.json", wrong.clone())],
            )
        },
        Place {
            arguments: &["--username", USER, "--password-file", "password"],
            ..place(
                "this command, a file",
                vec![("password", format!("{PASSWORD}\n")), (".docker/config.json", wrong.clone())],
            )
        },
        Place {
            arguments: &["-u", USER, "--password-stdin"],
            ..place("this command, standard input", vec![("input", PASSWORD.to_owned())])
        },
        place(
            "a helper for this registry",
            vec![(
                ".docker/config.json",
                format!(r#"{{"credHelpers":{{"{host}":"keep"}},"auths":{{"{host}":{{}}}}}}"#),
            )],
        ),
        place(
            "a helper for all",
            vec![(".docker/config.json", wrong.replacen('{', r#"{"credsStore":"keep","#, 1))],
        ),
    ];
    for Place { name, files, variables, arguments } in places {
        let person = Person::at(&registry);
        Run::of(&mut person.look()).refused(8);
        if name.starts_with("a helper") {
            person.helper("keep");
            let (file, text) = kept();
            person.write(&file, &text);
        }
        for (file, text) in files {
            person.write(file, &text);
        }
        let home = person.station.home().to_str().unwrap();
        let mut look = person.look();
        look.args(arguments);
        look.envs(variables.iter().map(|(name, value)| (name, value.replace('$', home))));
        if person.station.path("input").exists() {
            look.stdin(File::open(person.station.path("input")).unwrap());
        }
        let seen = Run::of(&mut look);
        assert_eq!(seen.code, Some(0), "{name}: {}", seen.stderr);
        let said = format!("{}{}", seen.stdout, seen.stderr);
        assert!(!secrets().iter().any(|secret| said.contains(secret)), "{name}: {said}");
    }
}

#[test]
fn the_text_of_a_file_in_the_environment() {
    let registry = private();
    let person = Person::at(&registry);
    let auth = encoded(USER, PASSWORD);
    let text = format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.host());
    Run::of(person.look().env("DOCKER_AUTH_CONFIG", text)).succeeds();
    let told = Run::of(person.look().env("DOCKER_AUTH_CONFIG", "{\"canary:7")).refused(2);
    assert!(told.contains("DOCKER_AUTH_CONFIG") && !told.contains("canary"), "{told}");
}

#[test]
fn an_import_signs_in_too() {
    let registry = private();
    let station = Station::new();
    fs::write(station.path("password"), PASSWORD).unwrap();
    let name = format!("{}/app:1", registry.host());
    let authority = registry.ca_files().remove(0);
    let as_robot = [
        "--username",
        USER,
        "--password-file",
        "password",
        "--ca-file",
        authority.to_str().unwrap(),
    ];
    station.export("b.sealift", [&[&*name], &as_robot[..]].concat());
    let to = format!("{}/copy", registry.host());
    station.import("b.sealift", &to, as_robot);
    let told = station
        .sealift([&["import", "b.sealift", "--to", &to], &as_robot[4..]].concat())
        .refused(8);
    assert!(told.contains("nobody is signed in"), "{told}");
    let told = station
        .sealift([&["import", "b.sealift", "--to", "oci:d"], &as_robot[..]].concat())
        .refused(2);
    assert!(told.contains("no registry is talked to"), "{told}");
    fs::remove_file(station.path("password")).unwrap();
    assert_eq!(betrayed(station.home()), Vec::<PathBuf>::new());
}
