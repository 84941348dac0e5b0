//! `pressrun subscribers`: readers in, out, and one by one. None of it but `ask` and `probe` mails anyone, and those only
//! when they are told so.

use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};

use crate::address::EmailAddress;
use crate::app::App;
use crate::cli::output::{print, private_file};
use crate::cli::subscribers::show::Who;
use crate::cli::subscribers::tag::Change;
use crate::cli::{Cli, Exit, audit};
use crate::clock::Timestamp;
use crate::erasure;
use crate::import::export;
use crate::lists;
use crate::schedule;
use crate::signup::house;
use crate::subscriber::{List, Status};

mod add;
mod ask;
mod change;
mod data;
mod import;
mod imports;
mod inactive;
mod probe;
mod show;
mod sunset;
mod tag;

/// Signups that are counted before anyone says yes.
const COUNTED: u32 = 100_000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Imports readers from a table, or from the export of another service; rows that cannot be taken go to a
    /// file beside it.
    Import(import::Import),
    /// Shows every import: what was stated about consent, what it came to, whether it was taken back.
    Imports {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Takes a whole import back: everyone it brought, except who was mailed or did something since.
    UndoImport {
        /// The import's number, as `subscribers imports` shows it.
        id: i64,
        /// Counts who would go and changes nothing.
        #[arg(long)]
        dry_run: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Mails readers who were brought as pending, once, whether they want the list.
    Ask(ask::Arguments),
    /// Puts one reader on a list.
    Add(add::Add),
    /// Shows one reader: fields, subscriptions, suppression.
    Show {
        /// The reader's address, or her key as `rehearse` and exports tell it.
        #[arg(value_name = "ADDRESS|KEY", value_parser = show::who)]
        who: Who,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Changes what a reader asked the author to change: address, name, fields, tags.
    Change(change::Arguments),
    /// Writes all that is kept of one reader as JSON, for her who asks for it. The link in her mailbox does the same; a
    /// suppressed address gets none, so make sure that it is she who asks.
    Data(data::Data),
    /// Takes one reader off a list; she can come back, and `subscribers add --consent` takes it back.
    Remove {
        /// The reader's address.
        address: EmailAddress,
        /// Short name of the list.
        #[arg(long)]
        list: String,
    },
    /// Erases a reader who asks for it, by the link in her mailbox or, where nothing is mailed to it, otherwise: address,
    /// name, fields and copies go for good, and a keyed hash stays, by which no import and no form brings the address
    /// back.
    Erase {
        /// The reader's address.
        address: EmailAddress,
        /// Erases indeed; without, it is only told what would go.
        #[arg(long)]
        yes: bool,
    },
    /// Writes the readers of a list as CSV, or all that is kept of readers as JSON lines, which `subscribers
    /// import` reads again.
    Export(Export),
    /// Puts a tag on readers, by their addresses or by a segment.
    Tag(tag::Arguments),
    /// Takes a tag off readers, by their addresses or by a segment.
    Untag(tag::Arguments),
    /// Shows the readers of a list who did nothing with its last issues.
    Inactive(inactive::Arguments),
    /// Pauses or takes off those whom a run asked to stay and who did not answer.
    Sunset(sunset::Arguments),
    /// Mails a short probe to readers whose last issues came back, and suppresses the addresses whose probes did.
    Probe(probe::Arguments),
    /// Takes back the form's signups of some hours that nobody has confirmed, and their waiting mails.
    UndoSignups(UndoSignups),
}

#[derive(Debug, Args)]
pub struct UndoSignups {
    /// From this time on, such as "2026-11-26 10:00 Europe/Berlin", "10:00" or 2026-11-26T10:00:00Z; without a zone
    /// in that of the publication.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Up to this time; up to now when not said.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Does it; without, it is only told how many there are.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    /// Short name of the list; JSON lines hold every list when not said.
    #[arg(long)]
    list: Option<String>,
    /// Only readers of this status.
    #[arg(long, value_parser = any_status())]
    status: Option<Status>,
    /// The file to write, which must not be there; standard output when not said.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// `csv`, or `jsonl`: one JSON object a line, with fields, consents, suppressions and every time.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The same as `--format jsonl`.
    #[arg(long)]
    json: bool,
}

/// How readers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

pub(super) async fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    let exit = match command {
        Command::Import(import) => import::run(&app, import).await?,
        Command::Imports { json } => imports::list(&app, *json).await?,
        Command::UndoImport { id, dry_run, json } => {
            imports::undo(&app, *id, *dry_run, *json).await?
        }
        Command::Ask(arguments) => ask::run(&app, arguments).await?,
        Command::Add(add) => add::run(&app, add).await?,
        Command::Show { who, json } => show::run(&app, who, *json).await?,
        Command::Change(arguments) => change::run(&app, arguments).await?,
        Command::Data(data) => data::run(&app, data).await?,
        Command::Remove { address, list } => remove(&app, address, list).await?,
        Command::Erase { address, yes } => erase(&app, address, *yes).await?,
        Command::Export(export) => write_out(&app, export).await?,
        Command::Tag(arguments) => tag::run(&app, arguments, Change::On).await?,
        Command::Untag(arguments) => tag::run(&app, arguments, Change::Off).await?,
        Command::Inactive(arguments) => inactive::run(&app, arguments).await?,
        Command::Sunset(arguments) => sunset::run(&app, arguments).await?,
        Command::Probe(arguments) => probe::run(&app, arguments).await?,
        Command::UndoSignups(undo) => undo_signups(&app, undo).await?,
    };
    app.store.close().await;
    Ok(exit)
}

async fn remove(app: &App, address: &EmailAddress, slug: &str) -> anyhow::Result<Exit> {
    let list: List = lists::find(app, slug).await?;
    let reader = app.store.subscriber(&address.canonical()).await?;
    let Some(reader) = reader else {
        bail!("no reader has the address `{address}`; nothing was changed");
    };
    let subscriptions = app.store.subscriptions(reader.id).await?;
    let Some(subscription) = subscriptions.iter().find(|s| s.list == list.id) else {
        bail!("the reader is not on `{slug}`; nothing was changed");
    };
    let left = app
        .store
        .take_off(subscription.key, app.clock.now())
        .await?;
    if left {
        let about = format!("reader {}", reader.id.0);
        audit::note(app, &format!("took a reader off `{slug}`"), &about).await?;
    }
    print(&match left {
        true => format!(
            "removed from `{slug}`; `pressrun subscribers add {address} --list {slug} --consent \"she asked\"` takes it back\n"
        ),
        false => format!("had left `{slug}` before; nothing was changed\n"),
    })?;
    Ok(Exit::Done)
}

async fn erase(app: &App, address: &EmailAddress, yes: bool) -> anyhow::Result<Exit> {
    let reader = app.store.subscriber(&address.canonical()).await?;
    let Some(reader) = reader else {
        bail!(
            "no reader has this address; nothing was changed. `pressrun suppressions add` keeps it out for good"
        );
    };
    if !yes {
        let lists = app.store.subscriptions(reader.id).await?.len();
        print(&format!(
            "the reader has {lists} subscriptions; nothing was changed yet. `--yes` erases address, name, fields and \
             copies for good; the numbers of runs stay, and belong to nobody\n"
        ))?;
        return Ok(Exit::Done);
    }
    let about = format!("reader {}", reader.id.0);
    erasure::erase(app, reader.id).await?;
    audit::note(app, "erased a reader", &about).await?;
    print("erased; a keyed hash of the address stays suppressed\n")?;
    Ok(Exit::Done)
}

async fn undo_signups(app: &App, undo: &UndoSignups) -> anyhow::Result<Exit> {
    let now = app.clock.now();
    let zone = &app.config.publication.timezone;
    let read = |text: &str| schedule::moment(text, zone, now).map_err(anyhow::Error::msg);
    let from = read(&undo.from)?;
    let to = match &undo.to {
        Some(to) => read(to)?,
        None => now,
    };
    ensure!(
        from < to,
        "`--from` is not before `--to`: nothing lies between"
    );
    let between = format!(
        "between {} and {}",
        schedule::shown(from, zone),
        schedule::shown(to, zone)
    );
    let never = Timestamp(i64::MAX);
    if undo.yes {
        audit::note(app, "took unconfirmed signups back", "").await?;
        let gone = house::forget(app, from, to, never).await?;
        print(&format!(
            "unconfirmed signups {between} taken back: {gone}\n"
        ))?;
        return Ok(Exit::Done);
    }
    let found = app.store.unconfirmed(from, to, never, COUNTED).await?;
    let more = if found.len() as u64 == u64::from(COUNTED) {
        " or more"
    } else {
        ""
    };
    print(&format!(
        "unconfirmed signups {between}: {}{more}; `--yes` takes them back\n",
        found.len()
    ))?;
    Ok(Exit::Done)
}

async fn write_out(app: &App, export: &Export) -> anyhow::Result<Exit> {
    let list = match &export.list {
        Some(slug) => Some(lists::find(app, slug).await?),
        None => None,
    };
    let Some(path) = &export.out else {
        let written = written(app, export, list.as_ref(), BufWriter::new(stdout())).await;
        return match written {
            Err(error) if is_broken_pipe(&error) => Ok(Exit::Done),
            other => other.map(|_| Exit::Done),
        };
    };
    let out = BufWriter::new(private_file(path)?);
    let count = written(app, export, list.as_ref(), out).await?;
    let file = path.display();
    print(&match &export.list {
        Some(list) => format!("readers of `{list}` written to `{file}`: {count}\n"),
        None => format!("readers written to `{file}`: {count}\n"),
    })?;
    Ok(Exit::Done)
}

async fn written(
    app: &App,
    export: &Export,
    list: Option<&List>,
    out: impl Write,
) -> anyhow::Result<u64> {
    if export.json || export.format == Format::Jsonl {
        return export::lines(app, list, export.status, out).await;
    }
    let Some(list) = list else {
        bail!("a CSV file holds one list; say which by `--list NAME`, or ask for `--format jsonl`");
    };
    export::csv(app, list.id, export.status, out).await
}

/// Whoever read the output went away, which is no error.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// `name=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = split.ok_or("expected two parts with `=` between them")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// How a subscription may begin.
fn beginning() -> impl TypedValueParser<Value = Status> {
    statuses([Status::Confirmed, Status::Pending])
}

fn any_status() -> impl TypedValueParser<Value = Status> {
    statuses(Status::ALL)
}

fn statuses<const N: usize>(of: [Status; N]) -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(of.map(Status::name))
        .map(|name| Status::parse(&name).expect("clap lets only these names through"))
}
