//! Who wants nothing counted any more is in no share of old mail either, and is named apart.

use pressrun::clock::Timestamp;
use pressrun::numbers;
use pressrun::token::Claim;
use pressrun::track::{Tracker, fold};

use super::counted::{has, json, page, played, said};
use super::preferences::manage;
use super::privacy::{config, named_by_nobody};
use super::site::{NOON, RUN, TestSite, delivery};
use crate::deliver::rig::until;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    who_withdraws_takes_what_she_did_along_and_is_in_no_share,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(80).await;
        played(&site, 32, 20).await;
        let before = json(&site, &["stats", "week-1", "--json"]);
        assert_eq!(before["judged"]["clicked"]["whole"], 80);
        // One who clicked, one who opened, and one of whom nothing was known.
        for seq in [0, 31, 79] {
            site.post(&manage(&site, seq), "answer=tracking-off").await;
        }
        let told = async |site: &TestSite| {
            let found = json(site, &["stats", "week-1", "--json"]);
            let judged = &found["judged"];
            for (what, part) in [("clicked", 19), ("opened", 30)] {
                assert_eq!(judged[what]["part"], part, "{found:#}");
                assert_eq!(judged[what]["whole"], 77, "{found:#}");
            }
            let left_out = &judged["uncounted"];
            assert_eq!(
                (&left_out["clicks"], &left_out["withdrawn"]),
                (&3.into(), &3.into())
            );
            assert_eq!(judged["clicks"]["human"], 19);
            let links = &found["links"][0]["judged"]["readers"];
            assert_eq!((&links["part"], &links["whole"]), (&19.into(), &77.into()));
            let providers = judged["providers"].as_array().expect("a list");
            let whole = providers
                .iter()
                .map(|one| one["opened"]["whole"].as_i64().unwrap_or(0));
            assert_eq!(whole.sum::<i64>(), 77, "{found:#}");
            // What counts machines counts her, on both sides.
            assert_eq!(found["raw_clicked"], 20);
            assert_eq!(found["rates"]["raw_clicked"], 0.25);
        };
        told(&site).await;
        // Nor is what each of them did told of one, or whether there is anything to tell.
        let log = said(&site, &["events", "week-1"]);
        let of = |seq: &str| -> Vec<Vec<&str>> {
            let lines = log
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>());
            lines.filter(|line| line[0] == seq).collect()
        };
        for seq in ["0", "31", "79"] {
            let lines = of(seq);
            assert_eq!(lines.len(), 1, "{log}");
            assert_eq!(lines[0][2], "withdrawal", "{log}");
            assert!(!lines[0].contains(&"machine"), "{log}");
            let copy = page(&site, &format!("/deliveries/2-{seq}")).await;
            let untold = copy.matches("not told: she wants nothing counted").count();
            assert_eq!(untold, 2, "{copy}");
        }
        assert_eq!(of("1").len(), 2, "{log}");
        let log = json(&site, &["events", "week-1", "--json"]);
        let log = log.as_array().expect("a list");
        let looks = |seq: i64| {
            let own = log.iter().filter(|event| event["delivery"] == seq);
            own.filter(|event| !event["verdict"].is_null()).count()
        };
        assert_eq!((looks(0), looks(1), looks(79)), (0, 2, 0));
        let words = "3 of the 80 copies count nothing, as their readers do not want it (3 of them since they got it)";
        has(
            &said(&site, &["stats", "week-1"]),
            &[words, "shares of the other 77"],
        );
        has(&page(&site, "/runs/2/numbers").await, &[words]);
        has(
            &said(&site, &["stats", "week-1", "--csv"]),
            &["run,,withdrawn,3,"],
        );
        // So it is when everything is judged again, and when she agrees to what comes later.
        fold::judge_again(&site.app.store).await.expect("a fold");
        told(&site).await;
        site.post(&manage(&site, 0), "answer=tracking-on").await;
        site.get(&format!("/c/{}", site.token(Claim::Click(delivery(0), 0))))
            .await;
        site.post(&manage(&site, 0), "answer=tracking-off").await;
        let withdrawn = "select count(*) from events where kind = 'withdrawal'";
        assert_eq!(site.db.number(withdrawn).await, 3);
        let found = json(&site, &["stats", "week-1", "--json"]);
        assert_eq!(found["judged"]["clicked"]["part"], 19);
        assert_eq!(found["judged"]["clicked"]["whole"], 77);
        site.stop().await;
    }
);

on_both!(
    where_nobody_is_named_who_withdraws_or_bounces_stays_and_that_is_said,
    async |engine: Engine| {
        let site = TestSite::with(engine, &config("tracking = \"anonymous\""), |_| {}).await;
        site.seed_run(40).await;
        named_by_nobody(&site).await;
        for seq in 0..10 {
            let open = format!("/o/{}", site.token(Claim::Open(delivery(seq))));
            let agent = (
                "User-Agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            );
            site.send("GET", &open, &[agent], "").await;
        }
        site.post(&manage(&site, 0), "answer=tracking-off").await;
        site.db
            .exec(
                "update deliveries set state = 'bounced' where run_id = 2 and seq = 39;
                 update blocks set sent = 39, bounced = 1 where run_id = 2",
            )
            .await;
        let found = json(&site, &["stats", "week-1", "--json"]);
        let judged = &found["judged"];
        assert_eq!(
            (&judged["opened"]["part"], &judged["opened"]["whole"]),
            (&10.into(), &39.into())
        );
        assert_eq!(judged["uncounted"]["withdrawn"], 1);
        assert_eq!(judged["uncounted"]["opens"], 0);
        let words = [
            "readers want nothing counted any more since they got it (1)",
            "copies came back (1): whoever opened or clicked one before stays counted",
        ];
        has(&said(&site, &["stats", "week-1"]), &words);
        let page = page(&site, "/runs/2/numbers").await;
        for words in words {
            let words = words.replacen(&words[..1], "", 1);
            assert!(page.contains(&words), "{words}: {page}");
        }
        site.stop().await;
    }
);

on_both!(
    what_is_counted_anew_of_an_old_run_is_counted_behind_whoever_serves,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(300).await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let long_ago = Timestamp(NOON.0 - 30 * 86_400_000).0;
        let stale = "select count(*) from blocks where counted_sent < 0";
        site.db
            .exec(&format!(
                "update runs set finished_at = {long_ago} where id = 2;
                 update blocks set counted_sent = -1"
            ))
            .await;
        assert_eq!(site.db.number(stale).await, 2);
        let tracker = Tracker::start(site.app.store.clone(), site.app.clock.clone());
        let counted = async || site.db.number(stale).await == 0;
        assert!(until(counted).await, "nobody has asked for it");
        tracker.close().await;
        site.stop().await;
    }
);
