//! A wrong link put right after sending.

use pressrun::id::{DeliveryKey, RunId};
use pressrun::token::Claim;

use super::site::TestSite;
use crate::deliver::rig::until;
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_wrong_link_is_put_right_everywhere_but_in_what_was_sent,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.publish("bees", "").await;
        let run: i64 = site
            .db
            .number("select id from runs where slug = 'bees'")
            .await;
        let delivery = DeliveryKey {
            run: RunId(run),
            seq: 0,
        };
        let click = format!("/c/{}", site.token(Claim::Click(delivery, 0)));
        let old = "https://one.example/a?b=c&d=e";
        assert_eq!(site.get(&click).await.header("location"), Some(old));
        let feed = site.get("/feed.xml").await.text();
        let content = "select content from revisions where slug = 'bees'";
        let sent = site.db.text(content).await;
        let (code, out, error) =
            site.command(&["links", "bees", "fix", "1", "https://right.example/x y"]);
        assert_eq!(code, Some(0), "{error}");
        assert!(out.starts_with(&format!("link 1 led to {old}\n")), "{out}");
        let right = "https://right.example/x%20y";
        let followed = until(async || site.get(&click).await.header("location") == Some(right));
        assert!(followed.await, "the redirect does not follow");
        let page = site.get("/archive/bees").await.text();
        assert!(
            page.contains(right) && !page.contains("one.example"),
            "{page}"
        );
        let later = site.get("/feed.xml").await.text();
        assert!(later.contains(right) && later != feed);
        assert_eq!(
            site.db.text(content).await,
            sent,
            "the revision is what was sent"
        );
        let frozen = site
            .db
            .text("select url from links where link = 0 and url like '%one%'")
            .await;
        assert_eq!(frozen.as_deref(), Some(old));
        let (_, out, _) = site.command(&["links", "bees", "--json"]);
        let table: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(table["links"][0]["url"], right);
        assert_eq!(table["links"][0]["sent"], old);
        assert_eq!(table["corrections"][0]["old"], old);
        let who = table["corrections"][0]["who"].as_str().expect("a name");
        assert!(who.contains("command line"), "{who}");
        // Its page needed a reader; there is no copy of hers.
        site.db.exec("update runs set recipients = 0").await;
        let (_, out, _) = site.command(&["verify", "bees"]);
        assert!(
            out.contains("balanced") && out.contains(&format!("{old} -> {right}")),
            "{out}"
        );
        for (number, url, complaint) in [
            ("1", "javascript:alert(1)", "no address to send readers to"),
            ("1", right, "leads to"),
            ("9", "https://a.example/", "has 1 links"),
            ("0", "https://a.example/", "has 1 links"),
        ] {
            let (code, _, error) = site.command(&["links", "bees", "fix", number, url]);
            assert_eq!(code, Some(1), "{number} {url}");
            assert!(error.contains(complaint), "{error}");
        }
        let (code, ..) = site.command(&["links", "bees", "fix", "1", "mailto:ada@example.org"]);
        assert_eq!(code, Some(0));
        site.stop().await;
    }
);
