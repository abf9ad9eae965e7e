//! In turns with docker and skopeo: what one of us wrote, the others read and take away.

use super::*;
use crate::support::dockerd::Dockerd;

impl Person<'_> {
    /// Docker's own command line. Without a daemon it asks the registry itself.
    fn docker(&self, daemon: Option<&Dockerd>, arguments: &[&str]) -> Command {
        let address = daemon.map_or_else(
            || "unix:///nonexistent".to_owned(),
            |daemon| match daemon.endpoint() {
                sealift::transport::daemon::Endpoint::Unix(path) => {
                    format!("unix://{}", path.display())
                }
                other @ sealift::transport::daemon::Endpoint::Tcp(_) => panic!("{other:?}"),
            },
        );
        let mut command = self.station.command("docker");
        command.args(arguments).env("DOCKER_HOST", address);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.station.path("bin").display()));
        command
    }

    fn docker_login(&self) {
        let arguments = ["login", "-u", USER, "--password-stdin", &self.registry.host()];
        let mut command = self.docker(None, &arguments);
        let input = self.write("input", PASSWORD);
        Run::of(command.stdin(File::open(input).unwrap())).succeeds();
    }

    /// Whom skopeo knows at the registry.
    fn skopeo_knows(&self, file: &Path) -> Run {
        let mut command = self.station.command("skopeo");
        command.args(["login", "--get-login", "--authfile"]).arg(file);
        Run::of(command.arg(self.registry.host()))
    }

    /// Skopeo reads the image with what a file says.
    fn skopeo_reads(&self, file: &Path) {
        let mut command = self.station.command("skopeo");
        command.args(["--insecure-policy", "inspect", "--raw", "--tls-verify=false", "--authfile"]);
        Run::of(command.arg(file).arg(format!("docker://{}/app:1", self.registry.host())))
            .succeeds();
    }
}

#[test]
fn docker_and_skopeo_use_what_sealift_wrote() {
    let (registry, daemon) = (private(), Dockerd::start());
    let person = Person::at(&registry);
    let said = person.login(PASSWORD).succeeds();
    assert!(said.contains(USER) && said.contains(".docker/config.json"), "{said}");

    // Without a password given, docker takes the one that is stored.
    let said = Run::of(&mut person.docker(Some(&daemon), &["login", &registry.host()])).succeeds();
    assert!(said.contains("existing credentials") && said.contains("Login Succeeded"), "{said}");
    assert_eq!(person.skopeo_knows(&person.docker_config()).succeeds().trim(), USER);
    person.skopeo_reads(&person.docker_config());

    Run::of(&mut person.docker(None, &["logout", &registry.host()])).succeeds();
    Run::of(&mut person.look()).refused(8);
    assert!(person.logout().starts_with("nobody was signed in"));
}

#[test]
fn sealift_uses_what_docker_and_skopeo_wrote() {
    let registry = private();
    let person = Person::at(&registry);
    person.docker_login();
    Run::of(&mut person.look()).succeeds();
    assert!(person.logout().starts_with("signed out"));
    Run::of(&mut person.look()).refused(8);
    Run::of(&mut person.docker(None, &["login", &registry.host()])).refused(1);

    let file = person.station.path("auth.json");
    let mut command = person.station.command("skopeo");
    command.args(["login", "--tls-verify=false", "-u", USER, "--password-stdin", "--authfile"]);
    let input = person.write("input", PASSWORD);
    command.arg(&file).arg(registry.host()).stdin(File::open(input).unwrap());
    Run::of(&mut command).succeeds();
    Run::of(person.look().arg("--authfile").arg(&file)).succeeds();
    let logout = ["logout", &registry.host(), "--authfile", "auth.json"];
    assert!(Run::of(&mut person.sealift(&logout)).succeeds().starts_with("signed out"));
    assert_ne!(person.skopeo_knows(&file).code, Some(0));

    // And the other way round in a file of podman's.
    let arguments =
        ["login", &registry.host(), "--authfile", "auth.json", "-u", USER, "--password-stdin"];
    Run::of(&mut person.told(&arguments, PASSWORD)).succeeds();
    person.skopeo_reads(&file);
    let mut command = person.station.command("skopeo");
    command.args(["logout", "--authfile"]).arg(&file).arg(registry.host());
    Run::of(&mut command).succeeds();
    Run::of(person.look().arg("--authfile").arg(&file)).refused(8);
}

#[test]
fn a_helper_keeps_it_for_all_of_us() {
    let (registry, daemon) = (private(), Dockerd::start());
    let person = Person::at(&registry);
    person.helper("keep");
    let text = "{\n    \"proxies\": {\"default\": {\"noProxy\": \"*\"}},\n    \"credsStore\": \"keep\"\n}\n";
    person.write(".docker/config.json", text);

    let run = person.login(PASSWORD);
    assert!(!run.stderr.contains("unencrypted"), "{}", run.stderr);
    assert!(run.succeeds().contains("docker-credential-keep"));
    let marked = person.text();
    assert!(marked.contains(&format!("\"{}\": {{}}", registry.host())), "{marked}");
    assert!(marked.contains("\"proxies\": {\"default\": {\"noProxy\": \"*\"}},\n"), "{marked}");
    Run::of(&mut person.look()).succeeds();
    let said = Run::of(&mut person.docker(Some(&daemon), &["login", &registry.host()])).succeeds();
    assert!(said.contains("Login Succeeded"), "{said}");
    Run::of(&mut person.docker(None, &["logout", &registry.host()])).succeeds();
    Run::of(&mut person.look()).refused(8);

    person.docker_login();
    Run::of(&mut person.look()).succeeds();
    assert!(person.logout().contains("docker-credential-keep"));
    Run::of(&mut person.look()).refused(8);
    assert!(person.logout().starts_with("nobody was signed in"));
    assert!(!person.text().contains(&registry.host()), "{}", person.text());
}
