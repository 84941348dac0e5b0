//! `pressrun doctor` from outside: each fault alone is told, and what is well is called so.

mod dns;
mod links;
mod machine;
mod returned;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::dkim::Signer;
use pressrun::keyring::Keyring;
use serde_json::Value;
use tokio::process::Command;

const KEY: &str = include_str!("../keys/dkim-test.pem");
/// Where no nameserver is.
const NOWHERE: &str = "127.0.0.1:9";

/// A publication of its own in a folder, with a DKIM key and a keyring.
pub struct Clinic {
    pub folder: PathBuf,
    _held: Option<tempfile::TempDir>,
}

/// What a test wants otherwise than [`Clinic::new`] has it.
pub struct Wish<'a> {
    pub url: &'a str,
    pub relay: String,
    pub database: &'a str,
    pub nameserver: String,
    pub more: &'a str,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Wish {
            url: "https://news.bees.house",
            relay: "url = \"smtp://relay.bees.house\"".into(),
            database: "sqlite:pressrun.db",
            nameserver: NOWHERE.into(),
            more: "",
        }
    }
}

impl Clinic {
    pub fn new(wish: &Wish<'_>) -> Clinic {
        let held = tempfile::tempdir().expect("a folder");
        let folder = held.path().to_owned();
        Clinic::at(&folder, wish, Some(held))
    }

    /// A publication in a folder that somebody else holds.
    pub fn at(folder: &Path, wish: &Wish<'_>, held: Option<tempfile::TempDir>) -> Clinic {
        let Wish {
            url,
            relay,
            database,
            nameserver,
            more,
        } = wish;
        // A server that is there answers in time on a busy machine, too.
        let patience = match nameserver.as_str() {
            NOWHERE => "300ms",
            _ => "3s",
        };
        let text = format!(
            "[publication]\nname = \"Bees\"\nurl = \"{url}\"\npostal_address = \"6 Roof Row, Hive\"\n\
             [from]\naddress = \"ada@bees.house\"\n[database]\nurl = \"{database}\"\n\
             [relay.main]\n{relay}\n[send]\nbounce_domain = \"bounce.bees.house\"\nprobe = \"50ms\"\n\
             [dkim]\nselector = \"s1\"\nkey = \"dkim.pem\"\n\
             [dns]\nnameserver = \"{nameserver}\"\ntimeout = \"{patience}\"\n{more}\n"
        );
        for (name, text) in [("pressrun.toml", text.as_str()), ("dkim.pem", KEY)] {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a file");
            chmod(&path, 0o600);
        }
        Keyring::generate(&Chance::seeded(4), Timestamp(0))
            .create(&folder.join("keyring.toml"))
            .expect("a keyring");
        Clinic {
            folder: folder.to_owned(),
            _held: held,
        }
    }

    /// Exit code, stdout and stderr.
    pub async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_pressrun"))
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .await
            .expect("the program runs");
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let code = output.status.code().expect("an exit code");
        (code, text(&output.stdout), text(&output.stderr))
    }

    /// Exit code and checks of `doctor` with these arguments.
    pub async fn doctor(&self, arguments: &[&str]) -> (i32, Vec<Told>) {
        let all = [&["doctor", "--json"], arguments].concat();
        let (code, out, error) = self.run(&all).await;
        let json: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}"));
        let checks = json["checks"].as_array().expect("checks");
        (code, checks.iter().map(Told::of).collect())
    }
}

/// One check as JSON tells it.
#[derive(Debug)]
pub struct Told {
    pub check: String,
    pub level: String,
    pub says: String,
}

impl Told {
    fn of(json: &Value) -> Told {
        let text = |key: &str| json[key].as_str().expect("a text").to_owned();
        let level = text("level");
        let advice = json["advice"].as_str();
        assert_eq!(
            advice.is_none(),
            level == "ok",
            "what is not well comes with advice: {json}"
        );
        Told {
            check: text("check"),
            says: text("says"),
            level,
        }
    }
}

/// The level of the one check of this name.
pub fn level<'a>(told: &'a [Told], check: &str) -> &'a str {
    let mut found = told.iter().filter(|one| one.check == check);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {check} in {told:?}"));
    assert!(found.next().is_none(), "several {check} in {told:?}");
    &first.level
}

pub fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// The record that belongs to the key.
pub fn dkim_record() -> String {
    let signer = Signer::from_pem("bees.house", "s1", KEY).expect("a key");
    signer.record()
}
