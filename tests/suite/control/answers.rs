//! What is asked of a run that waits before it is moved or gets another content, and which run is meant.

use pressrun::clock::Timestamp;
use pressrun::id::RunId;
use pressrun::schedule::shown;
use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::{Desk, ISSUE};
use crate::harness::{Engine, block_on};
use crate::on_both;

/// A desk with three runs of long ago, at 06:00 UTC.
async fn habits(engine: Engine) -> Desk {
    let desk = Desk::new(engine, 3, SinkOptions::default()).await;
    for slug in ["one", "two", "three"] {
        desk.write(slug, &ISSUE.replace("Bees", &format!("Issue {slug}")));
        let sent = desk.run(&["send", slug, "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
    }
    let morning = 1_760_508_000_000_i64;
    desk.raw(&format!(
        "update runs set started_at = {morning} where id > 1"
    ))
    .await;
    desk
}

on_both!(
    another_hour_and_another_content_are_asked_about_like_the_first,
    async |engine: Engine| {
        let desk = habits(engine).await;
        let promo = ":::promo {code=BEES until=2037-01-21 url=https://example.org/}\n\nTen percent off.\n\n:::\n";
        desk.write("bees", &format!("{ISSUE}\n{promo}"));
        let begun = desk
            .run(&["send", "bees", "--yes", "--at", "2037-01-20 07:00 UTC"])
            .await;
        assert_eq!(begun.code, 0, "{begun:?}");
        let later = ["reschedule", "bees", "--at", "2037-01-25 19:00 UTC"];
        let asked = desk.run(&later).await;
        assert_eq!(asked.code, 5, "{asked:?}");
        for words in [
            "guard[hour]: it would start Sun 25 Jan 2037 19:00",
            "guard[promo-date]: the offer ends on 2037-01-21",
            "error: `bees` was not moved: `--accept hour --accept promo-date` moves it all the same",
        ] {
            assert!(asked.error.contains(words), "{asked:?}");
        }
        let accept = ["--accept", "hour", "--accept", "promo-date"];
        let moved = desk.run(&[&later[..], &accept].concat()).await;
        assert_eq!(moved.code, 0, "{moved:?}");
        assert_eq!(moved.out, "it starts Sun 25 Jan 2037 19:00 UTC\n");
        let paused = desk.run(&["pause", "bees"]).await;
        assert_eq!(paused.code, 0, "{paused:?}");
        let moved = desk
            .run(&["reschedule", "bees", "--at", "2037-01-20 07:00 UTC"])
            .await;
        let words = "its hour is Tue 20 Jan 2037 07:00 UTC, and it is paused: `pressrun resume bees` lets it start \
                     then\n";
        assert_eq!((moved.code, moved.out.as_str()), (0, words), "{moved:?}");
        // The content under which another issue went out.
        desk.write("bees", &ISSUE.replace("Bees", "Issue  TWO"));
        let replace = ["send", "bees", "--yes", "--replace"];
        let asked = desk.run(&replace).await;
        assert_eq!(asked.code, 5, "{asked:?}");
        assert!(
            asked
                .error
                .contains("guard[same-subject]: the list had the subject")
                && asked
                    .error
                    .contains("`--accept same-subject` replaces it all the same"),
            "{asked:?}"
        );
        let replaced = desk
            .run(&[&replace[..], &["--accept", "same-subject"]].concat())
            .await;
        assert_eq!(replaced.code, 0, "{replaced:?}");
        let moved = desk.run(&[&later[..], &accept].concat()).await;
        assert!(
            !moved.error.contains("note:"),
            "the folder holds what it sends: {moved:?}"
        );
        // What has not begun is taken back, also while it is paused.
        let taken = desk.run(&["cancel", "bees"]).await;
        assert_eq!(taken.out, "taken back: nothing was sent\n");
    }
);

#[test]
fn the_second_subject_and_the_readers_own_hour_are_asked_about() {
    block_on(async {
        let desk = habits(Engine::Sqlite).await;
        let subject = "Issue two, and where they live";
        let tested = ["send", "bees", "--yes", "--subject-b", subject];
        let asked = desk.run(&tested).await;
        assert_eq!(asked.code, 5, "{asked:?}");
        let words =
            format!("guard[same-subject]: the list had the subject `{subject}` before: `two`");
        assert!(asked.error.contains(&words), "{asked:?}");
        let night = ["send", "bees", "--yes", "--at-local", "23:00"];
        let asked = desk.run(&night).await;
        assert_eq!(asked.code, 5, "{asked:?}");
        let words = "guard[hour]: it would come at 23:00 by each reader's own clock";
        assert!(asked.error.contains(words), "{asked:?}");
        let longer = ["--at", "2037-01-20 07:00 UTC", "--undo", "9000d"];
        let begun = desk
            .run(&[&["send", "bees", "--yes", "--accept", "hour"][..], &longer].concat())
            .await;
        assert_eq!(begun.code, 0, "{begun:?}");
        let words = ", and not Tue 20 Jan 2037 07:00 UTC: the time to take it back is longer";
        assert!(begun.error.contains(words), "{begun:?}");
    });
}

on_both!(
    another_content_goes_to_the_run_of_its_list,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        desk.schedule_for_two_lists().await;
        let app = desk.app().await;
        let content = async || {
            let runs = app.store.runs_of("bees").await.expect("a read");
            let mut runs: Vec<_> = runs.into_iter().map(|run| (run.id, run.revision)).collect();
            runs.sort_unstable();
            runs.into_iter()
                .map(|(_, revision)| revision)
                .collect::<Vec<_>>()
        };
        let before = content().await;
        desk.write("bees", &ISSUE.replace("the bees", "the wasps"));
        let replaced = desk
            .run(&["send", "bees", "--yes", "--replace", "--list", "weekly"])
            .await;
        assert_eq!(replaced.code, 0, "{replaced:?}");
        assert!(
            replaced.out.contains("replaced; `bees` (run 2)"),
            "{replaced:?}"
        );
        let after = content().await;
        assert_ne!(before[0], after[0], "the weekly's");
        assert_eq!(before[1], after[1], "the friends'");
    }
);

#[test]
fn a_run_that_waits_is_told_however_many_came_after_it() {
    block_on(async {
        let desk = Desk::new(Engine::Sqlite, 3, SinkOptions::default()).await;
        let begun = desk
            .run(&["send", "bees", "--yes", "--at", "2037-07-20 07:00"])
            .await;
        assert_eq!(begun.code, 0, "{begun:?}");
        let later = (3..30).map(|id| {
            format!(
                "insert into runs (id, kind, slug, title, headers, relay, policy, status, cutoff, frozen_to,
                     recipients, created_at)
                 values ({id}, 'issue', 'wasps', 'Wasps', '{{}}', '', 'hold', 'cancelled', 0, 0, 0, 0);"
            )
        });
        desk.raw(&later.collect::<String>()).await;
        for command in ["why", "status"] {
            let said = desk.run(&[command]).await;
            assert!(said.out.contains("is scheduled and starts"), "{said:?}");
        }
    });
}

on_both!(
    the_size_of_a_run_is_compared_without_those_who_are_suppressed,
    async |engine: Engine| {
        let desk = Desk::new(engine, 12, SinkOptions::default()).await;
        desk.raw(
            "insert into suppressions (hash, reason, created_at)
             select hash, 'bounced', 0 from subscribers where address not like 'reader1%'",
        )
        .await;
        for slug in ["one", "two", "three"] {
            desk.write(slug, &ISSUE.replace("Bees", &format!("Issue {slug}")));
            let sent = desk.run(&["send", slug, "--yes"]).await;
            assert_eq!(sent.code, 0, "{sent:?}");
        }
        assert_eq!(desk.sink.counts().accepted, 9, "three of the twelve");
        let fourth = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(fourth.code, 0, "nothing is unusual: {fourth:?}");
        // All of them again: that is four times as many.
        desk.raw("delete from suppressions").await;
        desk.write("more", &ISSUE.replace("Bees", "Issue more"));
        let asked = desk.run(&["send", "more", "--yes"]).await;
        assert_eq!(asked.code, 5, "{asked:?}");
        let words = "guard[audience]: it would go to 12 readers; the last 4 runs went to 3 in the middle, 3 to 3";
        assert!(asked.error.contains(words), "{asked:?}");
    }
);

on_both!(
    who_sends_from_a_domain_that_is_not_the_sender_s_is_asked_and_straight_to_the_hosts_refused,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        desk.write("bees", ISSUE);
        desk.configure("from.address", "\"ada@gmail.com\"");
        let asked = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(asked.code, 5, "{asked:?}");
        assert!(
            asked.error.contains("guard[sender]: receivers will refuse"),
            "{asked:?}"
        );
        assert_eq!(desk.sink.counts().accepted, 0);
        let file = desk.news().join("pressrun.toml");
        let through_relay = std::fs::read_to_string(&file).expect("a file");
        let straight = |line: &str| match line.starts_with("url = \"smtp") {
            true => "kind = \"mx\"\nurl = \"mx:\"\n".to_owned(),
            false => format!("{line}\n"),
        };
        let direct: String = through_relay.lines().map(straight).collect();
        std::fs::write(&file, direct).expect("a file");
        desk.configure("publication.postal_address", "\"Street and number, Town\"");
        let accepted = ["send", "bees", "--yes", "--accept", "sender"];
        let refused = desk.run(&accepted).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused
                .error
                .contains("`publication.postal_address` in the configuration still says"),
            "{refused:?}"
        );
        desk.configure("publication.postal_address", "\"6 Roof Row, Hive\"");
        let refused = desk.run(&accepted).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.error.contains("it would come from `gmail.com`"),
            "{refused:?}"
        );
        // A mail server on this machine, or a tunnel to one, brings it to readers as well.
        for port in [25, 2587] {
            let near = |line: &str| match line.starts_with("url = \"smtp") {
                true => format!("url = \"smtp://127.0.0.1:{port}\"\n"),
                false => format!("{line}\n"),
            };
            let near: String = through_relay.lines().map(near).collect();
            std::fs::write(&file, near).expect("a file");
            desk.configure("publication.postal_address", "\"Street and number, Town\"");
            desk.configure("publication.name", "\"My Newsletter\"");
            let refused = desk.run(&accepted).await;
            assert_eq!(refused.code, 1, "{refused:?}");
            let words = "`publication.name` and `publication.postal_address` in the configuration still say what";
            assert!(refused.error.contains(words), "{port}: {refused:?}");
        }
        std::fs::write(&file, through_relay).expect("a file");
        let sent = desk.run(&accepted).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert_eq!(desk.sink.counts().accepted, 3);
    }
);

on_both!(
    who_sends_sees_the_mail_the_readers_the_relay_and_the_hour_before_saying_yes,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        desk.configure("from.reply_to", "\"desk@example.com\"");
        let issue = ISSUE.replace(
            "---\nHello",
            "subject: \"Bees for [[first_name|you]]\"\n---\nHello",
        );
        desk.write("bees", &issue);
        let relay = desk.sink.url().replace("smtp://", "");
        let relay = format!("  relay      main ({relay})\n");
        let at = ["send", "bees", "--at", "2037-07-20 7am Europe/Berlin"];
        let asked = desk.run(&at).await;
        assert_eq!(asked.code, 1, "{asked:?}");
        for line in [
            "  subject    Bees for [[first_name|you]]\n",
            "  preheader  Six hives on six roofs, and what the neighbours say.\n",
            "  from       The Weekly <news@example.com>\n",
            "  reply to   desk@example.com\n",
            "  list       weekly\n",
            "  readers    40\n",
            &relay,
            "  starts     Mon 20 Jul 2037 07:00 Europe/Berlin\n",
        ] {
            assert!(asked.error.contains(line), "{line}: {asked:?}");
        }
        let two = [
            "send",
            "bees",
            "--subject-b",
            "Six hives",
            "--to",
            "domain:example.org",
        ];
        let asked = desk.run(&two).await;
        for line in [
            "  or         Six hives\n",
            "  list       weekly, who are in `domain:example.org`\n",
            "  starts     at once\n",
        ] {
            assert!(asked.error.contains(line), "{line}: {asked:?}");
        }
        let asked = desk.run(&["send", "bees", "--undo", "60s"]).await;
        assert!(
            asked.error.contains(", unless it is taken back before\n"),
            "{asked:?}"
        );
        assert!(!asked.error.contains("at once"), "{asked:?}");
        let local = ["send", "bees", "--at", "2037-07-20", "--at-local", "7am"];
        let asked = desk.run(&local).await;
        let line = "  starts     Mon 20 Jul 2037 07:00 by each reader's own clock\n";
        assert!(asked.error.contains(line), "{asked:?}");
        // Whoever said yes is asked nothing, and one who said a day in words reads the day.
        let tomorrow = || {
            let now = pressrun::clock::Clock::System.now().to_jiff();
            let then = now + jiff::SignedDuration::from_hours(24);
            then.strftime("%a %-d %b %Y 19:30 UTC").to_string()
        };
        let before = tomorrow();
        let begun = desk
            .run(&["send", "bees", "--yes", "--at", "tomorrow 7:30pm UTC"])
            .await;
        assert_eq!(begun.code, 0, "{begun:?}");
        assert!(!begun.error.contains("  preheader  "), "{begun:?}");
        // Midnight may have come in between.
        let days = [before, tomorrow()];
        assert!(
            days.iter().any(|day| begun.error.contains(day)),
            "{begun:?}"
        );
    }
);

on_both!(
    why_a_reader_got_nothing_is_told_by_what_was_so_when_the_readers_were_copied,
    async |engine: Engine| {
        let desk = Desk::new(engine, 2, SinkOptions::default()).await;
        desk.raw("update subscriptions set status = 'paused' where subscriber_id = (select id from subscribers where address = 'reader0@example.org')")
            .await;
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let late = ["subscribers", "add", "late@example.org", "--list", "weekly"];
        let late = desk
            .run(&[&late[..], &["--status", "confirmed"]].concat())
            .await;
        assert_eq!(late.code, 0, "{late:?}");
        // One left while it was sent, one joined while the readers were copied.
        desk.raw(
            "update runs set started_at = cutoff + 60000, finished_at = cutoff + 120000 where id = 2;
             update subscriptions set status = 'unsubscribed', left_at = (select cutoff + 90000 from runs where id = 2)
             where subscriber_id = (select id from subscribers where address = 'reader0@example.org');
             update subscriptions set confirmed_at = (select cutoff + 30000 from runs where id = 2)
             where subscriber_id = (select id from subscribers where address = 'late@example.org')",
        )
        .await;
        let app = desk.app().await;
        let run = app.store.run(RunId(2)).await.expect("a read");
        let cutoff = Timestamp(run.expect("a run").cutoff);
        let copied = format!(
            "the run copied its readers from {} on, and nothing kept of her today says why",
            shown(cutoff, &app.config.publication.timezone)
        );
        for (who, why) in [
            ("reader0@example.org", copied.as_str()),
            ("late@example.org", "she joined `weekly` on"),
        ] {
            let told = desk.run(&["deliveries", "show", "bees", who]).await;
            assert!(told.code == 1 && told.error.contains(why), "{told:?}");
        }
    }
);
