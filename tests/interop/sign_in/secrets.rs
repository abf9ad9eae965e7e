//! Secrets are printed nowhere, are in no argument, and stay in the one file that is for them.

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use super::*;

#[test]
fn a_password_is_nowhere_but_where_it_is_kept() {
    let registry = private();
    let person = Person::at(&registry);
    let host = registry.host();
    person.helper("keep");
    let image = format!("{host}/app:1");
    let to = format!("{host}/copy");
    Run::of(person.station.command(crate::support::command::BINARY).args(["key", "generate"]))
        .succeeds();
    let trust = person.station.path(".config/sealift/trust");
    fs::create_dir(&trust).unwrap();
    fs::copy(person.station.public_key(), trust.join("own.pub")).unwrap();

    for helper in ["{}", r#"{"credsStore":"keep"}"#] {
        person.write(".docker/config.json", helper);
        let mut said = String::new();
        let mut heard = |run: Run, code: i32| {
            assert_eq!(run.code, Some(code), "{}", run.stderr);
            said.push_str(&run.stdout);
            said.push_str(&run.stderr);
        };
        heard(person.login("wrong"), 8);
        heard(person.login(PASSWORD), 0);
        let export = ["export", "--force", &image, "-o", "b.sealift"];
        heard(Run::of(&mut person.sealift(&export)), 0);
        heard(Run::of(&mut person.sealift(&["import", "b.sealift", "--to", &to])), 0);
        heard(Run::of(&mut person.sealift(&["export", "-n", &format!("{host}/none:1")])), 8);
        assert!(!secrets().iter().any(|secret| said.contains(secret)), "{said}");

        // While somebody is signed in it is in one place, and afterwards in none.
        fs::remove_file(person.station.path("input")).unwrap();
        let places = betrayed(person.station.home());
        assert_eq!(places.len(), 1, "{places:?}");
        person.logout();
        assert_eq!(betrayed(person.station.home()), Vec::<PathBuf>::new());
    }
    let callers = fs::read_to_string(person.station.path("kept/callers")).unwrap();
    assert!(callers.contains(&format!("login {host}")), "{callers}");
}

#[test]
fn no_argument_holds_a_password() {
    // A registry that takes the question and keeps us waiting, so that others can look at us.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let station = Station::without_keys();
    let password = station.path("password");
    fs::write(&password, PASSWORD).unwrap();
    let ways: [&[&str]; 2] = [&["--password-stdin"], &["--password-file", "password"]];
    for way in ways {
        for command in [&["login", &*host][..], &["export", "-n", &format!("{host}/app")]] {
            let mut child = station
                .program()
                .args(command)
                .args(["--plain-http", "-u", USER])
                .args(way)
                .stdin(File::open(&password).unwrap())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let (mut asked, _) = listener.accept().unwrap();
            let arguments = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
            let arguments = String::from_utf8(arguments).unwrap();
            assert!(arguments.contains(USER), "{arguments}");
            assert!(!secrets().iter().any(|secret| arguments.contains(secret)), "{arguments}");
            let _ = asked.read(&mut [0; 4096]).unwrap();
            asked
                .write_all(b"HTTP/1.1 418 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
            drop(asked);
            child.kill().unwrap();
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            child.wait().unwrap();
            assert!(!said.contains(PASSWORD), "{said}");
        }
    }
}

#[test]
fn a_person_is_asked_for_both() {
    let registry = private();
    let person = Person::at(&registry);
    let mut command = person.station.command("script");
    let login = format!(
        "{} login {} --ca-file {}",
        crate::support::command::BINARY,
        registry.host(),
        registry.ca_files()[0].display()
    );
    // Runs it at a terminal of its own.
    command.args(["--quiet", "--return", "--flush", "--command", &login, "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = BufReader::new(child.stdout.take().unwrap());
    for (question, answer) in [("User name at ", USER), ("Password of ", PASSWORD)] {
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains(question) || !shown.ends_with(b": ") {
            let mut byte = [0];
            screen.read_exact(&mut byte).unwrap();
            shown.push(byte[0]);
        }
        writeln!(keyboard, "{answer}").unwrap();
    }
    let mut rest = String::new();
    screen.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("signed in to"), "{rest}");
    Run::of(&mut person.look()).succeeds();
}
