//! One harm at a time, done at each phase of an export and of an import with real registries at
//! both ends: whatever happens, nothing wrong is stored, nothing is tagged that is not whole, no
//! credential goes astray, and the next run completes.

#[path = "lines/export.rs"]
mod export;
#[path = "lines/import.rs"]
mod import;

use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealift::bundle::{Authentic, Bundle, Preset, WriterOptions};
use sealift::endpoint::{Event, Origin, Progress, Relay};
use sealift::operation::export as exporting;
use sealift::operation::gather::Wanted;
use sealift::trust::{SecretKey, Trust};

use super::tokens::{Issuer, Rights};
use super::*;
use crate::support::faultline::{Faultline, Harm, Phase, Rule};
use crate::support::mock::Seen;

/// More often than anything is tried.
const ALWAYS: usize = usize::MAX;

/// What has content of this length is a large layer, and nothing else.
const LARGE: Range<usize> = 1 << 20..usize::MAX;

/// Whatever its content.
const ANY: Range<usize> = 0..usize::MAX;

/// What a case must come to.
#[derive(Clone, Copy)]
enum Want {
    /// It gets through at once.
    Works,
    /// It is refused with exit code 8 and these words.
    Refused(&'static str),
}
use Want::{Refused, Works};

/// One line of the table.
struct Case {
    name: String,
    rules: Vec<Rule>,
    want: Want,
    patience: Patience,
}

fn case(name: impl Into<String>, rules: Vec<Rule>, want: Want) -> Case {
    Case { name: name.into(), rules, want, patience: quick() }
}

/// The same for harm that shows only after a time-out.
fn slow(name: impl Into<String>, rules: Vec<Rule>, want: Want) -> Case {
    let patience = Patience {
        silence: Duration::from_millis(1500),
        small_answer: Duration::from_secs(2),
        commit: Duration::from_secs(2),
        slowest: 1 << 20,
        ..quick()
    };
    Case { patience, ..case(name, rules, want) }
}

fn quick() -> Patience {
    Patience {
        attempts: 4,
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(20),
        longest_retry_after: Duration::from_millis(40),
        last_words: Duration::from_millis(150),
        ..Patience::default()
    }
}

fn rule(phase: Phase, content: Range<usize>, harm: Harm, times: usize) -> Rule {
    Rule { phase, content, harm, after: 0, times }
}

/// The first of its kind is harmed.
fn once(phase: Phase, harm: Harm) -> Vec<Rule> {
    vec![rule(phase, ANY, harm, 1)]
}

/// All of its kind are.
fn always(phase: Phase, harm: Harm) -> Vec<Rule> {
    vec![rule(phase, ANY, harm, ALWAYS)]
}

fn answers(status: u16) -> Harm {
    Harm::Answer(status, String::new(), String::new())
}

fn busy(status: u16) -> Harm {
    Harm::Answer(status, "Retry-After: 7".to_owned(), String::new())
}

/// Two images that share a layer, at a registry that wants tokens; another such registry; and
/// somebody who would like to know what passes between them.
struct World {
    from: Registry,
    to: Registry,
    issuer: Issuer,
    thief: Server,
    folder: tempfile::TempDir,
}

/// What is exported.
const IMAGES: [&str; 2] = ["team/app:1", "two:1"];

impl World {
    fn new() -> Self {
        let both: &[&str] = &["pull", "push"];
        let issuer = Issuer::start(Rights::from([("*", both)]));
        let setup = || Setup { tokens: Some(issuer.service()), ..Setup::default() };
        let mut from = Registry::start();
        let pushed = push(&from, "team/app");
        pushed.layout.push("image", &format!("{}/two:1", from.host()), &[]);
        from.restart_with(setup());
        let to = Registry::start_with(setup());
        let thief = Server::start_at(Ipv4Addr::new(127, 0, 0, 2), |_| {
            reply(200).body("not what was asked")
        });
        let (key, folder) = (SecretKey::generate().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("key.pem");
        std::fs::write(&path, &*key.to_pem(None).unwrap()).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self { from, to, issuer, thief, folder }
    }

    fn key(&self) -> SecretKey {
        SecretKey::load(&self.folder.path().join("key.pem"), &mut || unreachable!()).unwrap()
    }

    /// An address that nothing should be sent to that is worth stealing.
    fn elsewhere(&self) -> String {
        format!("http://{}/stolen", self.thief.host())
    }

    fn line(&self, registry: &Registry, rules: Vec<Rule>) -> Faultline {
        Faultline::before(&registry.host(), Some(&self.issuer.server.host()), rules)
    }

    /// Somebody who is known at `line`, and nowhere else.
    fn client(&self, line: &Faultline, patience: &Patience, listener: &Relay) -> Client {
        let given = BTreeMap::from([
            (line.host(), Credentials::password("user", "canary")),
            (self.thief.host(), Credentials::password("user", "canary")),
        ]);
        client(Options {
            plain_http: true,
            credentials: CredentialStore::with(given, CredentialPaths::default()),
            patience: patience.clone(),
            listener: listener.clone(),
            ..Options::default()
        })
    }

    /// Exports over `line` and says what was told meanwhile.
    fn export(
        &self,
        line: &Faultline,
        patience: &Patience,
        name: &str,
    ) -> (Result<PathBuf, Error>, Vec<String>) {
        let heard: Arc<Heard> = Arc::default();
        let relay = heard.relay();
        let client = self.client(line, patience, &relay);
        let origins = IMAGES.map(|image| {
            Origin::Source(Box::new(source(&client, &format!("{}/{image}", line.host()))))
        });
        let temporary = self.folder.path().join(format!("{name}.tmp"));
        std::fs::create_dir_all(&temporary).unwrap();
        let output = self.folder.path().join(name);
        let request = exporting::Request {
            origins: Vec::from(origins),
            wanted: Wanted { platforms: Vec::new(), attachments: true },
            output: output.clone(),
            signers: vec![self.key()],
            writer: WriterOptions {
                created: 1_700_000_000,
                set: "0".repeat(32),
                threads: 2,
                preset: Preset::Fast,
                temporary: temporary.clone(),
                volume_size: None,
                imprint: false,
            },
            recipients: None,
            base: None,
            dating: sealift::operation::freshness::Dating::default(),
            resume: false,
            parity: None,
            temporary: &temporary,
        };
        let result = exporting::export(request, &*heard).map(|_| output);
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "temporary files are left");
        (result, heard.warnings())
    }

    fn open(&self, path: &Path) -> Bundle<Authentic> {
        let trust = Trust::in_key(self.key().public(), "the signing key");
        Bundle::open(path).unwrap().authenticate(&trust).unwrap()
    }

    /// Nobody else heard a secret.
    fn nothing_was_stolen(&self) {
        let seen = self.thief.seen();
        assert!(!seen.iter().any(Seen::has_credentials), "{seen:?}");
        assert!(seen.iter().all(|seen| seen.body.is_empty()), "content was sent there: {seen:?}");
    }
}

/// Keeps warnings.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn relay(self: &Arc<Self>) -> Relay {
        let relay = Relay::default();
        let listener: Arc<dyn Progress> = Arc::clone(self) as _;
        relay.to(&listener);
        relay
    }

    fn warnings(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Heard {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

/// Runs all cases, several at a time, and prints what each came to. `run` does one and returns
/// what is to be printed; what is wrong with it is the error.
#[expect(clippy::print_stdout, reason = "the table, for who asks for it with --nocapture")]
fn run_all(cases: &[Case], run: impl Fn(usize, &Case) -> Result<String, String> + Sync) {
    let (next, lines) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((at, case)) = {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    cases.get(at).map(|case| (at, case))
                } {
                    let result =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(at, case)));
                    let result = result.unwrap_or_else(|_| Err("panicked".to_owned()));
                    lines.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut lines = lines.into_inner().unwrap();
    lines.sort_by_key(|(at, _)| *at);
    let mut wrong = Vec::new();
    for (at, result) in &lines {
        let name = &cases[*at].name;
        match result {
            Ok(text) => println!("{name:<50} {text}"),
            Err(text) => {
                println!("{name:<50} WRONG: {text}");
                wrong.push(name);
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases: {wrong:#?}", wrong.len(), cases.len());
}

/// Compares what came with what was wanted; what is to be printed.
fn judge<T>(want: Want, result: &Result<T, Error>, warnings: &[String]) -> Result<String, String> {
    let told = warnings.first().map_or(String::new(), |first| format!(" (told: {first})"));
    match (want, result) {
        (Works, Ok(_)) => Ok(format!("ok{told}")),
        (Refused(words), Err(error)) => {
            let text = error.chain();
            if error.kind().exit_code() != 8 {
                return Err(format!("exit code {}: {text}", error.kind().exit_code()));
            }
            if !text.contains(words) {
                return Err(format!("{text:?} does not say {words:?}"));
            }
            let hint = error.get_hint().map_or(String::new(), |hint| format!(" [{hint}]"));
            Ok(format!("8: {text}{hint}"))
        }
        (Works, Err(error)) => Err(format!("{error:?}, told {warnings:?}")),
        (Refused(_), Ok(_)) => Err("it works".to_owned()),
    }
}
