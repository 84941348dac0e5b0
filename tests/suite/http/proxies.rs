//! Proxies that load images, where events name nobody: told apart as by name, and counted as by name.

use pressrun::token::Claim;
use pressrun::track::fold;

use super::privacy::named_by_nobody;
use super::site::{TestSite, delivery};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    apples_proxy_counts_for_nobody_and_gmails_for_a_reader_without_names_too,
    async |engine: Engine| {
        let words = [("[signup]", "[privacy]\ntracking = \"anonymous\"\n[signup]")];
        let site = TestSite::with(engine, &TestSite::config(&words), |_| {}).await;
        site.seed_run(257).await;
        named_by_nobody(&site).await;
        let agent = "Mozilla/5.0 (X11; Linux) Firefox/133.0";
        // Apple's proxy counts for nobody, Gmail's for a reader, and both are told apart; who also opens herself is
        // one reader, by the best of what she did.
        let proxies = [
            (2, "Mozilla/5.0"),
            (2, "Mozilla/5.0"),
            (3, "Mozilla/5.0"),
            (
                4,
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            ),
            (3, agent),
        ];
        for (seq, agent) in proxies {
            let open = format!("/o/{}", site.token(Claim::Open(delivery(seq))));
            site.send("GET", &open, &[("User-Agent", agent)], "").await;
        }
        assert_eq!(site.counter("opened").await, 2);
        let (_, json, _) = site.command(&["stats", "week-1", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let judged = &json["judged"];
        assert_eq!(judged["opened"]["part"], 2);
        let openers =
            ["human", "gmail", "apple", "unsure"].map(|who| judged["openers"][who].as_i64());
        assert_eq!(openers, [Some(1), Some(1), Some(1), Some(0)]);
        assert_eq!(
            (&judged["opens"]["apple"], &judged["opens"]["gmail"]),
            (&3.into(), &1.into())
        );
        let (_, told, _) = site.command(&["stats", "week-1"]);
        assert!(
            told.contains("1 more reader is counted by Apple's proxy alone"),
            "{told}"
        );
        let page = site.ask_admin("/runs/2/numbers", "localhost").await.text();
        assert!(
            page.contains("1 more reader is counted by it alone"),
            "{page}"
        );
        assert!(fold::judge_again(&site.app.store).await.is_ok());
        let (_, again, _) = site.command(&["stats", "week-1", "--json"]);
        assert!(
            again.contains("\"apple\":3") || again.contains("\"apple\": 3"),
            "{again}"
        );
        site.stop().await;
    }
);
