//! The author's Monday at the pages: a run followed, stopped and moved, and what exactly a reader got.

use std::sync::Arc;
use std::time::Duration;

use pressrun::clock::Timestamp;
use pressrun::id::RunId;
use pressrun::keyfile;
use pressrun::publication::Publication;
use pressrun::status::RunStatus;
use pressrun::store::runs::Plan;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::author::Author;
use crate::deliver::rig::{Rig, Wish, readers, until};
use crate::harness::Engine;
use crate::on_both;

const SIGNED: &str = "[dkim]\nselector = \"press\"\nkey = \"dkim.pem\"\n\
    ed25519_selector = \"press-ed\"\ned25519_key = \"dkim-ed.pem\"\n";

async fn rig(engine: Engine, count: usize) -> Rig {
    let wish = Wish {
        readers: readers(count),
        sections: SIGNED.to_owned(),
        ..Wish::default()
    };
    let rig = Rig::new(engine, wish).await;
    let rsa = keyfile::generate_rsa().expect("a key");
    let ed25519 = keyfile::generate_ed25519().expect("a key");
    for (file, pem) in [("dkim.pem", rsa), ("dkim-ed.pem", ed25519)] {
        let path = rig.database.path().join(file);
        keyfile::create(&path, "DKIM key", &pem).expect("a file");
    }
    rig
}

on_both!(
    a_message_is_made_again_octet_for_octet_with_both_its_signatures,
    async |engine: Engine| {
        let rig = rig(engine, 6).await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let author = Author::of(&rig.app).await;
        let accepted = rig.sink.accepted();
        for row in rig.rows(run).await {
            let address = row.address.expect("an address");
            let sent = accepted.iter().find(|mail| mail.rcpt == [address.clone()]);
            let sent = &sent.expect("a message").message;
            assert!(
                String::from_utf8_lossy(sent)
                    .matches("DKIM-Signature:")
                    .count()
                    == 2
            );
            let path = format!("/deliveries/{run}-{}", row.seq);
            let again = author.get(&format!("{path}/message.eml")).await;
            assert_eq!(again.status, 200);
            assert_eq!(
                String::from_utf8_lossy(&again.body),
                String::from_utf8_lossy(sent)
            );
            assert_eq!(again.header("content-type"), Some("message/rfc822"));
            let page = author.get(&path).await.text();
            assert!(page.contains(&address), "{page}");
            assert!(!page.contains("left out"), "{page}");
            let shown = author.get(&format!("{path}/view")).await;
            let policy = shown.header("content-security-policy").expect("a policy");
            assert!(policy.starts_with("sandbox;"), "{policy}");
            assert!(
                policy.contains("img-src https://news.example.org/i/ data:;"),
                "{policy}"
            );
            assert!(shown.text().contains("Dear R "), "{}", shown.text());
        }
        // The key is gone: that is told, and not passed over.
        std::fs::remove_file(rig.database.path().join("dkim.pem")).expect("a file");
        let page = author.get(&format!("/deliveries/{run}-0")).await.text();
        assert!(page.contains("its DKIM signature is left out"), "{page}");
        for missing in ["99-0", "2-99", "x", "2-", "2--1"] {
            assert_eq!(
                author.get(&format!("/deliveries/{missing}")).await.status,
                404
            );
        }
        author.stop().await;
    }
);

/// A run to everyone that waits for tomorrow, behind three of long ago, at 06:00 UTC.
async fn waiting(rig: &Rig) -> RunId {
    for slug in ["one", "two", "three"] {
        let run = rig.begin().await;
        rig.finish(run).await;
        let ago =
            format!("update runs set slug = '{slug}', started_at = 1760508000000 where id = {run}");
        rig.database.raw(&ago).await;
    }
    let plan = Plan {
        start: Some(rig.app.clock.now().after(Duration::from_secs(86_400))),
        zone: Some("UTC".into()),
        ..Plan::default()
    };
    rig.begin_as(&plan, "Little").await
}

on_both!(
    an_unusual_hour_needs_the_tick_before_a_run_is_moved_to_it,
    async |engine: Engine| {
        let rig = rig(engine, 4).await;
        let run = waiting(&rig).await;
        let before = rig.run(run).await.start_at;
        let author = Author::of(&rig.app).await;
        let path = format!("/runs/{run}");
        let page = author.get(&path).await.text();
        assert!(page.contains("name=\"accept\" value=\"yes\""), "{page}");
        let at = "at=2099-03-04T19%3A00";
        for untold in [at.to_owned(), format!("{at}&accept=no")] {
            let refused = author.press(&format!("{path}/reschedule"), &untold).await;
            assert_eq!(refused.status, 409);
            let text = refused.text();
            for words in [
                "it was not moved: it would start Wed 4 Mar 2099 19:00 UTC",
                "the nearest by the clock started at 06:00",
                "tick the box that says you are sure",
                "value=\"2099-03-04T19:00\"",
                "name=\"accept\" value=\"yes\" aria-invalid=\"true\"",
                // Under its own address the script loads it again, and sends no form twice.
                &format!("data-page=\"{path}\""),
            ] {
                assert!(text.contains(words), "{words}: {text}");
            }
            assert_eq!(rig.run(run).await.start_at, before, "it stays where it was");
        }
        let script = author.get("/live.js").await.text();
        assert!(!script.contains("location.reload"), "{script}");
        let audit = author.get("/audit").await.text();
        assert!(!audit.contains("moved a run"), "{audit}");
        let ticked = format!("{at}&accept=yes");
        let moved = author.press(&format!("{path}/reschedule"), &ticked).await;
        assert_eq!(moved.status, 303, "{}", moved.text());
        let start = Timestamp(rig.run(run).await.start_at.expect("a start"));
        assert_eq!(start.to_rfc3339(), "2099-03-04T19:00:00Z");
        let audit = author.get("/audit").await.text();
        let words = "moved a run to Wed 4 Mar 2099 19:00 UTC";
        assert!(audit.contains(words), "{audit}");
        // The usual hour is nothing to be sure of.
        let usual = "at=2099-03-05T06%3A30";
        let moved = author.press(&format!("{path}/reschedule"), usual).await;
        assert_eq!(moved.status, 303, "{}", moved.text());
        author.stop().await;
    }
);

on_both!(
    an_hour_that_the_clocks_skip_or_strike_twice_is_told_on_the_page_too,
    async |engine: Engine| {
        let mut rig = rig(engine, 2).await;
        let mut config = (*rig.app.config).clone();
        config.publication.timezone = "Europe/Berlin".into();
        rig.app.config = Arc::new(config);
        let plan = Plan {
            start: Some(rig.app.clock.now().after(Duration::from_secs(86_400))),
            zone: Some("Europe/Berlin".into()),
            ..Plan::default()
        };
        let run = rig.begin_as(&plan, "Little").await;
        let author = Author::of(&rig.app).await;
        let path = format!("/runs/{run}");
        // In the years from now on, too, these are the last Sundays of March and of October.
        for (at, words) in [
            (
                "2037-03-29T02:30",
                "skip 02:30 on 2037-03-29: 03:30 is taken (01:30 UTC)",
            ),
            (
                "2037-10-25T02:30",
                "strike 02:30 twice on 2037-10-25: the first is taken",
            ),
        ] {
            let body = format!("at={}&accept=yes", at.replace(':', "%3A"));
            let moved = author.press(&format!("{path}/reschedule"), &body).await;
            let to = moved.header("location").expect("a place").to_owned();
            assert_eq!(
                (moved.status, to.as_str()),
                (303, format!("{path}?hour={at}").as_str())
            );
            let page = author.get(&to).await.text();
            assert!(page.contains(words), "{page}");
            assert!(!author.get(&path).await.text().contains(words), "said once");
        }
        // Another hour than its own says nothing, nor does what is none.
        for hour in ["2037-03-29T02:30", "%3Cb%3E", ""] {
            let page = author.get(&format!("{path}?hour={hour}")).await;
            assert_eq!(page.status, 200);
            assert!(!page.text().contains("the clocks of"), "{}", page.text());
        }
        author.stop().await;
    }
);

on_both!(
    the_buttons_do_what_the_commands_do,
    async |engine: Engine| {
        let rig = rig(engine, 4).await;
        let author = Author::of(&rig.app).await;
        let start = rig.app.clock.now().after(Duration::from_secs(86_400));
        let plan = Plan {
            start: Some(start),
            zone: Some("UTC".into()),
            ..Plan::default()
        };
        let run = rig.begin_as(&plan, "Little").await;
        let path = format!("/runs/{run}");
        let page = author.get(&path).await.text();
        for words in [
            "scheduled",
            "Pause",
            "Another hour",
            "Take it back",
            "is scheduled and starts",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        for (at, why) in [("2020-01-01T07:00", "is past"), ("", "expected a time")] {
            let answer = author
                .press(&format!("{path}/reschedule"), &format!("at={at}"))
                .await;
            assert_eq!(answer.status, 409);
            let text = answer.text();
            assert!(text.contains(why), "{text}");
            let typed = format!("value=\"{at}\" required aria-invalid=\"true\"");
            assert!(text.contains(&typed), "{text}");
        }
        let moved = author
            .press(&format!("{path}/reschedule"), "at=2099-03-04T05%3A06")
            .await;
        assert_eq!(
            (moved.status, moved.header("location")),
            (303, Some(path.as_str()))
        );
        let at = Timestamp(rig.run(run).await.start_at.expect("a start"));
        assert_eq!(at.to_rfc3339(), "2099-03-04T05:06:00Z");
        assert_eq!(author.press(&format!("{path}/pause"), "").await.status, 303);
        assert_eq!(rig.run(run).await.status, RunStatus::Paused);
        let twice = author.press(&format!("{path}/pause"), "").await;
        assert_eq!(twice.status, 409);
        assert!(
            twice.text().contains("is paused, not sending"),
            "{}",
            twice.text()
        );
        assert_eq!(
            author.press(&format!("{path}/resume"), "").await.status,
            303
        );
        assert_eq!(rig.run(run).await.status, RunStatus::Scheduled);
        // Its tick is another than that of a run that sends: pressed too late, it cancels nothing.
        let page = author.get(&path).await.text();
        assert!(page.contains("name=\"unsent\"") && !page.contains("name=\"sure\""));
        assert_eq!(
            author
                .press(&format!("{path}/cancel"), "unsent=yes")
                .await
                .status,
            303
        );
        assert_eq!(rig.run(run).await.status, RunStatus::Cancelled);

        // A run that is held goes on only when its reason was read, one that sends ends only for sure.
        let run = rig.begin_as(&Plan::default(), "Other").await;
        let path = format!("/runs/{run}");
        rig.database
            .raw(&format!(
                "update runs set status = 'held', reason = 'the relay said no' where id = {run}"
            ))
            .await;
        let page = author.get(&path).await.text();
        assert!(page.contains("the relay said no"), "{page}");
        assert!(page.contains("pressrun resume small --yes"), "{page}");
        assert!(author.get("/").await.text().contains("the relay said no"));
        let unread = author.press(&format!("{path}/resume"), "").await;
        assert_eq!(unread.status, 409);
        assert_eq!(rig.run(run).await.status, RunStatus::Held);
        assert_eq!(
            author
                .press(&format!("{path}/resume"), "sure=yes")
                .await
                .status,
            303
        );
        assert_eq!(rig.run(run).await.status, RunStatus::Freezing);
        let unsure = author.press(&format!("{path}/cancel"), "").await;
        assert_eq!(unsure.status, 409);
        // The page was of before it began: whoever took it back wanted nothing to be sent, and some of it is.
        let begun = author.press(&format!("{path}/cancel"), "unsent=yes").await;
        assert_eq!(begun.status, 409);
        assert!(
            begun.text().contains("the run has begun"),
            "{}",
            begun.text()
        );
        assert_eq!(
            author
                .press(&format!("{path}/cancel"), "sure=yes")
                .await
                .status,
            303
        );
        assert_eq!(rig.run(run).await.status, RunStatus::Cancelled);
        let audit = author.get("/audit").await.text();
        // What was refused leaves no line.
        for (line, times) in [
            ("moved a run to", 1),
            ("paused a run", 1),
            ("resumed a run", 2),
            ("cancelled a run", 2),
        ] {
            assert_eq!(audit.matches(line).count(), times, "{line}: {audit}");
        }
        assert!(audit.contains(&format!("run {run} of small")), "{audit}");
        author.stop().await;
    }
);

on_both!(
    a_run_is_followed_while_it_sends_and_the_stream_ends_with_it,
    async |engine: Engine| {
        let rig = rig(engine, 30).await;
        let run = rig.begin().await;
        let author = Author::of(&rig.app).await;
        let mut stream = TcpStream::connect(author.at).await.expect("a connection");
        let head = format!(
            "GET /runs/{run}/live HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
            author.at, author.cookie
        );
        stream.write_all(head.as_bytes()).await.expect("a request");
        let mut seen = String::new();
        read_until(&mut stream, &mut seen, "event: run").await;
        assert!(seen.contains("text/event-stream"), "{seen}");
        assert!(
            seen.contains("freezing") || seen.contains("sending"),
            "{seen}"
        );
        rig.finish(run).await;
        read_until(&mut stream, &mut seen, "\"over\":true").await;
        read_until(&mut stream, &mut seen, "30 of 30 were sent").await;
        // The last chunk: nothing more is asked of the database for this page.
        read_until(&mut stream, &mut seen, "\r\n0\r\n\r\n").await;
        let page = author.get(&format!("/runs/{run}")).await.text();
        assert!(page.contains("data-over=\"yes\""), "{page}");
        assert!(
            page.contains("<strong>30</strong> of 30 done (100 %)"),
            "{page}"
        );
        // A page that still listens does not hold the site up when it ends.
        let open = rig.begin_as(&Plan::default(), "Other").await;
        let head = head.replace(&format!("/runs/{run}/"), &format!("/runs/{open}/"));
        let mut stream = TcpStream::connect(author.at).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("a request");
        let mut seen = String::new();
        read_until(&mut stream, &mut seen, "event: run").await;
        let ended = tokio::time::timeout(Duration::from_secs(60), author.stop()).await;
        ended.expect("the site ends while a page listens");
    }
);

/// Reads on until `wanted` stands in what was seen.
async fn read_until(stream: &mut TcpStream, seen: &mut String, wanted: &str) {
    let mut part = [0; 4096];
    while !seen.contains(wanted) {
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut part)).await;
        let read = read.unwrap_or_else(|_| panic!("waited for `{wanted}`: {seen}"));
        let read = read.expect("octets");
        assert!(read > 0, "the end came before `{wanted}`: {seen}");
        seen.push_str(&String::from_utf8_lossy(&part[..read]));
    }
}

on_both!(
    a_test_copy_is_sent_from_the_page_of_its_issue_and_no_other_folder_is_read,
    async |engine: Engine| {
        let rig = rig(engine, 1).await;
        Publication::write_defaults(&rig.app.emails()).expect("a folder");
        let outside = rig.database.path().join("outside");
        std::fs::create_dir_all(&outside).expect("a folder");
        std::fs::write(
            outside.join("issue.md"),
            "---\ntitle: Secret\n---\n\n## A\n\nB\n",
        )
        .expect("a file");
        let author = Author::of(&rig.app).await;
        let issues = author.get("/issues").await.text();
        assert!(issues.contains("Not sent yet"), "{issues}");
        assert!(
            issues.contains("/issues/this-week-in-ai-research"),
            "{issues}"
        );
        let path = "/issues/this-week-in-ai-research";
        assert_eq!(author.get(path).await.status, 200);
        let wrong = author.press(&format!("{path}/test"), "to=nobody").await;
        assert_eq!(wrong.status, 409);
        let text = wrong.text();
        assert!(
            text.contains("value=\"nobody\" required aria-invalid=\"true\"")
                && text.contains("`nobody` is no address"),
            "{text}"
        );
        for outside in ["..%2F..%2Foutside", "%2Fetc", "."] {
            assert_eq!(author.get(&format!("/issues/{outside}")).await.status, 404);
            let pressed = author
                .press(&format!("/issues/{outside}/test"), "to=a%40b.example")
                .await;
            assert_eq!(pressed.status, 404, "{outside}");
        }
        let pressed = author
            .press(&format!("{path}/test"), "to=author%40example.net")
            .await;
        assert_eq!(pressed.status, 303, "{}", pressed.text());
        let back = pressed.header("location").expect("a way").to_owned();
        assert!(author.get(&back).await.text().contains("/deliveries/1-"));
        let sending = rig.start().await;
        let came = until(async || rig.sink.counts().accepted == 1).await;
        assert!(came, "{:?}", rig.sink.counts());
        sending.stop().await;
        let mail = rig.sink.accepted().remove(0);
        assert_eq!(mail.rcpt, ["author@example.net"]);
        let again = author.get("/deliveries/1-0/message.eml").await;
        assert_eq!(
            again.body, mail.message,
            "a system mail, too, is made again"
        );
        author.stop().await;
    }
);
