//! `pressrun keys` and `pressrun dns` from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::keyring::Keyring;

const CONFIG: &str = r#"
[publication]
name = "This Week"
url = "https://news.example.com"
postal_address = "1 Main Street, Springfield"
list = "weekly"
language = "en"
description = "Eleven papers a week."
[from]
name = "Ed Itor"
address = "ed@example.com"
[database]
url = "sqlite:pressrun.db"
connections = 2
[http]
public = "127.0.0.1:8080"
admin = "127.0.0.1:8081"
admin_hosts = []
trusted_proxies = []
connections = 64
connections_per_address = 64
[relay.main]
kind = "smtp"
url = "smtp://smtp.example.net"
tls = "required"
connections = 10
messages_per_connection = 500
connect_timeout = "30s"
command_timeout = "5m"
dot_timeout = "10m"
[send]
relay = "main"
bounce_domain = "bounce.example.com"
retry = ["5m"]
jitter = 0.2
give_up = "3d"
uncertain = "hold"
linger = "2ms"
lease = "30s"
probe = "1s"
drain = "30s"
[dkim]
selector = "test"
[tracking]
opens = true
clicks = true
[signup]
open = true
per_network_per_minute = 5
per_network_per_hour = 20
address_window = "1d"
confirms_per_hour = 600
form_max_age = "2h"
form_min_age = "3s"
confirm_window = "7d"
[paths]
keyring = "keyring.toml"
emails = "emails"
state = "state"
[log]
level = "info"
format = "text"
"#;

/// A folder with a configuration and a keyring.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("pressrun.toml"), CONFIG).expect("a configuration");
    Keyring::generate(&Chance::seeded(1), Timestamp(0))
        .create(&folder.path().join("keyring.toml"))
        .expect("a keyring");
    folder
}

fn pressrun(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program runs")
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = pressrun(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = pressrun(folder, arguments);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn with_key(folder: &Path) {
    let key = folder.join("dkim.pem");
    fs::write(&key, include_str!("../keys/dkim-test.pem")).expect("a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("chmod");
    let config = CONFIG.replace(
        "selector = \"test\"",
        "selector = \"test\"\nkey = \"dkim.pem\"",
    );
    fs::write(folder.join("pressrun.toml"), config).expect("a configuration");
}

#[test]
fn a_key_is_rotated_and_revoked_only_when_meant() {
    let folder = folder();
    let folder = folder.path();
    let states = || {
        let json = done(folder, &["keys", "list", "--json"]);
        let keys: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let keys = keys.as_array().expect("a list").iter();
        let states = keys.map(|key| key["state"].as_str().expect("a state").to_owned());
        states.collect::<Vec<_>>()
    };
    assert_eq!(states(), ["active"]);
    assert!(refused(folder, &["keys", "revoke", "1", "--yes"]).contains("keys rotate"));
    done(folder, &["keys", "rotate"]);
    assert_eq!(states(), ["verify", "active"]);
    assert!(refused(folder, &["keys", "revoke", "1"]).contains("--yes"));
    assert!(refused(folder, &["keys", "revoke", "9", "--yes"]).contains("no key `9`"));
    assert_eq!(states(), ["verify", "active"]);
    done(folder, &["keys", "revoke", "1", "--yes"]);
    assert_eq!(states(), ["revoked", "active"]);
    let shown = done(folder, &["keys", "list"]);
    assert!(
        shown.contains("1  revoked   1970-01-01T00:00:00Z"),
        "{shown}"
    );
    let secret = fs::read_to_string(folder.join("keyring.toml")).expect("the keyring");
    for line in secret
        .lines()
        .filter_map(|line| line.strip_prefix("secret = "))
    {
        assert!(!shown.contains(line.trim_matches('"')));
    }
}

#[test]
fn a_dkim_key_is_made_once_and_its_record_is_printed() {
    let folder = folder();
    let folder = folder.path();
    let shown = done(folder, &["keys", "dkim", "--selector", "s2026"]);
    assert!(
        shown.contains("s2026._domainkey.example.com. TXT\nv=DKIM1; k=rsa; p="),
        "{shown}"
    );
    assert!(!shown.contains("PRIVATE KEY-"), "{shown}");
    let path = folder.join("dkim-s2026.pem");
    let mode = fs::metadata(&path).expect("the key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&path).expect("the key");
    let error = refused(folder, &["keys", "dkim", "--selector", "s2026"]);
    assert!(error.contains("cannot be created"), "{error}");
    assert!(fs::read(&path).expect("the key") == before);
    let error = refused(folder, &["keys", "dkim", "--selector", "no good"]);
    assert!(error.contains("DKIM selector `no good`"), "{error}");
    assert_eq!(fs::read_dir(folder).expect("the folder").count(), 3);
}

#[test]
fn every_record_to_publish_is_printed_ready_to_paste() {
    let folder = folder();
    let folder = folder.path();
    assert!(done(folder, &["dns"]).contains("; DKIM: no key yet"));
    done(folder, &["keys", "dkim", "--selector", "news"]);
    let told = done(folder, &["dns"]);
    assert!(
        told.contains("nothing is signed with `dkim-news.pem` yet")
            && told.contains("news._domainkey.example.com. 3600 IN TXT ("),
        "{told}"
    );
    fs::remove_file(folder.join("dkim-news.pem")).expect("the key");
    with_key(folder);
    insta::assert_snapshot!(
        "dns",
        done(folder, &["dns", "--mail-host", "mx.example.com"])
    );
    let json = done(folder, &["dns", "--json"]);
    let records: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    for record in records.as_array().expect("a list") {
        let strings = record["strings"].as_array().cloned().unwrap_or_default();
        let strings: Vec<_> = strings
            .iter()
            .filter_map(|string| string.as_str())
            .collect();
        assert!(strings.iter().all(|string| string.len() <= 255));
        if record["type"] == "TXT" {
            assert_eq!(record["value"], strings.concat());
        }
    }
    assert_eq!(records[0]["name"], "test._domainkey.example.com");

    let open = fs::Permissions::from_mode(0o640);
    fs::set_permissions(folder.join("dkim.pem"), open).expect("chmod");
    let error = refused(folder, &["dns"]);
    assert!(
        error.contains("may be read by others (mode 0640)"),
        "{error}"
    );
}

#[test]
fn no_record_names_this_machine_alone() {
    let folder = folder();
    let folder = folder.path();
    let file = folder.join("pressrun.toml");
    let config = fs::read_to_string(&file).expect("the configuration");
    let here = config.replace("smtp://smtp.example.net", "smtp://127.0.0.1:2525");
    fs::write(&file, &here).expect("a configuration");
    let shown = done(folder, &["dns"]);
    assert!(
        shown.contains("\"v=spf1 a:news.example.com ~all\""),
        "{shown}"
    );
    assert!(
        shown.contains("; Relay `main` is on this machine"),
        "{shown}"
    );
    let alone = here.replace("https://news.example.com", "http://127.0.0.1:8080");
    fs::write(&file, alone).expect("a configuration");
    let shown = done(folder, &["dns"]);
    assert!(shown.contains("\"v=spf1 a:example.com ~all\""), "{shown}");
    assert!(
        shown.contains("127.0.0.1, is seen by this machine alone") && !shown.contains("ip4:127"),
        "{shown}"
    );
}

#[test]
fn a_relay_that_signs_itself_gets_no_record_of_ours() {
    let folder = folder();
    let folder = folder.path();
    with_key(folder);
    let config = fs::read_to_string(folder.join("pressrun.toml")).expect("the configuration");
    let config = config.replace("kind = \"smtp\"", "kind = \"ses\"");
    fs::write(folder.join("pressrun.toml"), config).expect("a configuration");
    let shown = done(folder, &["dns"]);
    assert!(shown.starts_with("; DKIM: relay `main` signs"), "{shown}");
    assert!(
        !shown.contains("_domainkey") && shown.contains("include:amazonses.com"),
        "{shown}"
    );
}
