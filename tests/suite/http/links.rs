//! Tokens, pixel, redirect, view and images over HTTP.

use pressrun::id::{DeliveryKey, RunId, SubscriptionKey};
use pressrun::token::{Claim, Purpose};

use super::site::{NOON, TestSite, delivery, unsubscribe};
use super::wire::Answer;
use crate::harness::Engine;
use crate::on_both;

fn path(purpose: Purpose) -> Option<&'static str> {
    Some(match purpose {
        Purpose::Open => "/o/",
        Purpose::Click => "/c/",
        Purpose::Unsubscribe => "/u/",
        Purpose::Manage => "/preferences/",
        Purpose::Confirm => "/confirm/",
        Purpose::View => "/view/",
        Purpose::Bounce | Purpose::Form | Purpose::Leave => return None,
    })
}

fn claims() -> Vec<Claim> {
    let issued = u32::try_from(NOON.seconds()).expect("before 2106");
    vec![
        Claim::Open(delivery(0)),
        Claim::Click(delivery(0), 0),
        unsubscribe(0),
        Claim::Manage(SubscriptionKey(1000)),
        Claim::Confirm(SubscriptionKey(1000), issued),
        Claim::View(delivery(0)),
        Claim::Bounce(delivery(0)),
        Claim::Leave(SubscriptionKey(1000)),
        Claim::Form {
            issued,
            nonce: 5,
            network: 6,
        },
    ]
}

on_both!(
    every_bad_token_gets_the_same_answer_and_a_good_one_only_at_its_own_path,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let nowhere = site.get("/nowhere").await;
        assert_eq!(nowhere.status, 404);
        let same = |answer: &Answer, what: &str| {
            assert_eq!(answer.status, 404, "{what}");
            assert_eq!(answer.body, nowhere.body, "{what}");
            assert_eq!(answer.headers, nowhere.headers, "{what}");
        };
        for claim in claims() {
            let token = site.token(claim);
            for purpose in Purpose::ALL {
                let Some(path) = path(purpose) else { continue };
                if purpose == Purpose::Open {
                    continue;
                }
                let answer = site.get(&format!("{path}{token}")).await;
                if purpose == claim.purpose() {
                    assert!(matches!(answer.status, 200 | 302), "{purpose:?}");
                } else {
                    same(&answer, &format!("{claim:?} at {path}"));
                }
            }
        }
        let token = site.token(Claim::Click(delivery(0), 0));
        for place in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let flipped = String::from_utf8(bytes).expect("ASCII");
            if flipped != token {
                same(&site.get(&format!("/c/{flipped}")).await, &flipped);
            }
        }
        for other in [
            "",
            "x",
            "%ff",
            "%00",
            &token[1..],
            &format!("{token}A"),
            &format!("{token}="),
        ] {
            same(&site.get(&format!("/c/{other}")).await, other);
        }
        // What PostgreSQL takes in no text is no fault of ours either.
        for path in ["/archive/%00", "/archive/week%001", "/i/%00", "/u/%00"] {
            same(&site.get(path).await, path);
        }
        // Well signed, but for a run, a link or a copy that is not there.
        let gone = DeliveryKey {
            run: RunId(77),
            seq: 0,
        };
        for claim in [Claim::Click(gone, 0), Claim::Click(delivery(0), 9)] {
            same(
                &site.get(&format!("/c/{}", site.token(claim))).await,
                "no such link",
            );
        }
        let view = site.token(Claim::View(delivery(1)));
        same(&site.get(&format!("/view/{view}")).await, "no such copy");
        assert_eq!(site.db.number("select count(*) from events").await, 2);
        site.stop().await;
    }
);

on_both!(
    the_pixel_is_the_same_for_every_token_and_counts_only_a_good_get,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let good = format!("/o/{}", site.token(Claim::Open(delivery(0))));
        let pixel = site.get(&good).await;
        assert_eq!((pixel.status, pixel.body.len()), (200, 43));
        assert_eq!(pixel.header("content-type"), Some("image/gif"));
        assert_eq!(
            pixel.header("cache-control"),
            Some("no-store, no-cache, must-revalidate, private, max-age=0")
        );
        assert_eq!(pixel.header("pragma"), Some("no-cache"));
        assert_eq!(
            pixel.header("cross-origin-resource-policy"),
            Some("cross-origin")
        );
        assert_eq!(pixel.header("set-cookie"), None);
        for bad in ["/o/x", "/o/%ff", "/o/AAAA", &format!("{good}A")] {
            assert_eq!(site.get(bad).await, pixel, "{bad}");
        }
        let head = site.send("HEAD", &good, &[], "").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(site.counter("opens").await, 1);
        let evidence = [("User-Agent", "Mozilla/5.0\tx"), ("Purpose", "prefetch")];
        site.send("GET", &good, &evidence, "").await;
        assert_eq!(site.counter("opens").await, 2);
        assert_eq!(site.counter("opened").await, 1);
        let kept = site
            .db
            .text("select evidence from events where evidence like '%prefetch%'");
        let kept = kept.await.expect("an event");
        assert!(kept.contains("Mozilla/5.0x"), "{kept}");
        assert!(!kept.contains("127.0.0.1"), "{kept}");
        let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
        let after = "select min(after) from delivery_events where run_id = 2 and seq = 0";
        assert_eq!(site.db.number(after).await, 5);
        let heads = "select count(*) from events where evidence like '%head%'";
        assert_eq!(site.db.number(heads).await, 1, "kept as evidence");
        assert_eq!(kept["network"].as_str().map(str::len), Some(16));
        assert_eq!(kept["language"], false);
        site.stop().await;
    }
);

on_both!(
    a_click_goes_to_the_frozen_target_and_nowhere_else,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let link = |link| format!("/c/{}", site.token(Claim::Click(delivery(0), link)));
        let answer = site.get(&link(0)).await;
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location"), Some("https://one.example/a?b=c"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("x-robots-tag"), Some("noindex"));
        assert_eq!(answer.header("set-cookie"), None);
        assert!(answer.body.is_empty());
        // Whatever is hung onto the link, the target stays.
        for extra in [
            "?url=https://evil.example/",
            "?next=//evil.example",
            "#//evil.example",
        ] {
            let answer = site.get(&format!("{}{extra}", link(0))).await;
            assert_eq!(
                answer.header("location"),
                Some("https://one.example/a?b=c"),
                "{extra}"
            );
        }
        for attack in [
            "/c//evil.example",
            "/c/https://evil.example/",
            "//evil.example/%2f..",
            "/%0d%0aLocation:%20https://evil.example/",
            "/c/%0d%0aSet-Cookie:x",
            "/c/..%2f..%2f",
        ] {
            let answer = site.get(attack).await;
            assert_eq!(answer.status, 404, "{attack}");
            assert_eq!(answer.header("location"), None, "{attack}");
        }
        // A target that is no web address is none, even from the table.
        assert_eq!(site.get(&link(2)).await.status, 404);
        let head = site.send("HEAD", &link(1), &[], "").await;
        assert_eq!(head.header("location"), Some("https://two.example/"));
        assert_eq!(site.counter("clicks").await, 4);
        assert_eq!(site.counter("clicked").await, 1);
        assert_eq!(site.counter("opened").await, 0);
        site.stop().await;
    }
);

on_both!(
    looking_at_every_link_three_times_changes_nothing_but_counters,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        site.db
            .exec("update subscriptions set status = 'pending' where key = 101000")
            .await;
        let issued = u32::try_from(NOON.seconds()).expect("before 2106");
        let mut claims = claims();
        claims.push(Claim::Confirm(SubscriptionKey(101_000), issued));
        for method in ["GET", "HEAD", "OPTIONS"] {
            for _ in 0..3 {
                for claim in &claims {
                    let Some(path) = path(claim.purpose()) else {
                        continue;
                    };
                    let path = format!("{path}{}", site.token(*claim));
                    let answer = site.send(method, &path, &[], "").await;
                    assert_ne!(answer.status, 500, "{method} {path}");
                }
                site.send(method, "/subscribe", &[], "").await;
            }
        }
        assert_eq!(site.status(1000).await, "confirmed");
        assert_eq!(site.status(101_000).await, "pending");
        assert_eq!(site.db.number("select count(*) from suppressions").await, 0);
        assert_eq!(site.db.number("select count(*) from system_mails").await, 0);
        assert_eq!(
            site.db
                .number("select count(*) from deliveries where state <> 'sent'")
                .await,
            0
        );
        assert_eq!(
            (site.counter("opens").await, site.counter("clicks").await),
            (3, 3)
        );
        site.stop().await;
    }
);

on_both!(
    test_and_system_mails_have_working_links_that_count_nothing,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.db
            .exec(
                "insert into links (revision, link, url, name)
                 values ('confirm', 0, 'https://test.example/', 'x');
                 insert into deliveries (run_id, seq, subscriber_id, state, due_at)
                 values (1, 0, 0, 'sent', 0);
                 insert into system_mails (run_id, seq, kind, revision, address, data)
                 values (1, 0, 'test', 'confirm', 'me@example.org', '{}')",
            )
            .await;
        let key = DeliveryKey {
            run: RunId::SYSTEM,
            seq: 0,
        };
        let click = site
            .get(&format!("/c/{}", site.token(Claim::Click(key, 0))))
            .await;
        assert_eq!(click.header("location"), Some("https://test.example/"));
        let open = site
            .get(&format!("/o/{}", site.token(Claim::Open(key))))
            .await;
        assert_eq!(open.status, 200);
        let leave = format!(
            "/u/{}",
            site.token(Claim::Unsubscribe(SubscriptionKey(0), key))
        );
        let page = site.get(&leave).await;
        assert!(page.text().contains("This was a test"), "{}", page.text());
        let post = site.post(&leave, "List-Unsubscribe=One-Click").await;
        assert_eq!((post.status, &post.body), (200, &page.body));
        assert_eq!(site.db.number("select count(*) from events").await, 0);
        site.stop().await;
    }
);

on_both!(
    the_copy_in_the_browser_is_sandboxed_and_other_pages_are_shut_tight,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let view = site
            .get(&format!("/view/{}", site.token(Claim::View(delivery(0)))))
            .await;
        assert_eq!(view.status, 200);
        assert!(view.text().contains("the copy"));
        let policy = view
            .header("content-security-policy")
            .expect("a policy")
            .to_owned();
        assert!(policy.starts_with("sandbox allow-popups"), "{policy}");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("script"), "{policy}");
        for path in ["/", "/nowhere", "/healthz", "/readyz", "/style.css"] {
            let answer = site.get(path).await;
            let header = |name| {
                answer
                    .header(name)
                    .unwrap_or_else(|| panic!("{name} at {path}"))
            };
            assert_eq!(
                header("content-security-policy"),
                "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                 base-uri 'none'; frame-ancestors 'none'"
            );
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("referrer-policy"), "no-referrer");
            let found = if path == "/" { "all" } else { "noindex" };
            assert_eq!(header("x-robots-tag"), found, "{path}");
            header("permissions-policy");
            header("cross-origin-opener-policy");
            assert_eq!(answer.header("set-cookie"), None);
            // Plain http on loopback: a promise of https would lock the author out.
            assert_eq!(answer.header("strict-transport-security"), None);
        }
        let wrong = site.send("DELETE", "/", &[], "").await;
        assert_eq!(wrong.status, 405);
        assert!(wrong.header("content-security-policy").is_some());
        assert!(wrong.header("allow").is_some());
        site.stop().await;
    }
);

on_both!(
    images_are_kept_for_ever_and_only_pictures_are_shown,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let (png, svg) = ("a".repeat(64), "b".repeat(64));
        site.db
            .exec(&format!(
                "insert into images (hash, media_type, bytes, created_at)
                 values ('{png}', 'image/png', unhex('89504e47'), 0),
                        ('{svg}', 'image/svg+xml', unhex('3c7376673e'), 0)"
            ))
            .await;
        for _ in 0..2 {
            let image = site.get(&format!("/i/{png}")).await;
            assert_eq!(
                (image.status, image.body.as_slice()),
                (200, b"\x89PNG".as_slice())
            );
            assert_eq!(image.header("content-type"), Some("image/png"));
            assert_eq!(
                image.header("cache-control"),
                Some("public, max-age=31536000, immutable")
            );
            assert_eq!(image.header("x-content-type-options"), Some("nosniff"));
            site.db
                .exec("delete from images where media_type = 'image/png'")
                .await;
        }
        for bad in [
            svg.as_str(),
            "x",
            "../style.css",
            &"A".repeat(64),
            &"c".repeat(64),
        ] {
            assert_eq!(site.get(&format!("/i/{bad}")).await.status, 404, "{bad}");
        }
        site.stop().await;
    }
);

on_both!(
    with_the_database_gone_pixel_and_known_redirects_answer_and_leaving_is_kept,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let click = format!("/c/{}", site.token(Claim::Click(delivery(0), 0)));
        assert_eq!(site.get(&click).await.status, 302);
        assert_eq!(site.get("/readyz").await.status, 200);
        site.app.store.close().await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        assert_eq!(site.get("/healthz").await.status, 200);
        assert_eq!(site.get("/readyz").await.status, 503);
        let leave = format!("/u/{}", site.token(unsubscribe(0)));
        let kept = site.post(&leave, "List-Unsubscribe=One-Click").await;
        assert_eq!(kept.status, 200);
        let journal = site.app.path(&site.app.config.paths.state);
        let journal = std::fs::read_to_string(journal.join("leaving.journal"));
        assert_eq!(journal.expect("a journal").lines().count(), 1);
        // Where nothing can be kept either, nobody is told that she has left.
        let state = site.app.path(&site.app.config.paths.state);
        std::fs::remove_dir_all(&state).expect("a folder");
        std::fs::write(&state, "").expect("a file in its place");
        let refused = site.post(&leave, "List-Unsubscribe=One-Click").await;
        assert_eq!(refused.status, 503);
        let open = format!("/o/{}", site.token(Claim::Open(delivery(0))));
        let (click, open) = tokio::join!(site.get(&click), site.get(&open));
        assert_eq!((click.status, open.status), (302, 200));
        assert_eq!(click.header("location"), Some("https://one.example/a?b=c"));
        assert_eq!(site.status(1000).await, "confirmed");
    }
);
