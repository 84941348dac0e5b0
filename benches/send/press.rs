//! The publication that the benchmark sends: one issue of some 70 KB, lists of several sizes, a key.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pressrun::address::EmailAddress;
use pressrun::chance::Chance;
use pressrun::clock::{Clock, Timestamp};
use pressrun::config::{Config, Relay, TlsPolicy};
use pressrun::dkim::Signer;
use pressrun::id::{DeliveryKey, RunId, SubscriptionKey};
use pressrun::issue::given::Titles;
use pressrun::keyring::Keyring;
use pressrun::message::copy::CopyRecord;
use pressrun::message::{ListHeaders, MessageTemplate, RunHeaders};
use pressrun::octets::Octets;
use pressrun::publication;

use crate::Sample;
use crate::letter;
use crate::meter::Meter;
use crate::postgres;
use crate::process;

/// Paragraphs that make the message some 70 KB on the wire.
const PARAGRAPHS: usize = 62;
pub struct Press {
    folder: PathBuf,
    /// Issues sent so far: each measurement sends one of its own.
    issues: usize,
    postgres: Option<String>,
}

/// How messages are handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Data,
    Windows,
}

/// The default of `window`.
pub const WINDOW: usize = 4;

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Way::Data => "pipelined DATA",
            Way::Windows => "BDAT x4",
        }
    }
}

/// Where the ledger is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Messages made in this process, for the loop and for lettre.
pub struct Letters {
    template: MessageTemplate,
    keyring: Keyring,
}

impl Database {
    /// SQLite, and PostgreSQL when a server is named.
    pub fn all() -> Vec<Database> {
        match std::env::var_os("PRESSRUN_TEST_POSTGRES") {
            Some(_) => vec![Database::Sqlite, Database::Postgres],
            None => vec![Database::Sqlite],
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Database::Sqlite => "SQLite",
            Database::Postgres => "PostgreSQL",
        }
    }
}

fn address(number: usize) -> String {
    format!("reader{number}@example.org")
}

pub fn list(size: usize) -> String {
    format!("list-{size}")
}

impl Press {
    /// A publication below `folder` with a list of each of `sizes`, in each database.
    pub fn new(folder: &Path, sizes: &[usize]) -> Press {
        let mut press = Press {
            folder: folder.join("news"),
            issues: 0,
            postgres: None,
        };
        let init = "--name Bench --url http://127.0.0.1:8080 --from news@example.com --list weekly";
        let mut command = press.bare(Database::Sqlite);
        command.arg("init").arg(&press.folder).args(init.split(' '));
        done(command.args(["--postal-address", "1 Bench Street"]));
        done(&mut press.command(
            Database::Sqlite,
            "keys dkim --selector bench --out dkim.pem",
        ));
        for database in Database::all() {
            if database == Database::Postgres {
                press.postgres = Some(new_postgres());
            }
            for &size in sizes {
                let name = list(size);
                done(&mut press.command(database, &format!("lists add {name} --title Bench")));
                let file = press.folder.join(format!("{name}.csv"));
                let mut csv = String::from("email\n");
                (0..size).for_each(|number| writeln!(csv, "{}", address(number)).expect("a line"));
                fs::write(&file, csv).expect("the readers");
                let import =
                    format!("subscribers import {name}.csv --list {name} --consent made-up");
                done(&mut press.command(database, &import));
            }
        }
        press
    }

    fn bare(&self, database: Database) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pressrun"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if self.folder.exists() {
            command.current_dir(&self.folder);
        }
        if let (Database::Postgres, Some(url)) = (database, &self.postgres) {
            command.env("PRESSRUN_DATABASE__URL", url);
            // Beside the other database's generation, this one would look like a restored backup.
            command.env("PRESSRUN_PATHS__STATE", "state-postgres");
        }
        command
    }

    fn command(&self, database: Database, words: &str) -> Command {
        let mut command = self.bare(database);
        command.args(words.split(' '));
        command
    }

    fn config(&self) -> Config {
        Config::load(&self.folder.join("pressrun.toml")).expect("a configuration")
    }

    /// The relay of the configuration, but at the meter.
    pub fn relay(&self, meter: &Meter) -> Relay {
        let mut relay = self
            .config()
            .relay
            .remove("main")
            .expect("a relay called main");
        relay.url = meter.url();
        relay.ca_file.clone_from(&meter.tls);
        if meter.tls.is_none() {
            relay.tls = TlsPolicy::None;
        }
        relay
    }

    /// Writes another issue; gives its slug.
    pub fn new_issue(&mut self) -> String {
        self.issues += 1;
        self.write_issue(&format!("bench-{}", self.issues))
    }

    fn write_issue(&self, slug: &str) -> String {
        let folder = self.folder.join("emails/issues").join(slug);
        fs::create_dir_all(&folder).expect("the issue's folder");
        fs::write(folder.join("issue.md"), letter::markdown(PARAGRAPHS)).expect("the issue");
        slug.to_owned()
    }

    /// The same message as the ledger sends, made without one.
    pub fn letters(&self, signed: bool) -> Letters {
        let slug = self.write_issue("letters");
        let config = self.config();
        let built = publication::compile_issue(
            &config,
            &self.folder.join("emails"),
            &slug,
            &Titles::default(),
        );
        let headers = RunHeaders {
            from_name: config.from.name.clone(),
            from_address: config.from.address.clone(),
            reply_to: None,
            list: Some(ListHeaders {
                title: "Bench".to_owned(),
                label: "0123456789abcdef".to_owned(),
                domain: "example.com".to_owned(),
            }),
            about: slug,
            bounce_domain: "example.com".to_owned(),
            mailto: false,
            public_url: config.publication.url.clone(),
            instance: "0123456789abcdef".to_owned(),
        };
        let signer = signed.then(|| {
            let pem = fs::read_to_string(self.folder.join("dkim.pem")).expect("a key");
            Signer::from_pem("example.com", "bench", &pem).expect("a signer")
        });
        let compiled = built.expect("the issue compiles").compiled;
        Letters {
            template: MessageTemplate::new(&compiled, &headers, signer).expect("a template"),
            keyring: Keyring::generate(&Chance::System, Clock::System.now()),
        }
    }

    /// The size of an unsigned message.
    pub fn message_octets(&self) -> usize {
        let mut message = Vec::new();
        self.letters(false).render(0, &mut message);
        message.len()
    }

    /// Sends a new issue to `count` readers with the real command.
    pub fn send(
        &mut self,
        meter: &mut Meter,
        connections: usize,
        count: usize,
        signed: bool,
        database: Database,
        way: Way,
    ) -> Sample {
        let slug = self.new_issue();
        let mut command = self.sending(meter, connections, signed, database, way);
        command.arg(&slug).arg("--list").arg(list(count));
        meter.begin();
        let mut child = command.spawn().expect("the binary");
        let cost = process::wait(&mut child, "send");
        Sample {
            rate: meter.end(count),
            cpu: cost.seconds * 1e6 / count as f64,
            peak_mib: cost.peak_mib,
        }
    }

    /// The command that sends, but for what and to whom.
    pub fn sending(
        &self,
        meter: &Meter,
        connections: usize,
        signed: bool,
        database: Database,
        way: Way,
    ) -> Command {
        // One measurement after the other is the same subject to other readers, at whatever hour.
        let guards = "--accept same-subject --accept audience --accept hour";
        let mut command = self.command(database, &format!("send --yes {guards}"));
        match &meter.tls {
            Some(file) => command
                .env("PRESSRUN_RELAY__MAIN__CA_FILE", file)
                .env("PRESSRUN_RELAY__MAIN__TLS", "required"),
            None => command.env("PRESSRUN_RELAY__MAIN__TLS", "none"),
        };
        let window = match way {
            Way::Data => 0,
            Way::Windows => WINDOW,
        };
        command
            .env("PRESSRUN_RELAY__MAIN__URL", meter.url())
            .env("PRESSRUN_RELAY__MAIN__CONNECTIONS", connections.to_string())
            .env("PRESSRUN_RELAY__MAIN__WINDOW", window.to_string())
            .env("PRESSRUN_DATABASE__CONNECTIONS", "8")
            .env("PRESSRUN_DKIM__SELECTOR", "bench")
            .env("PRESSRUN_DKIM__KEY", if signed { "dkim.pem" } else { "" })
            .stderr(Stdio::null());
        command
    }

    /// What `pressrun status` knows of the run of `slug`; nothing while there is none.
    pub fn status(&self, database: Database, slug: &str) -> serde_json::Value {
        let mut command = self.command(database, "status --json");
        let output = command
            .arg(slug)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .output();
        let rows: serde_json::Value =
            serde_json::from_slice(&output.expect("the binary").stdout).unwrap_or_default();
        rows[0].clone()
    }

    /// Ends the run of `slug`, so that the next one is alone.
    pub fn cancel(&self, database: Database, slug: &str) {
        done(self.command(database, "cancel --yes").arg(slug));
    }
}

impl Drop for Press {
    fn drop(&mut self) {
        if let Some((_, name)) = self.postgres.as_ref().and_then(|url| url.rsplit_once('/')) {
            told(format!("drop database if exists {name} with (force)"));
        }
    }
}

impl Letters {
    /// Makes the message of reader `number` in one piece; gives the reader's address.
    pub fn render(&self, number: usize, out: &mut Vec<u8>) -> String {
        let mut message = Octets::default();
        let address = self.compose(number, &mut message);
        message
            .pieces()
            .for_each(|piece| out.extend_from_slice(piece));
        address
    }

    /// Makes the message of reader `number` as the ledger does; gives the reader's address.
    pub fn compose(&self, number: usize, out: &mut Octets) -> String {
        let to = address(number);
        let key = DeliveryKey {
            run: RunId(2),
            seq: u32::try_from(number).expect("a few"),
        };
        let parsed = EmailAddress::parse(&to).expect("an address");
        let date = Timestamp(1_790_000_000_000);
        let mut copy = CopyRecord::new(parsed, date, self.keyring.active());
        copy.subscription = Some(SubscriptionKey(number as i64 + 1));
        self.template
            .compose(&self.keyring, key, &copy, out)
            .expect("a message");
        to
    }
}

/// A database of its own on the server for tests; gives its URL.
fn new_postgres() -> String {
    let admin = std::env::var("PRESSRUN_TEST_POSTGRES").expect("it was there a moment ago");
    let name = format!("pressrun_bench_{}", std::process::id());
    told(format!("create database {name}"));
    let (server, _) = admin.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}")
}

fn told(statement: String) {
    let admin = std::env::var("PRESSRUN_TEST_POSTGRES").expect("it was there a moment ago");
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(postgres::ask(&admin, statement))
        .expect("the server does it");
}

/// Runs a command that must succeed.
fn done(command: &mut Command) {
    let arguments: Vec<&OsStr> = command.get_args().collect();
    let what = format!("{arguments:?}");
    let output = command.stderr(Stdio::piped()).output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
}
