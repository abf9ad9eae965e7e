//! Ctrl-C in the middle of an export.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn sealift(home: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("sealift"));
    command.current_dir(home).env_clear().envs(crate::support::coverage::passed_on());
    command.env("HOME", home).env("TMPDIR", home);
    command
}

#[test]
fn an_interrupted_export_leaves_nothing_and_ends_with_130() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path();
    let status = sealift(home)
        .args(["key", "generate", "-o", "k.pem"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the binary runs");
    assert!(status.success());

    // A registry that takes the question and never answers.
    let registry = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let image = format!("{}/app:1", registry.local_addr().expect("it is bound"));
    let mut child = sealift(home)
        .args(["export", "--plain-http", &image, "-o", "b.sealift", "-k", "k.pem"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let (mut question, _) = registry.accept().expect("it asks");
    question.read_exact(&mut [0; 4]).expect("it asks something");

    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(killed.success());
    let patience = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        if Instant::now() > patience {
            child.kill().expect("it can be killed");
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut told = String::new();
    child.stderr.take().expect("it was piped").read_to_string(&mut told).expect("text");
    assert_eq!(status.code(), Some(130), "{told}");
    assert!(told.ends_with("sealift: interrupted\n"), "{told}");
    let mut left: Vec<_> = std::fs::read_dir(home)
        .expect("the folder is there")
        .map(|entry| entry.expect("its entries can be read").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["k.pem", "k.pub"]);
}
