//! The command line: one file per command under `cli/`; this one parses, dispatches and ends.
//!
//! Promises: errors say what, where and what to do, on stderr; exit codes are those of [`Exit`].

// First: what it prints with stands for std's in all that follow.
#[macro_use]
mod output;

mod admin;
mod archive;
mod audit;
mod backup;
mod build;
mod check;
mod completions;
mod config;
mod control;
mod deliveries;
mod demo;
mod diff;
mod dns;
mod doctor;
mod events;
mod explain;
mod follow;
mod import_issue;
mod inbound;
mod init;
mod keys;
mod links;
mod lists;
mod logs;
mod migrate;
mod mjml;
mod new;
mod preview;
mod rehearse;
mod relay;
mod retention;
mod segments;
mod send;
mod serve;
mod signal;
mod sink;
pub(crate) mod stats;
mod subscribers;
mod suppressions;
mod theme;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::config::spelling;

/// What `--help` says of [`Exit`].
const EXIT_CODES: &str = "Exit codes:
  0  done
  1  it could not be done; the error says why and what to do
  2  the command line was wrong
  3  done, and something needs a person: rejected rows, a test mail not taken, a run that is
     held or that nobody got, uncertain or failed deliveries, a ledger that does not balance
  4  interrupted; the command that goes on is printed
  5  nothing was sent: a guard asks, and `--accept GUARD` answers it
 75  `inbound` could not take the message now; the mail server should come again";

/// Sends an email newsletter: one copy to every subscriber, none lost, none doubled.
#[derive(Debug, Parser)]
#[command(
    name = "pressrun",
    version,
    propagate_version = true,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        default_value = "pressrun.toml",
        value_name = "FILE"
    )]
    pub config: PathBuf,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Demo),
    /// Makes a folder for a publication: configuration, keys and emails.
    Init(init::Init),
    /// Shows the configuration in force, and every key there is.
    #[command(subcommand)]
    Config(config::Command),
    /// Adds and shows lists.
    #[command(subcommand)]
    Lists(lists::Command),
    /// Adds, imports, shows, removes and exports readers.
    #[command(subcommand)]
    Subscribers(subscribers::Command),
    /// Shows segments and who is in them.
    #[command(subcommand)]
    Segments(segments::Command),
    /// Adds, counts, checks and removes addresses that are never mailed.
    #[command(subcommand)]
    Suppressions(suppressions::Command),
    New(new::New),
    ImportIssue(import_issue::ImportIssue),
    /// Compiles issues and says what is wrong with them; nothing is sent.
    Check(check::Arguments),
    Build(build::Arguments),
    Mjml(mjml::Arguments),
    /// Lists, copies, checks and shows themes.
    #[command(subcommand)]
    Theme(theme::Command),
    Preview(preview::Preview),
    Diff(diff::Diff),
    Rehearse(rehearse::Rehearse),
    Test(send::test::Test),
    Send(send::Send),
    Pause(control::Pause),
    Resume(send::resume::Resume),
    Reschedule(control::Reschedule),
    Cancel(control::Cancel),
    Status(control::Status),
    Why(why::Arguments),
    Verify(verify::Verify),
    Deliveries(deliveries::Deliveries),
    Stats(stats::Args),
    Links(links::Links),
    /// Forgets what is older than the configuration keeps it.
    #[command(subcommand)]
    Retention(retention::Command),
    Backup(backup::Arguments),
    Migrate(migrate::Arguments),
    /// Shows and changes what anyone may read of the issues sent.
    #[command(subcommand)]
    Archive(archive::Command),
    Events(events::Events),
    Sink(sink::SinkArgs),
    Serve(serve::Serve),
    Inbound(inbound::Inbound),
    /// Says who may see the author's pages: password, login link, second factor.
    #[command(subcommand)]
    Admin(admin::Command),
    Keys(keys::Keys),
    Dns(dns::Dns),
    Doctor(doctor::Doctor),
    /// Lists, shows and tests relays.
    #[command(subcommand)]
    Relay(relay::Command),
    Completions(completions::Completions),
}

impl Command {
    /// Whether it stops a run or looks at one: nothing may keep a person from that, not even a keyring that is gone, or
    /// an error elsewhere in the configuration.
    fn signs_nothing(&self) -> bool {
        matches!(
            self,
            Command::Pause(_)
                | Command::Cancel(_)
                | Command::Status(_)
                | Command::Why(_)
                | Command::Verify(_)
        )
    }

    /// Whether it sends, serves or brings in: what another program's write keeps waiting, and does not end.
    fn is_work(&self) -> bool {
        matches!(
            self,
            Command::Serve(_)
                | Command::Send(_)
                | Command::Resume(_)
                | Command::Test(_)
                | Command::Inbound(_)
                | Command::Retention(_)
                | Command::Subscribers(subscribers::Command::Import(_))
        )
    }

    /// Whether it shows or changes what is there, and nothing else: a database made for it would be the wrong one.
    fn needs_a_past(&self) -> bool {
        match self {
            Command::Status(_)
            | Command::Why(_)
            | Command::Verify(_)
            | Command::Stats(_)
            | Command::Segments(_)
            | Command::Deliveries(_)
            | Command::Links(_)
            | Command::Events(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Reschedule(_)
            | Command::Cancel(_)
            | Command::Retention(_)
            | Command::Backup(_)
            | Command::Migrate(_) => true,
            Command::Lists(command) => matches!(command, lists::Command::Show { .. }),
            Command::Subscribers(command) => !matches!(
                command,
                subscribers::Command::Add(_) | subscribers::Command::Import(_)
            ),
            Command::Suppressions(command) => !matches!(command, suppressions::Command::Add { .. }),
            Command::Archive(command) => matches!(command, archive::Command::List { .. }),
            _ => false,
        }
    }
}

/// How a command ended, as a number for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It could not be done; stderr says why.
    Failed = 1,
    /// The command line was wrong (clap's own number).
    Usage = 2,
    /// Done, and something needs a person: rejects, a run held or that nobody got, uncertain or failed deliveries, an
    /// unbalanced ledger.
    Attention = 3,
    /// Interrupted; what remains goes on with the command printed.
    Interrupted = 4,
    /// Nothing was sent: a guard asks, and nobody was there to answer.
    Unanswered = 5,
    /// A mail server's pipe should come again (EX_TEMPFAIL of sysexits.h).
    Later = 75,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl Cli {
    /// Opens the database and the keys that the configuration file names.
    pub async fn open(&self) -> anyhow::Result<App> {
        let file = std::path::absolute(&self.config)?;
        let app = match self.command.signs_nothing() {
            true => {
                let (app, faults) = match self.command {
                    Command::Verify(_) => App::to_prove(&file).await?,
                    _ => App::to_control(&file).await?,
                };
                for fault in faults {
                    eprintln!("warning: {fault:#}");
                }
                app
            }
            false if self.command.is_work() => {
                App::from_file(&file, !self.command.needs_a_past()).await?
            }
            false => App::from_file_soon(&file, !self.command.needs_a_past()).await?,
        };
        // Whoever lost the keyring for ever takes the readers out and begins anew.
        let leaving = matches!(
            self.command,
            Command::Subscribers(subscribers::Command::Export(_))
        );
        if !leaving && !self.command.signs_nothing() {
            app.claim().await?;
        }
        let serving = matches!(self.command, Command::Serve(_));
        logs::start(&app.config.log, serving)?;
        Ok(app)
    }
}

/// Parses the arguments, runs the command, prints the error. The runtime starts here and not in the binary: who
/// polls a future makes the machine code of all that it awaits.
#[tokio::main]
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    for told in spelling::unknown(variables) {
        eprintln!("warning: {told}");
    }
    match run(&cli).await {
        Ok(exit) => match output::lost() {
            Some(why) if exit == Exit::Done => {
                eprintln!("error: not all of the output could be written: {why}");
                Exit::Failed.into()
            }
            _ => exit.into(),
        },
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::Failed.into()
        }
    }
}

async fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::Init(init) => init::run(init).await,
        Command::Config(command) => config::run(cli, command),
        Command::Lists(command) => lists::run(cli, command).await,
        Command::Subscribers(command) => subscribers::run(cli, command).await,
        Command::Segments(command) => segments::run(cli, command).await,
        Command::Suppressions(command) => suppressions::run(cli, command).await,
        Command::New(new) => new::run(&cli.config, new),
        Command::ImportIssue(arguments) => import_issue::run(&cli.config, arguments).await,
        Command::Check(arguments) => check::run(&cli.config, arguments).await,
        Command::Build(arguments) => build::run(&cli.config, arguments).await,
        Command::Mjml(arguments) => mjml::run(arguments).await,
        Command::Theme(command) => theme::run(&cli.config, command).await,
        Command::Preview(preview) => preview::run(cli, preview).await,
        Command::Diff(arguments) => diff::run(&cli.config, arguments).await,
        Command::Rehearse(arguments) => rehearse::run(cli, arguments).await,
        Command::Test(test) => send::test::run(cli, test).await,
        Command::Send(send) => send::run(cli, send).await,
        Command::Pause(pause) => control::pause(cli, pause).await,
        Command::Resume(resume) => send::resume::run(cli, resume).await,
        Command::Reschedule(reschedule) => control::reschedule(cli, reschedule).await,
        Command::Cancel(cancel) => control::cancel(cli, cancel).await,
        Command::Status(status) => control::status(cli, status).await,
        Command::Why(arguments) => why::run(cli, arguments).await,
        Command::Verify(verify) => verify::run(cli, verify).await,
        Command::Deliveries(deliveries) => deliveries::run(cli, deliveries).await,
        Command::Serve(serve) => serve::run(cli, serve).await,
        Command::Inbound(inbound) => inbound::run(cli, inbound).await,
        Command::Admin(command) => admin::run(cli, command).await,
        Command::Stats(args) => stats::run(&cli.open().await?, args).await,
        Command::Retention(command) => retention::run(cli, command).await,
        Command::Migrate(arguments) => migrate::run(cli, arguments).await,
        Command::Backup(arguments) => backup::run(cli, arguments).await,
        Command::Links(arguments) => links::run(cli, arguments).await,
        Command::Archive(command) => archive::run(cli, command).await,
        Command::Events(events) => events::run(cli, events).await,
        Command::Sink(sink) => sink::run(sink).await,
        Command::Keys(keys) => keys::run(cli, keys).await,
        Command::Dns(dns) => dns::run(cli, dns).await,
        Command::Doctor(doctor) => doctor::run(cli, doctor).await,
        Command::Relay(command) => relay::run(cli, command).await,
        Command::Completions(completions) => completions::run(completions),
    }
}
