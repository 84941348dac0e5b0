//! The dry run: hostile and forgetful values of readers, on both databases, and what `send` makes of them.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pressrun::issue::given::Titles;
use pressrun::keyfile;
use pressrun::publication::{Built, Publication, compile_issue};
use pressrun::rehearse::{self, Kind, Report, speed};
use pressrun::store::audience::Whom;

use crate::deliver::rig::{Rig, Wish, readers};
use crate::harness::Engine;
use crate::on_both;

mod leftovers;
mod readers;

const ISSUE: &str = "---\ntitle: Bees\nsubject: \"Bees for [[city|everyone]]\"\n---\n\
                     Hello [[first_name|there]] of [[city|town]], these are the bees.\n";

fn built(rig: &Rig, issue: &str) -> Built {
    let emails = rig.app.emails();
    Publication::write_defaults(&emails).expect("the defaults");
    let fields = "[fields.first_name]\ntype = \"text\"\n[fields.city]\ntype = \"text\"\n";
    std::fs::write(emails.join("fields.toml"), fields).expect("a file");
    std::fs::create_dir_all(emails.join("issues/bees")).expect("a folder");
    std::fs::write(emails.join("issues/bees/issue.md"), issue).expect("a file");
    compile_issue(&rig.app.config, &emails, "bees", &Titles::default()).expect("an issue")
}

/// Kind, field and number of each finding.
fn told(report: &Report) -> Vec<(Kind, &str, u64)> {
    let each = report.findings.iter();
    each.map(|group| (group.kind, group.field.as_str(), group.readers))
        .collect()
}

on_both!(
    hostile_and_forgotten_values_are_told_by_reader_and_field,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(12),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let built = built(&rig, ISSUE);
        let long = "x".repeat(250);
        rig.database
            .raw(&format!(
                "update subscribers set name = 'Ada\r\nBcc: all@example.org' where id = 1;
                 update subscribers set address = 'no address' where id = 2;
                 update subscribers set fields = '{{\"city\": \"a\\u000db\"}}' where id = 3;
                 update subscribers set fields = '{{\"city\": \"{long}\"}}' where id = 4;
                 update subscribers set fields = '{{\"first_name\": \"%FNAME%\"}}' where id = 5;
                 update subscribers set fields = '{{\"first_name\": \"https://win.example\"}}' where id = 6;
                 update subscribers set fields = 'no json' where id = 7;
                 update subscribers set fields = '{{\"other\": \"[[unused]]\"}}' where id = 8;
                 update subscriptions set status = 'unsubscribed' where subscriber_id = 9"
            ))
            .await;
        let mut last = (0, 0);
        let mut named = Vec::new();
        let mut each = |found| {
            named.push(found);
            Ok(())
        };
        let whom = Whom::default();
        let report = rehearse::run(
            &rig.app,
            &built,
            "weekly",
            whom,
            Some(&mut each),
            |done, of| last = (done, of),
        )
        .await
        .expect("a rehearsal");
        assert_eq!((report.readers, last), (11, (11, 11)));
        assert_eq!(
            told(&report),
            [
                (Kind::InvalidAddress, "email", 1),
                (Kind::HeaderInjection, "city", 1),
                (Kind::HeaderInjection, "name", 1),
                (Kind::Unrenderable, "fields", 1),
                (Kind::OverlongSubject, "city", 1),
                (Kind::Leftover, "first_name", 1),
                (Kind::Suspicious, "city", 1),
                (Kind::Suspicious, "first_name", 1),
                (Kind::Suspicious, "name", 1),
            ]
        );
        assert_eq!(named.len(), 9);
        let of = |key| named.iter().find(|named| named.subscriber == key);
        let city = of(3).expect("a finding");
        assert_eq!(
            (city.kind, city.field.as_str()),
            (Kind::HeaderInjection, "city")
        );
        assert_eq!(city.address, "reader2@example.org");
        assert_eq!(of(2).expect("a finding").address, "no address");
        let injection = &report.findings[2].examples[0];
        assert_eq!(
            (injection.subscriber, injection.address.as_str()),
            (1, "r***@example.org")
        );
        assert!(!injection.detail.contains('\r'), "{injection:?}");
        let json = serde_json::to_string(&report).expect("JSON");
        assert!(
            !json.contains("reader0@"),
            "no address leaves unmasked: {json}"
        );
        assert!(
            json.contains("\"subscriber\":\"1\""),
            "a key is no number: {json}"
        );
        assert_eq!(report.refusals(false).count(), 5);
        assert_eq!(report.refusals(true).count(), 4);
        let runs = rig.app.store.run_of("bees").await.expect("a read");
        assert_eq!(runs, None, "a rehearsal begins no run");
    }
);

on_both!(
    the_speed_of_a_run_is_forecast_and_the_publication_is_left_alone,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(40),
            connections: 8,
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let wish = speed::Wish {
            recipients: Some(200),
            direct: true,
            at_most: Duration::from_secs(60),
        };
        let mut last = (0, 0);
        let forecast = speed::run(&rig.app, built(&rig, ISSUE), "weekly", &wish, |done, of| {
            last = (done, of);
        })
        .await
        .expect("a forecast");
        assert_eq!(
            (forecast.recipients, forecast.sent, last),
            (200, 200, (200, 200))
        );
        // All of the list's own readers are at nobody's in particular, so these are.
        let other = forecast.providers.last().expect("a provider");
        assert_eq!((other.provider, other.recipients), ("other", 200));
        assert!(forecast.per_second > 1.0 && forecast.per_second < forecast.connection_limit * 1.2);
        assert!(forecast.finish_seconds >= forecast.first_pass_seconds);
        assert!(forecast.memory_mib > 1);
        let begun = rig.app.store.run_of("bees").await.expect("a read");
        assert_eq!(begun, None, "the publication's own database has no run");
        assert_eq!(
            rig.sink.counts().accepted,
            0,
            "the publication's own relay had no mail"
        );
        let state = rig.app.path(&rig.app.config.paths.state);
        for place in [rig.database.path(), &state] {
            let left = std::fs::read_dir(place).into_iter().flatten().flatten();
            let mut left = left.map(|entry| entry.file_name());
            let own = left.find(|name| name.to_string_lossy().starts_with("rehearsal-"));
            assert_eq!(own, None, "its folder is gone with it");
        }
        let short = speed::Wish {
            recipients: Some(5_000),
            direct: true,
            at_most: Duration::from_secs(2),
        };
        let forecast = speed::run(&rig.app, built(&rig, ISSUE), "weekly", &short, |_, _| ())
            .await
            .expect("a forecast");
        assert!(forecast.sent < 5_000 && forecast.recipients == 5_000);
        assert!(forecast.first_pass_seconds > 2.0, "{forecast:?}");
    }
);

on_both!(
    caps_and_webhooks_of_the_publication_are_left_out_of_a_rehearsal_and_reckoned,
    async |engine: Engine| {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        silent.set_nonblocking(true).expect("a mode");
        let port = silent.local_addr().expect("an address").port();
        let mut rig = Rig::new(engine, Wish::default()).await;
        let rsa = include_str!("../keys/dkim-test.pem").to_owned();
        let ed25519 = keyfile::generate_ed25519().expect("a key");
        for (name, key) in [("rsa.pem", rsa), ("ed.pem", ed25519)] {
            let file = rig.database.path().join(name);
            keyfile::create(&file, "DKIM key", &key).expect("a file");
        }
        let more = format!(
            "per_day = 50\n[dkim]\nkey = \"rsa.pem\"\nselector = \"a\"\ned25519_key = \"ed.pem\"\n\
             ed25519_selector = \"b\"\n\
             [notify]\nto = \"author@desk.example\"\nwebhook = \"http://127.0.0.1:{port}/\"\n\
             webhook_secret = \"a secret of twenty-four\"\nwebhook_private = true"
        );
        rig.more_relays(&more, "").await;
        let wish = speed::Wish {
            recipients: Some(200),
            direct: true,
            at_most: Duration::from_secs(60),
        };
        let forecast = speed::run(&rig.app, built(&rig, ISSUE), "weekly", &wish, |_, _| ());
        let forecast = forecast.await.expect("a forecast");
        assert_eq!(forecast.sent, 200);
        assert_eq!(forecast.bottleneck, speed::Bottleneck::Caps);
        // Fifty today and on each of the three days after it.
        let days = forecast.first_pass_seconds / 86_400.0;
        assert!((2.0..3.01).contains(&days), "{forecast:?}");
        let asked = silent.accept().map(|_| ()).expect_err("nobody was told");
        assert_eq!(asked.kind(), std::io::ErrorKind::WouldBlock);
    }
);

fn pressrun(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the program runs");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let code = output.status.code().expect("an exit code");
    (code, text(&output.stdout), text(&output.stderr))
}

/// A publication with two readers and an issue of this text.
fn publication(issue: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    assert_eq!(pressrun(path, &["init", "."]).0, 0);
    std::fs::create_dir_all(path.join("emails/issues/bees")).expect("a folder");
    std::fs::write(path.join("emails/issues/bees/issue.md"), issue).expect("a file");
    let readers =
        "email,name,first_name\nada@example.org,Ada,Ada\ngrace@example.org,Grace,www.win.example\n";
    std::fs::write(path.join("readers.csv"), readers).expect("a file");
    let (code, out, error) = pressrun(
        path,
        &[
            "subscribers",
            "import",
            "readers.csv",
            "--list",
            "weekly",
            "--consent",
            "made up for a test",
        ],
    );
    assert_eq!(code, 0, "{out}{error}");
    folder
}

const FINE: &str = "---\ntitle: \"Bees, and where they live\"\npreheader: \"Six hives on six roofs, and what \
                    the neighbours say.\"\n---\nHello [[first_name|there]], these are the bees.\n";

#[test]
fn a_rehearsal_reads_well_and_its_exit_code_says_whether_one_may_send() {
    let folder = publication(FINE);
    let (code, out, error) = pressrun(folder.path(), &["rehearse", "bees", "--list", "weekly"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let (head, rest) = out.split_once('\n').expect("lines");
    assert!(
        head.starts_with("`bees` for 2 readers of `weekly`, made in "),
        "{head}"
    );
    let key = rest
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().next());
    let rest = rest.replace(key.expect("a key"), "KEY");
    assert_eq!(
        rest,
        "warning[suspicious] in `first_name`: 1 reader\n  KEY  g***@example.org  `www.win.example` is an \
         address of the web\nwho they are: `pressrun subscribers show KEY`; all of them: `pressrun rehearse bees \
         --list weekly --out findings.csv`\n"
    );
    let (code, _, error) = pressrun(folder.path(), &["rehearse", "bees", "--list", "nowhere"]);
    assert_eq!(code, 1);
    assert!(error.contains("there is no list `nowhere`"), "{error}");
}

#[test]
fn an_issue_goes_to_the_list_asked_for_else_its_own_else_the_publications() {
    let own = FINE.replace("---\nHello", "list: insiders\n---\nHello");
    let folder = publication(&own.replace("these are", "from [[list.name]], these are"));
    let path = folder.path();
    let rehearse = |more: &[&str]| {
        let arguments = [&["rehearse", "bees"], more].concat();
        let (code, out, error) = pressrun(path, &arguments);
        (
            code,
            out.lines().next().unwrap_or_default().to_owned(),
            error,
        )
    };
    let (code, _, error) = rehearse(&[]);
    assert_eq!(code, 1);
    assert!(error.contains("there is no list `insiders`"), "{error}");
    let (code, _, error) = pressrun(path, &["send", "bees", "--yes", "--detach"]);
    assert_eq!(code, 1);
    assert!(error.contains("no list is named `insiders`"), "{error}");

    let add = ["lists", "add", "insiders", "--title", "The Insiders"];
    assert_eq!(pressrun(path, &add).0, 0);
    let add = [
        "subscribers",
        "add",
        "eve@example.org",
        "--list",
        "insiders",
    ];
    let (code, out, error) = pressrun(path, &add);
    assert_eq!(code, 0, "{out}{error}");
    let head =
        |list: &str, readers: u32| format!("`bees` for {readers} readers of `{list}`, made in ");
    let (_, first, error) = rehearse(&[]);
    assert!(first.starts_with(&head("insiders", 1)), "{first}{error}");
    let (_, first, error) = rehearse(&["--list", "weekly"]);
    assert!(first.starts_with(&head("weekly", 2)), "{first}{error}");

    // What is sent names the list that it is sent to.
    for (more, list) in [(&[][..], "insiders"), (&["--list", "weekly"][..], "weekly")] {
        let arguments = [&["send", "bees", "--yes", "--detach"], more].concat();
        let (code, out, error) = pressrun(path, &arguments);
        assert_eq!(code, 0, "{out}{error}");
        let content = frozen(path, list);
        assert!(
            content.contains(&format!("from {list}, these")),
            "{content}"
        );
    }
    std::fs::write(path.join("emails/issues/bees/issue.md"), FINE).expect("a file");
    let (_, first, _) = rehearse(&[]);
    assert!(first.starts_with(&head("weekly", 2)), "{first}");
}

#[test]
fn a_forecast_reads_well_and_nobody_makes_none() {
    let folder = publication(FINE);
    let rehearse = [
        "rehearse",
        "bees",
        "--speed",
        "--recipients",
        "60",
        "--json",
    ];
    let (code, out, error) = pressrun(folder.path(), &rehearse);
    assert_eq!(code, 0, "{error}");
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (
            json["sent"].as_u64(),
            json["providers"][0]["provider"].as_str()
        ),
        (Some(60), Some("smtp"))
    );
    let (code, out, _) = pressrun(folder.path(), &["rehearse", "bees", "--speed"]);
    assert_eq!(code, 0);
    let head = out.lines().next().expect("a line");
    assert_eq!(head, "`bees` to 2 readers of `weekly` over 10 connections");
    assert!(
        out.contains("held up by        nothing that could be told"),
        "{out}"
    );
    let add = ["lists", "add", "monthly", "--title", "Monthly"];
    assert_eq!(pressrun(folder.path(), &add).0, 0);
    let none = ["rehearse", "bees", "--speed", "--list", "monthly"];
    let (code, _, error) = pressrun(folder.path(), &none);
    assert_eq!(code, 1);
    assert!(
        error.contains("`--recipients N` rehearses with as many made-up readers"),
        "{error}"
    );
}

#[test]
fn send_refuses_what_the_lints_and_the_rehearsal_refuse() {
    let folder = publication(&FINE.replace("these are", "TODO"));
    let path = folder.path();
    let send = ["send", "bees", "--yes", "--detach"];
    let (code, _, error) = pressrun(path, &send);
    assert_eq!(code, 1);
    assert!(
        error.contains("error[leftover-note]") && error.contains("was not sent"),
        "{error}"
    );
    let long = FINE.replace("preheader", "subject: \"[[first_name|x]]\"\npreheader");
    std::fs::write(path.join("emails/issues/bees/issue.md"), long).expect("a file");
    alter(
        path,
        &format!(
            "update subscribers set fields = '{{\"first_name\": \"{}\"}}'",
            "y".repeat(150)
        ),
    );
    let (code, _, error) = pressrun(path, &send);
    assert_eq!(code, 1);
    assert!(
        error.contains("error[overlong-subject] in `first_name`: 2 readers"),
        "{error}"
    );
    assert!(
        error.contains("`--skip-rehearsal` sends it all the same"),
        "{error}"
    );
    alter(
        path,
        "update subscribers set name = 'a\nBcc: b' where address like 'ada%'",
    );
    let (code, _, error) = pressrun(
        path,
        &["send", "bees", "--yes", "--detach", "--skip-rehearsal"],
    );
    assert_eq!(code, 1);
    assert!(error.contains("no flag overrides this"), "{error}");
    alter(path, "update subscribers set name = ''");
    let (code, out, error) = pressrun(
        path,
        &["send", "bees", "--yes", "--detach", "--skip-rehearsal"],
    );
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("is begun"), "{out}");
    // The run is under way and was looked at: what changed since does not stop it.
    std::fs::write(
        path.join("emails/issues/bees/issue.md"),
        FINE.replace("these", "TK"),
    )
    .expect("a file");
    let (code, _, error) = pressrun(path, &send);
    assert_eq!(code, 0, "{error}");
}

/// Runs SQL past the program on the SQLite file of a publication.
/// What is frozen of the run to a list.
fn frozen(folder: &Path, list: &str) -> String {
    use sqlx::ConnectOptions;
    let file = folder.join("pressrun.db");
    let mut content = String::new();
    crate::harness::block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut conn = options.connect().await.expect("a connection");
        content = sqlx::query_scalar(
            "select content from runs join lists on lists.id = runs.list_id
             join revisions on revisions.hash = runs.revision where lists.slug = $1",
        )
        .bind(list)
        .fetch_one(&mut conn)
        .await
        .expect("a run of this list");
    });
    content
}

fn alter(folder: &Path, statement: &str) {
    use sqlx::ConnectOptions;
    let file = folder.join("pressrun.db");
    let statement = statement.to_owned();
    crate::harness::block_on(async move {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut conn = options.connect().await.expect("a connection");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut conn)
            .await
            .expect("the test's own SQL");
    });
}
