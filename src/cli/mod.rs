//! Floor 4: the command line.
//!
//! What was typed ([`args`]) and what the surroundings say ([`environment`]) become a request
//! that says what is meant ([`request`]); one function for each command carries it out with the
//! operations below. [`progress`] draws what they announce, [`output`] writes results to stdout,
//! [`report`] says on stderr what went wrong, [`filing`] writes down what is to be filed ([`page`] as
//! HTML). [`advice`] names the next command, and [`outlook`] what parity can do. Only this floor knows
//! the terminal, the environment and exit codes.

mod advice;
mod args;
mod bases;
mod console;
mod diff;
mod environment;
mod export;
mod filing;
mod freshness;
mod import;
mod inspect;
mod key;
mod landing;
mod log;
mod login;
mod map;
mod media;
mod opening;
mod outlook;
mod output;
mod page;
mod passphrase;
mod password;
mod places;
mod progress;
mod remake;
mod repair;
mod report;
mod request;
mod rotation;
mod secret;
mod sign;
mod verify;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use self::args::{Cli, Command, KeyCommand};
use self::console::Console;
use self::environment::Environment;
use crate::codec::atomic;
use crate::model::{Error, Kind, Result};

/// What shells expect of a process that ended because the user pressed Ctrl-C: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Parses the command line of the process, carries it out, reports, and gives the exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version come this way too. A closed pipe is no failure of theirs.
            let _ = answer.print();
            return ExitCode::from(if answer.use_stderr() { Kind::Usage.exit_code() } else { 0 });
        }
    };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = report::report(&error, &mut std::io::stderr().lock(), console::stderr_colour());
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn execute(cli: Cli) -> Result<()> {
    leave_nothing_behind_on_interrupt()?;
    let_writing_fail_where_files_may_not_grow()?;
    let environment = Environment::of_process()?;
    let console = Console::new(cli.quiet);
    match cli.command {
        Command::Export(args) => match args.only_volume {
            Some(number) => {
                remake::run(&request::Remake::resolve(number, args, &environment)?, &console)
            }
            None => export::run(&request::Export::resolve(args, &environment)?, &console),
        },
        Command::Verify(args) => {
            verify::run(&request::Verify::resolve(args, &environment)?, &console)
        }
        Command::Import(args) => {
            import::run(&request::Import::resolve(args, &environment)?, &console)
        }
        Command::Map(args) => map::run(&request::Map::resolve(args, &environment)?, &console),
        Command::Inspect(args) => {
            inspect::run(&request::Inspect::resolve(args, &environment)?, &console)
        }
        Command::Diff(args) => diff::run(&request::Diff::resolve(args, &environment)?),
        Command::Parity(args) => repair::make(&request::Parity::resolve(args), &console),
        Command::Repair(args) => {
            repair::repair(&request::Repair::resolve(args, &environment)?, &console)
        }
        Command::Sign(args) => sign::run(&request::Sign::resolve(args, &environment)?, &console),
        Command::Log(args) => log::run(&request::Log::resolve(args, &environment)?, &console),
        Command::Login(args) => {
            login::login(&request::Login::resolve(args, &environment)?, &console)
        }
        Command::Logout(args) => {
            login::logout(&request::Logout::resolve(args, &environment)?, &console)
        }
        Command::Key { command: KeyCommand::Generate(args) } => {
            key::generate(&request::Generate::resolve(args, &environment)?, &console)
        }
        Command::Key { command: KeyCommand::Show(args) } => {
            key::show(&request::Show::resolve(args, &environment), &console)
        }
        Command::Key { command: KeyCommand::List(args) } => {
            key::list(&request::List::resolve(args, &environment)?, &console)
        }
        Command::Key { command: KeyCommand::Endorse(args) } => {
            rotation::endorse(&request::Endorse::resolve(args, &environment)?)
        }
        Command::Key { command: KeyCommand::Accept(args) } => {
            rotation::accept(&request::Accept::resolve(args, &environment)?, &console)
        }
    }
}

/// A file that grows beyond `ulimit -f` is an error of whoever writes it, with its sentence; the
/// signal that comes with it would end the process without one.
fn let_writing_fail_where_files_may_not_grow() -> Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
        .map(drop)
        .map_err(|e| Error::new(Kind::Io, "cannot watch for signals").because(e))
}

/// Ctrl-C, and being told to end, leave no half-written file under any name, and what was gathered
/// for a bundle where the next export finds it.
fn leave_nothing_behind_on_interrupt() -> Result<()> {
    ctrlc::set_handler(|| {
        secret::unhush();
        let kept = atomic::remove_unfinished();
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "\nsealift: interrupted");
        for folder in kept {
            let _ = report::note(&export::is_kept(&folder), &mut stderr);
        }
        std::process::exit(INTERRUPTED);
    })
    .map_err(|e| Error::new(Kind::Io, "cannot watch for interrupts").because(e))
}
