//! The configuration from a person's side: what is accepted, what is said, and that the reference
//! file tells the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;

use super::load::Settings;
use super::schema::{Schema, join, pattern_of};
use super::tree::Node;
use super::{Config, show};

const MINIMAL: &str = r#"[publication]
name = "Weekly"
url = "https://news.example.org/"
postal_address = "Weekly, 1 Example Street"
[from]
address = "author@example.org"
[relay.main]
url = "smtp://smtp.example.org"
"#;

fn parse(text: &str, variables: &[(&str, &str)]) -> anyhow::Result<(Config, Settings)> {
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, "pressrun.toml", variables)
}

fn error(text: &str, variables: &[(&str, &str)]) -> String {
    let refused = parse(text, variables).expect_err("a configuration that is refused");
    format!("{refused:#}")
}

#[test]
fn a_short_file_is_enough_and_the_rest_are_the_documented_defaults() {
    let (config, _) = parse(MINIMAL, &[]).expect("a whole configuration");
    assert_eq!(config.publication.url, "https://news.example.org");
    assert_eq!(config.from.name, "Weekly");
    assert_eq!(config.from.reply_to, None);
    let relay = &config.relay["main"];
    assert_eq!(relay.tls, super::TlsPolicy::Required);
    assert_eq!((relay.username.as_ref(), relay.dkim), (None, None));
    assert_eq!(relay.dot_timeout, Duration::from_secs(600));
    assert_eq!(config.send.retry.first(), Some(&Duration::from_secs(300)));
}

#[test]
fn the_environment_stands_over_the_file_and_secrets_may_stand_in_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secret = folder.path().join("password");
    std::fs::write(&secret, "hush hush\r\n").expect("a file");
    let text = format!("{MINIMAL}[relay.spare-one]\nurl = \"smtps://b.example.org\"\n");
    let (config, _) = parse(
        &text,
        &[
            ("PRESSRUN_RELAY__MAIN__USERNAME", "me"),
            (
                "PRESSRUN_RELAY__MAIN__PASSWORD_FILE",
                secret.to_str().expect("UTF-8"),
            ),
            ("PRESSRUN_RELAY__SPARE_ONE__CONNECTIONS", "3"),
            ("PRESSRUN_RELAY__MAIN__CA_FILE", "/etc/ca.pem"),
            ("PRESSRUN_HTTP__ADMIN_HOSTS", "a.example.org, b.example.org"),
            ("PRESSRUN_SEND__JITTER", "0"),
            ("PRESSRUN_SEND__RETRY", "[\"2s\", \"3s\"]"),
            ("PRESSRUN_TRACKING__OPENS", "false"),
            ("PRESSRUN_TEST_POSTGRES", "no setting: our tests read it"),
        ],
    )
    .expect("a whole configuration");
    let main = &config.relay["main"];
    let password = main.password.as_ref().map(|p| p.expose_secret().to_owned());
    assert_eq!(password.as_deref(), Some("hush hush"));
    assert_eq!(
        main.ca_file.as_deref(),
        Some(std::path::Path::new("/etc/ca.pem"))
    );
    assert_eq!(config.relay["spare-one"].connections, 3);
    assert_eq!(config.http.admin_hosts, ["a.example.org", "b.example.org"]);
    // A list as the file writes it does as well as one with commas.
    let seconds = |number| Duration::from_secs(number);
    assert_eq!(config.send.retry, [seconds(2), seconds(3)]);
    assert!(!config.tracking.opens);
}

#[test]
fn a_wrong_file_is_told_by_line_with_what_was_expected() {
    for (more, expected) in [
        (
            "conections = 3",
            "pressrun.toml:9: `relay.main.conections` is not a key; did you mean `connections`?",
        ),
        (
            "connections = \"3\"",
            "pressrun.toml:9: `relay.main.connections` takes a whole number such as `10`, \
             and this is a text",
        ),
        (
            "[relai.main]\nurl = \"smtp://x.example\"",
            "pressrun.toml:9: `relai` is not a section; did you mean `relay`?",
        ),
        (
            "[send]\ngive_up = \"3 weeks\"",
            "pressrun.toml:10: `send.give_up`: `3 weeks` is no duration; expected a number and \
             `ms`, `s`, `m`, `h` or `d`",
        ),
        (
            "tls = \"maybe\"",
            "pressrun.toml:9: `relay.main.tls`: `maybe` is none of \
             `required`, `opportunistic`, `none`",
        ),
        (
            "[send]\nrelay = \"spare\"",
            "pressrun.toml:10: `send.relay`: no section `[relay.spare]`: there are `main`",
        ),
        (
            "[send]\nretry = [5]",
            "pressrun.toml:10: `send.retry` takes a list of texts such as \
             `[\"5m\", \"10m\", \"20m\", \"40m\", \"67m\"]`, and this is another list",
        ),
        (
            "[relay.spare]\nkind = \"ses\"",
            "pressrun.toml:9: `relay.spare.url` is missing; it takes a text such as \
             `\"smtp://smtp.example.org\"`",
        ),
        (
            "[relay.\"a b\"]\nurl = \"smtp://x.example\"",
            "pressrun.toml:9: `a b` cannot name a relay; it takes up to 32 lower-case letters, \
             digits and single hyphens",
        ),
        (
            "tls = \"none\"\nusername = \"me\"\npassword = \"canary\"",
            "pressrun.toml:9: `relay.main.tls`: \"none\" would send the password in clear; \
             use \"required\"",
        ),
        (
            "kind = \"mx\"",
            "pressrun.toml:8: `relay.main.url`: `smtp://smtp.example.org` with kind \"mx\"; \
             expected `mx:`",
        ),
        (
            "[relay.own]\nurl = \"mx:\"",
            "pressrun.toml: `relay.own.kind`: must be \"mx\" for the url `mx:`",
        ),
        (
            "password = 4711",
            "pressrun.toml:9: `relay.main.password` takes a text, and this is a whole number",
        ),
        (
            "tls = \"none\"\nkind = \"sess\"",
            "pressrun.toml:10: `relay.main.kind`: `sess` is none of `smtp`, `ses`, `mailgun`, `postmark`, \
             `sendgrid`, `mx`; did you mean `ses`?",
        ),
        (
            "tls = \"none\"\ntls = \"none\"",
            "pressrun.toml:10: `tls` stands here twice",
        ),
        (
            "[send]\nlinger = \"10h\"",
            "pressrun.toml:10: `send.linger`: `36000s` is not between 0s and 1s",
        ),
        (
            "[send]\nprobe = \"0s\"",
            "pressrun.toml:10: `send.probe`: `0s` is not between 10ms and 3600s",
        ),
        (
            "[send]\nlease = \"1ms\"",
            "pressrun.toml:10: `send.lease`: `1ms` is not between 500ms and 3600s",
        ),
        (
            "[http]\nadmin = \"127.0.0.1:8080\"",
            "pressrun.toml:10: `http.admin`: is `http.public` too; each needs a port of its own",
        ),
        (
            "[send]\nuncertain = \"ressend\"",
            "pressrun.toml:10: `send.uncertain`: `ressend` is none of `hold`, `assume-sent`, `resend`; \
             did you mean `resend`?",
        ),
        ("[http", "pressrun.toml:9: unclosed table, expected `]`"),
        (
            "[http.public]",
            "pressrun.toml:9: `http.public` takes a text, and this is a section",
        ),
        (
            "[relay.main.more]",
            "pressrun.toml:9: `relay.main.more` is not a section; there are `kind`, `url`, `tls`, \
             `connections`, `priority`, `weight`, `username`, `password`, `dkim`, `stream`, `ca_file`, `ehlo`, \
             `messages_per_connection`, `window`, `per_second`, `per_minute`, `per_hour`, `per_day`, \
             `when_full`, `warmup`, `connect_timeout`, `command_timeout`, \
             `message_timeout`, `dot_timeout`",
        ),
    ] {
        assert_eq!(error(&format!("{MINIMAL}{more}\n"), &[]), expected);
    }
}

#[test]
fn all_unknown_keys_are_told_at_once_in_the_order_of_the_file() {
    let said = error(
        "zebra = 1\n[from]\nadress = \"a@b.example\"\n[http]\npubic = 1\n",
        &[],
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].starts_with("pressrun.toml:1: `zebra` is not a key; there are"));
    assert!(lines[1].ends_with("did you mean `address`?"));
    assert!(lines[2].ends_with("did you mean `public`?"));
}

#[test]
fn a_file_without_the_required_keys_is_told_each_of_them() {
    let said = error("", &[]);
    for key in ["name", "url", "postal_address"] {
        assert!(
            said.contains(&format!("pressrun.toml: `publication.{key}` is missing")),
            "{said}"
        );
    }
    let no_relay = MINIMAL.split("[relay").next().expect("a first part");
    let said = error(no_relay, &[]);
    assert_eq!(
        said,
        "pressrun.toml: `send.relay`: no section `[relay.main]`: no relay is described"
    );
}

#[test]
fn a_wrong_variable_is_told_by_name_and_never_shows_a_secret() {
    for (name, value, expected) in [
        (
            "PRESSRUN_HTTP__PUBIC",
            "x",
            "`http.pubic` is not a key; did you mean `public`?",
        ),
        (
            "PRESSRUN_HTTP__TRUSTED_PROXIES",
            "10.0.0.0/8, 192.0.2.9/24",
            "`http.trusted_proxies`: `192.0.2.9/24` has more bits than its first 24; write `192.0.2.0/24`",
        ),
        (
            "PRESSRUN_HTTP_PUBLIC",
            "x",
            "is no setting; did you mean `PRESSRUN_HTTP__PUBLIC`?",
        ),
        (
            "PRESSRUN_RELAY_MAIN__PASSWORD",
            "canary",
            "is no setting; did you mean `PRESSRUN_RELAY__MAIN__PASSWORD`?",
        ),
        (
            "PRESSRUN_HTTP__CONNECTIONS",
            "many",
            "`http.connections` takes a whole number such as `4096`, and this is a text",
        ),
        (
            "PRESSRUN_HTTP__PUBLIC_FILE",
            "x",
            "`http.public` is no secret; only secrets come from files",
        ),
        (
            "PRESSRUN_DATABASE__URL",
            "canary:",
            "`database.url`: neither",
        ),
        (
            "PRESSRUN_DATABASE__URL_FILE",
            "/nowhere",
            "the file it names cannot be read",
        ),
        (
            "PRESSRUN_RELAY__MAIN__URL",
            "smtp://me:canary@x.example",
            "holds credentials",
        ),
    ] {
        let said = error(MINIMAL, &[(name, value)]);
        assert!(
            said.starts_with(&format!("environment variable `{name}`: ")),
            "{said}"
        );
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn levels_languages_and_days_that_are_none_are_refused() {
    for (variable, value, said) in [
        ("LOG__LEVEL", "nonsense=", "`nonsense=` is no level"),
        ("LOG__LEVEL", "nonsense", "`nonsense` is no level"),
        ("LOG__LEVEL", "=info", "`=info` is no level"),
        ("PUBLICATION__LANGUAGE", "xx_YY", "`xx_YY` is no BCP 47 tag"),
        ("PUBLICATION__LANGUAGE", "e", "`e` is no BCP 47 tag"),
        (
            "RELAY__MAIN__WARMUP",
            "soon",
            "`soon` is no day; expected one such as `2026-03-01`",
        ),
    ] {
        let variable = format!("PRESSRUN_{variable}");
        let refused = error(MINIMAL, &[(&variable, value)]);
        assert!(refused.contains(said), "{refused}");
    }
    for (variable, value) in [
        ("LOG__LEVEL", "pressrun=debug,warn"),
        ("LOG__LEVEL", "WARN"),
        ("PUBLICATION__LANGUAGE", "zh-Hant-TW"),
        ("RELAY__MAIN__WARMUP", "2026-03-01"),
        ("RELAY__MAIN__WARMUP", ""),
    ] {
        let variable = format!("PRESSRUN_{variable}");
        let read = parse(MINIMAL, &[(&variable, value)]);
        read.unwrap_or_else(|error| panic!("{value}: {error:#}"));
    }
}

#[test]
fn a_relay_on_this_machine_is_known_as_one() {
    for (url, here) in [
        ("smtp://127.0.0.1:2525", true),
        ("smtp://localhost", true),
        ("smtp://[::1]", true),
        ("smtp://smtp.example.org", false),
        ("mx:", false),
    ] {
        let kind = if url == "mx:" { "mx" } else { "smtp" };
        let variables = [
            ("PRESSRUN_RELAY__MAIN__URL", url),
            ("PRESSRUN_RELAY__MAIN__KIND", kind),
        ];
        let (config, _) = parse(MINIMAL, &variables).expect("a whole configuration");
        assert_eq!(config.relay["main"].is_here(), here, "{url}");
    }
}

#[test]
fn the_public_url_is_https_except_on_a_loopback_host() {
    for (url, fine) in [
        ("https://news.example.org", true),
        ("http://127.0.0.1:8080", true),
        ("http://localhost:8080", true),
        ("http://[::1]:8080", true),
        ("http://news.example.org", false),
        ("ftp://news.example.org", false),
        ("news.example.org", false),
        ("https://news.example.org/?a=b", false),
        ("https://me:secret@news.example.org", false),
    ] {
        let variables = [("PRESSRUN_PUBLICATION__URL", url)];
        assert_eq!(parse(MINIMAL, &variables).is_ok(), fine, "{url}");
    }
}

#[test]
fn the_effective_configuration_names_origins_and_no_secret() {
    let variables = [
        (
            "PRESSRUN_DATABASE__URL",
            "postgres://me:canary@db.example.org/news?password=canary",
        ),
        ("PRESSRUN_RELAY__MAIN__USERNAME", "me"),
        ("PRESSRUN_RELAY__MAIN__PASSWORD", "canary"),
    ];
    let (_, settings) = parse(MINIMAL, &variables).expect("a whole configuration");
    let text = show::as_toml(&settings);
    let json = show::as_json(&settings);
    assert!(
        !text.contains("canary") && !json.to_string().contains("canary"),
        "{text}"
    );
    assert!(
        text.contains("postgres://me:***@db.example.org/news?***"),
        "{text}"
    );
    assert_eq!(json["publication.name"]["line"], 2);
    assert_eq!(
        json["relay.main.password"]["variable"],
        "PRESSRUN_RELAY__MAIN__PASSWORD"
    );
    assert_eq!(json["http.public"]["origin"], "default");
    let again = text.replace(
        "postgres://me:***@db.example.org/news?***",
        "sqlite:pressrun.db",
    );
    parse(&again, &[]).expect("what is shown reads as a configuration");
}

/// The names a struct takes, as serde tells them when it meets another one.
fn fields_of(section: &str) -> BTreeSet<String> {
    let path = |key: &str| key.replace('*', "main");
    let keys = Schema::get().keys.iter();
    let values: Vec<_> = keys.map(|key| (path(&key.pattern), &key.example)).collect();
    let unknown = toml::Value::Boolean(true);
    let mut root = Node::Section(BTreeMap::new());
    root.insert(&join(section, "aaa_unknown"), &unknown);
    for (path, value) in &values {
        root.insert(path, value);
    }
    let said = Config::deserialize(&root)
        .expect_err("an unknown key")
        .message;
    let (_, list) = said.split_once("expected ").expect(&said);
    list.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The reference file with its examples put in force, as the schema shows them.
fn whole_reference() -> String {
    let mut text = String::new();
    for key in &Schema::get().keys {
        let path = key.pattern.replace('*', "main");
        text.push_str(&format!("{path} = {}\n", key.example));
    }
    text
}

#[test]
fn the_reference_file_lists_every_key_of_the_configuration_and_no_other() {
    let schema = Schema::get();
    let sections: BTreeSet<String> = schema.children("").map(str::to_owned).collect();
    assert_eq!(fields_of(""), sections);
    for section in sections {
        let path = match section.as_str() {
            // A map: its keys are the catalogue's, which the suite compares.
            "lint" => continue,
            "relay" => "relay.main".to_owned(),
            _ => section,
        };
        let documented: BTreeSet<String> = schema.children(&path).map(str::to_owned).collect();
        assert_eq!(fields_of(&path), documented, "{path}");
    }
}

#[test]
fn a_lint_has_a_level_by_its_code_in_the_file_and_in_the_environment() {
    let text = format!("{MINIMAL}[lint]\nsize = \"error\"\n");
    let variable = [("PRESSRUN_LINT__GENERIC_LINK", "off")];
    let (config, _) = parse(&text, &variable).expect("a configuration");
    let level = |code: &str| config.lint.get(code).copied();
    assert_eq!(level("size"), Some(super::Level::Error));
    assert_eq!(level("generic-link"), Some(super::Level::Off));
    assert_eq!(level("clipped"), Some(super::Level::Error));
    let text = format!("{MINIMAL}[lint]\nsize = \"loud\"\nsise = \"off\"\n");
    let error = parse(&text, &[]).expect_err("an error").to_string();
    assert!(error.contains("sise") && error.contains("size"), "{error}");
}

#[test]
fn every_default_is_the_value_that_a_silent_file_gets() {
    let (_, silent) = parse(MINIMAL, &[]).expect("a whole configuration");
    for key in Schema::get()
        .keys
        .iter()
        .filter(|key| key.default.is_some())
    {
        let path = key.pattern.replace('*', "main");
        let got = silent.get(&path).map(|setting| &setting.value);
        assert_eq!(got, key.default.as_ref(), "{path}");
        assert_eq!(pattern_of(&path), key.pattern);
    }
    parse(&whole_reference(), &[]).expect("the examples are a configuration");
}

#[test]
fn every_documented_key_has_a_sentence() {
    let mut sentence = false;
    for line in show::reference().lines() {
        let prose = line.starts_with("# ");
        let key = line.contains(" = ") && !prose;
        assert!(!key || sentence, "`{line}` has no sentence above it");
        // Keys that share a sentence follow each other without a gap.
        sentence = prose || (key && sentence);
    }
}
