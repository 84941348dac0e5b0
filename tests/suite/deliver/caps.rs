//! Caps, warm-up and kinds of relays: what is counted, for how long, and what a person is told.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pressrun::app::App;
use pressrun::clock::{Clock, Timestamp};
use pressrun::deliver::report::{RelayReport, carried, report};
use pressrun::id::RunId;
use pressrun::run::why::why;
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;

use crate::deliver::rig::{Rig, Wish, readers, script, start, until};
use crate::deliver::system::enqueue;
use crate::harness::{Engine, block_on};
use crate::on_both;

async fn capped(engine: Engine, count: usize, relay: &'static str) -> Rig {
    let wish = Wish {
        readers: readers(count),
        relay,
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}

async fn of(app: &App, name: &str) -> RelayReport {
    let reports = report(app).await.expect("a report");
    let found = reports.into_iter().find(|report| report.name == name);
    found.expect("the relay")
}

/// Time for what must not happen to happen.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

on_both!(
    a_cap_holds_across_a_restart_and_is_told,
    async |engine: Engine| {
        // On PostgreSQL the database's clock counts, and nobody can move it.
        let relay = match engine {
            Engine::Sqlite => "per_hour = 30",
            Engine::Postgres => "per_day = 30",
        };
        let mut rig = capped(engine, 50, relay).await;
        let half_past = Timestamp(1_800_000_000_000 + 30 * 60_000);
        rig.app.clock = Clock::fixed(half_past);
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(30).await;
        let trouble = rig.wait_trouble().await;
        let start = "relay main: 30 of 30 messages ";
        assert!(trouble.starts_with(start), "{trouble}");
        assert!(trouble.contains("; goes on at "), "{trouble}");
        let main = of(&rig.app, "main").await;
        assert_eq!((main.state(), main.caps[0].most), ("full", 30));
        if engine == Engine::Sqlite {
            assert_eq!(main.caps[0].used, 30);
            assert!(trouble.contains("goes on at 09:00 UTC"), "{trouble}");
        }
        sending.stop().await;
        assert_eq!(of(&rig.app, "main").await.state(), "idle");
        let sending = rig.start().await;
        rig.wait_trouble().await;
        a_moment().await;
        assert_eq!(rig.sink.counts().accepted, 30);
        assert_eq!(rig.balanced(run).await.queued, 20);
        if engine == Engine::Sqlite {
            rig.app.clock.advance(Duration::from_secs(31 * 60));
            rig.wait_status(run, RunStatus::Finished).await;
            assert_eq!(rig.trouble().await, "");
            rig.assert_true(run).await;
        }
        sending.stop().await;
    }
);

on_both!(
    a_clock_that_was_ahead_once_leaves_no_cap_closed_for_days,
    async |engine: Engine| {
        let mut rig = capped(engine, 30, "per_day = 20\nper_hour = 20").await;
        let midnight = 1_800_000_000_000 / 86_400_000 * 86_400_000;
        let before = Timestamp(midnight - 30 * 60_000);
        rig.app.clock = Clock::fixed(before);
        // On PostgreSQL it was the database's clock.
        let now = match engine {
            Engine::Sqlite => before,
            Engine::Postgres => Clock::System.now(),
        };
        let ahead = now.after(Duration::from_secs(30 * 86_400));
        for (span, millis) in [("day", 86_400_000), ("hour", 3_600_000)] {
            let began = ahead.0 / millis * millis;
            let used = format!("insert into budgets values ('main', '{span}', {began}, 5)");
            rig.database.raw(&used).await;
        }
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(15).await;
        rig.wait_trouble().await;
        a_moment().await;
        assert_eq!(
            rig.sink.counts().accepted,
            15,
            "what went out then counts now"
        );
        let began = rig.pairs("select began, used from budgets").await;
        let present = |&(began, used): &(i64, i64)| began <= now.0 && used == 20;
        assert!(
            began.len() == 2 && began.iter().all(present),
            "{began:?} at {now:?}"
        );
        if engine == Engine::Sqlite {
            rig.app.clock.advance(Duration::from_secs(31 * 60));
            rig.wait_status(run, RunStatus::Finished).await;
        }
        sending.stop().await;
    }
);

#[test]
fn a_cap_that_is_used_up_while_the_clock_is_ahead_is_asked_for_again_when_it_is_set_right() {
    block_on(async {
        let mut rig = capped(Engine::Sqlite, 50, "per_hour = 30").await;
        let half_past = Timestamp(1_800_000_000_000 + 30 * 60_000);
        let month = 30 * 86_400_000;
        let clock = Arc::new(AtomicI64::new(half_past.0 + month));
        rig.app.clock = Clock::Fixed(clock.clone());
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(30).await;
        rig.wait_trouble().await;
        clock.fetch_sub(month, Ordering::SeqCst);
        a_moment().await;
        assert_eq!(rig.sink.counts().accepted, 30, "what went out counts");
        rig.app.clock.advance(Duration::from_secs(31 * 60));
        rig.wait_accepted(50).await;
        sending.stop().await;
        let counts = rig.app.store.counts(run).await.expect("counters");
        assert_eq!(counts.sent, 50);
    });
}

#[test]
fn two_machines_share_one_cap() {
    block_on(async {
        let rig = capped(Engine::Postgres, 1600, "per_day = 600").await;
        let run = rig.begin().await;
        let other = rig.another("node = \"two\"").await;
        let sending = [rig.start().await, start(&other).await];
        // A twentieth is kept for system mails.
        rig.wait_accepted(570).await;
        let full = async || {
            let main = of(&rig.app, "main").await;
            main.nodes.len() == 2 && main.nodes.iter().all(|node| node.state.state == "full")
        };
        assert!(until(full).await, "{:?}", of(&rig.app, "main").await);
        a_moment().await;
        assert_eq!(rig.sink.counts().accepted, 570);
        for sending in sending {
            sending.stop().await;
        }
        assert_eq!(rig.balanced(run).await.sent, 570);
    });
}

/// [`capped`], and a relay `spare` behind it that takes its time.
async fn with_spare(engine: Engine, count: usize, relay: &'static str) -> (Rig, Sink) {
    let mut rig = capped(engine, count, relay).await;
    let slow = SinkOptions {
        delay: Duration::from_millis(40),
        ..SinkOptions::default()
    };
    let spare = Sink::bind(slow).await.expect("a sink");
    let url = spare.url();
    let relays =
        format!("[relay.spare]\ntls = \"none\"\nconnections = 4\npriority = 2\nurl = \"{url}\"");
    rig.more_relays(&relays, "relay = \"all\"").await;
    (rig, spare)
}

async fn sentence(rig: &Rig, run: RunId) -> String {
    let run = rig.run(run).await;
    why(&rig.app, &run).await.expect("a sentence").sentence
}

on_both!(
    what_a_full_relay_may_not_carry_goes_through_the_next_and_why_says_so,
    async |engine: Engine| {
        let (rig, spare) = with_spare(engine, 110, "per_day = 30").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let end = "00:00 UTC; mail goes out through spare";
        let told = until(async || sentence(&rig, run).await.ends_with(end)).await;
        let said = sentence(&rig, run).await;
        assert!(told, "{said}");
        let full = "; relay main: 30 of 30 messages today; goes on at ";
        assert!(said.contains(full), "{said}");
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        assert_eq!(rig.sink.counts().accepted, 30);
        assert_eq!(spare.counts().accepted, 80);
        assert_eq!(rig.balanced(run).await.sent, 110);
    }
);

on_both!(
    a_full_relay_is_waited_for_where_the_configuration_says_so,
    async |engine: Engine| {
        let caps = "per_day = 30\nwhen_full = \"wait\"";
        let (rig, spare) = with_spare(engine, 110, caps).await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(30).await;
        let trouble = rig.wait_trouble().await;
        let end = "what is queued waits, and no reader is charged";
        assert!(trouble.ends_with(end), "{trouble}");
        let said = sentence(&rig, run).await;
        assert!(
            said.contains("rests since") && said.contains("and it goes on"),
            "{said}"
        );
        a_moment().await;
        sending.stop().await;
        assert_eq!(spare.counts().accepted, 0);
        assert_eq!(rig.balanced(run).await.queued, 80);
    }
);

on_both!(
    what_a_second_does_not_allow_one_relay_goes_through_the_next,
    async |engine: Engine| {
        let (rig, spare) = with_spare(engine, 150, "per_second = 8").await;
        let run = rig.begin().await;
        // Else it may be over before it is told.
        spare.hold_after(8);
        let sending = rig.start().await;
        let both = "; relay main: is at its 8 messages a second; mail goes out through main, spare";
        let told = until(async || sentence(&rig, run).await.ends_with(both)).await;
        assert!(told, "{}", sentence(&rig, run).await);
        spare.release();
        rig.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        let (first, next) = (rig.sink.counts().accepted, spare.counts().accepted);
        assert_eq!(first + next, 150);
        assert!(first >= 2 && next > first, "{first} and {next}");
    }
);

on_both!(
    a_cap_per_second_is_spread_over_the_second,
    async |engine: Engine| {
        let rig = capped(engine, 100, "per_second = 40").await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let times: Vec<i64> = rig.sink.accepted().iter().map(|m| m.time.0).collect();
        assert_eq!(times.len(), 100);
        // A quarter at once, then one after the other; and some for a machine that is busy.
        let within = |from: i64| {
            times
                .iter()
                .filter(|&&at| (from..from + 1000).contains(&at))
                .count()
        };
        let most = times.iter().map(|&from| within(from)).max();
        assert!(
            most.is_some_and(|most| most <= 70),
            "{most:?} in one second"
        );
    }
);

on_both!(
    a_warm_up_ends_the_day_after_two_hundred_and_says_so,
    async |engine: Engine| {
        let mut rig = capped(engine, 260, "").await;
        let today = Clock::System.now().to_jiff().strftime("%Y-%m-%d");
        rig.more_relays(&format!("warmup = \"{today}\""), "").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_accepted(190).await;
        let trouble = rig.wait_trouble().await;
        let expected =
            "relay main: warm-up of news.example.org: 190 of 200 today; goes on at 00:00 UTC";
        assert!(trouble.starts_with(expected), "{trouble}");
        a_moment().await;
        assert_eq!(rig.sink.counts().accepted, 190);
        // Ten are kept for those who wait for a mail of their own.
        for number in 0..12 {
            enqueue(&rig, &format!("new{number}@system.example")).await;
        }
        rig.wait_accepted(200).await;
        a_moment().await;
        sending.stop().await;
        assert_eq!(rig.sink.counts().accepted, 200);
        assert_eq!(rig.balanced(run).await.queued, 70);
        assert_eq!(rig.balanced(RunId::SYSTEM).await.queued, 2);
        let main = of(&rig.app, "main").await;
        assert!(main.caps[0].warm_up && main.caps[0].used == 200, "{main:?}");
    }
);

#[test]
fn each_kind_of_relay_is_signed_and_headed_as_it_wants() {
    block_on(async {
        let mut rig = capped(Engine::Sqlite, 60, "weight = 1").await;
        let ses = Sink::bind(SinkOptions::default()).await.expect("a sink");
        let key = rig.database.path().join("dkim.pem");
        std::fs::write(&key, include_str!("../../keys/dkim-test.pem")).expect("the key");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, private).expect("a mode");
        let relays = format!(
            "[relay.amazon]\nkind = \"ses\"\nstream = \"news\"\ntls = \"none\"\nweight = 1\n\
             url = \"{}\"\n[dkim]\nkey = \"dkim.pem\"",
            ses.url()
        );
        rig.more_relays(&relays, "relay = \"main, amazon\"").await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let heads = |sink: &Sink| -> Vec<String> {
            let messages = sink.accepted();
            let text = |m: &pressrun::smtp::sink::record::Accepted| {
                String::from_utf8_lossy(&m.message).into_owned()
            };
            messages.iter().map(text).collect()
        };
        let (ours, theirs) = (heads(&rig.sink), heads(&ses));
        assert!(
            ours.len() > 10 && theirs.len() > 10,
            "{} {}",
            ours.len(),
            theirs.len()
        );
        for mail in ours {
            assert!(mail.starts_with("DKIM-Signature: "), "{mail}");
            assert!(!mail.contains("X-SES-"), "{mail}");
        }
        for mail in theirs {
            assert!(!mail.contains("DKIM-Signature"), "{mail}");
            assert!(
                mail.contains("\r\nX-SES-CONFIGURATION-SET: news\r\n"),
                "{mail}"
            );
        }
        let rows = rig.rows(run).await;
        let by = |name: &str| {
            let relays = rows.iter().map(|row| carried(&rig.app, row).relay);
            relays
                .filter(|relay| relay.as_deref() == Some(name))
                .count()
        };
        assert_eq!(by("amazon"), ses.accepted().len());
        assert_eq!(by("main"), rig.sink.accepted().len());
        let amazon = of(&rig.app, "amazon").await;
        assert_eq!((amazon.signed, amazon.rewrites), (false, true));
    });
}

#[test]
fn pressrun_relay_lists_shows_and_logs_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let pressrun = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pressrun"))
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .expect("pressrun");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), text + &error)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let options = SinkOptions {
        auth: Some(("ann".into(), "secret".into())),
        ..SinkOptions::default()
    };
    let sink = runtime.block_on(Sink::bind(options)).expect("a sink");
    let (code, said) = pressrun(&["init", "."]);
    assert_eq!(code, 0, "{said}");
    let config = format!(
        "[publication]\nname = \"The Weekly\"\nurl = \"https://news.example.org\"\n\
         postal_address = \"1 Press Lane\"\n[from]\naddress = \"author@news.example.org\"\n\
         [relay.main]\nurl = \"{}\"\ntls = \"none\"\nusername = \"ann\"\npassword = \"secret\"\n\
         per_day = 5000\n[relay.spare]\nkind = \"postmark\"\nurl = \"smtps://spare.example\"\n\
         priority = 2\n",
        sink.url()
    );
    std::fs::write(folder.path().join("pressrun.toml"), config).expect("the configuration");
    let (code, said) = pressrun(&["relay", "list"]);
    assert_eq!(code, 0, "{said}");
    let expected = "\
relay  kind      in use  priority  weight  state  today
main   smtp      yes            1       0  idle   0 of 5000
spare  postmark  no             2       0  idle
";
    assert_eq!(said, expected);
    let (code, said) = pressrun(&["relay", "show", "main"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("per day      0 of 5000 used; anew at "),
        "{said}"
    );
    let (code, said) = pressrun(&["relay", "test", "main"]);
    assert_eq!(code, 0, "{said}");
    for words in [
        "relay main lets us in",
        "login       accepted",
        "PIPELINING",
    ] {
        assert!(said.contains(words), "`{words}` in {said}");
    }
    sink.set_script(script("auth-535-5.7.8"));
    let (code, said) = pressrun(&["relay", "test", "main"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("relay main: ") && said.contains("535"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
    let (code, said) = pressrun(&["relay", "test", "main", "--json"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("\"ok\": false"), "{said}");
    let (code, said) = pressrun(&["relay", "test", "nobody"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("there are `main`, `spare`"), "{said}");
    assert_eq!(sink.counts().accepted, 0);
}
