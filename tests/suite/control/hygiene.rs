//! Readers who have gone quiet and addresses that stopped taking mail: asked first, then let go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pressrun::http::listener::{self, Limits};
use pressrun::http::{Site, public_router, serve_public};
use pressrun::hygiene::{self, Found, Wish};
use pressrun::smtp::sink::SinkOptions;
use pressrun::smtp::sink::record::Accepted;
use pressrun::track::Tracker;
use pressrun::track::journal::Journal;
use pressrun::track::leavers::Leavers;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::privacy::{LINKED, token, words};
use crate::control::desk::Desk;
use crate::deliver::rig::{self, Rig, until};
use crate::harness::Engine;
use crate::http::wire::request;
use crate::on_both;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const DAYS: u64 = 86_400;

/// The readers' site of a desk, as its links lead there.
struct Readers {
    at: SocketAddr,
    tracker: Tracker,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Readers {
    async fn open(desk: &Desk) -> Readers {
        let app = desk.app().await;
        let tracker = Tracker::of(&app);
        let site = site(tracker.clone());
        let limits = Limits::new(&app.config.http);
        let leavers = Leavers::start(app.store.clone(), Journal::of(&app));
        let router = public_router(app, site, leavers, &limits);
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = socket.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async move {
                stopped.await.ok();
            };
            listener::run(socket, router, limits, stopped).await;
        });
        Readers {
            at,
            tracker,
            stop,
            task,
        }
    }

    /// Follows the first link of a mail, as a browser does.
    async fn follow(&self, mail: &Accepted, method: &str) {
        let path = format!("/c/{}", token(&words(&mail.message), "/c/"));
        let headers = [("User-Agent", FIREFOX), ("Accept-Language", "en")];
        let answer = request(self.at, method, &path, &headers, "").await;
        assert_eq!(answer.status, 302, "{path}: {}", answer.text());
    }

    async fn close(self) {
        self.stop.send(()).expect("a site that listens");
        self.task.await.expect("no panic");
        self.tracker.close().await;
    }
}

fn site(tracker: Tracker) -> Site {
    Site {
        tracker,
        view: Arc::new(|_| Box::pin(async { Ok(None) })),
        confirm_revision: String::new(),
        address_revision: String::new(),
        moved_revision: String::new(),
        back_revision: String::new(),
        data_revision: String::new(),
        erase_revision: String::new(),
        welcome_revision: None,
        goodbye_revision: None,
    }
}

/// The newest mail to this reader.
fn mail_to(desk: &Desk, reader: &str) -> Accepted {
    let mails = desk.sink.accepted();
    let found = mails.into_iter().rev().find(|mail| mail.rcpt == [reader]);
    found.unwrap_or_else(|| panic!("no mail to {reader}"))
}

on_both!(
    who_clicks_in_the_issue_that_asks_stays_and_who_does_not_is_let_go,
    async |engine: Engine| {
        let desk = Desk::new(engine, 4, SinkOptions::default()).await;
        let send = async |slug: &str, more: &[&str]| {
            desk.write(slug, &LINKED.replace("Bees", slug));
            let mut arguments = vec![
                "send", slug, "--yes", "--accept", "audience", "--accept", "hour",
            ];
            arguments.extend(more);
            let said = desk.run(&arguments).await;
            assert_eq!(said.code, 0, "{said:?}");
        };
        // What was sent was sent three weeks ago.
        let age = "update subscriptions set confirmed_at = 1;
            update deliveries set settled_at = settled_at - 1814400000 where settled_at > 1700000000000";
        send("one", &[]).await;
        send("two", &[]).await;
        desk.raw(age).await;
        let readers = Readers::open(&desk).await;
        readers
            .follow(&mail_to(&desk, "reader0@example.org"), "GET")
            .await;
        let inactive = desk
            .run(&["subscribers", "inactive", "--issues", "2", "--json"])
            .await;
        let inactive: serde_json::Value = serde_json::from_str(&inactive.out).expect("JSON");
        assert_eq!(
            (&inactive["inactive"], &inactive["of"]),
            (&3.into(), &4.into())
        );

        send("stay", &["--to", "inactive:2"]).await;
        assert_eq!(desk.sink.accepted().len(), 4 + 4 + 3);
        assert!(!words(&mail_to(&desk, "reader0@example.org").message).contains("Subject: stay"));
        desk.raw(
            "update deliveries set settled_at = settled_at - 1814400000
             where run_id = (select max(id) from runs where slug = 'stay')",
        )
        .await;
        // One answers; a scanner follows the link of another; the third is silent.
        readers
            .follow(&mail_to(&desk, "reader1@example.org"), "GET")
            .await;
        readers
            .follow(&mail_to(&desk, "reader2@example.org"), "HEAD")
            .await;
        for (segment, number) in [("clicked:stay", 1), ("opened:stay", 1), ("sent:stay", 3)] {
            let said = desk.run(&["segments", "test", segment, "--json"]).await;
            let said: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
            assert_eq!(said["readers"], number, "{segment}");
        }
        let early = desk
            .run(&["subscribers", "sunset", "stay", "--after", "30d"])
            .await;
        assert!(early.out.starts_with("0 readers"), "{early:?}");
        let asked = desk
            .run(&["subscribers", "sunset", "stay", "--after", "14d"])
            .await;
        assert!(asked.out.starts_with("2 readers of run"), "{asked:?}");
        let done = desk
            .run(&["subscribers", "sunset", "stay", "--after", "14d", "--yes"])
            .await;
        assert!(done.out.ends_with("unsubscribed: 2\n"), "{done:?}");
        for (reader, status) in [
            ("reader0", "confirmed"),
            ("reader1", "confirmed"),
            ("reader2", "unsubscribed"),
            ("reader3", "unsubscribed"),
        ] {
            let address = format!("{reader}@example.org");
            let said = desk.run(&["subscribers", "show", &address, "--json"]).await;
            assert!(
                said.out.contains(&format!("\"{status}\"")),
                "{reader}: {said:?}"
            );
        }
        send("three", &[]).await;
        assert_eq!(desk.sink.accepted().len(), 4 + 4 + 3 + 2);
        readers.close().await;
    }
);

on_both!(
    nobody_is_let_go_whose_answers_nobody_counts,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let send = async |slug: &str| {
            desk.write(slug, &LINKED.replace("Bees", slug));
            let said = desk
                .run(&[
                    "send",
                    slug,
                    "--yes",
                    "--to",
                    "domain:example.org",
                    "--accept",
                    "audience",
                    "--accept",
                    "hour",
                ])
                .await;
            assert_eq!(said.code, 0, "{said:?}");
        };
        let age = "update subscriptions set confirmed_at = 1;
            update deliveries set settled_at = settled_at - 1814400000 where settled_at > 1700000000000";
        let inactive = async || {
            let said = desk
                .run(&["subscribers", "inactive", "--issues", "2", "--json"])
                .await;
            let said: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
            said["inactive"].clone()
        };
        let sunset = async |slug: &str| {
            desk.run(&["subscribers", "sunset", slug, "--after", "14d"])
                .await
        };
        // One reader agreed to be counted; the copies of the others count nothing.
        desk.configure("privacy.unasked", "false");
        desk.raw("update subscribers set tracking = 'on' where address = 'reader0@example.org'")
            .await;
        for slug in ["one", "two"] {
            send(slug).await;
        }
        desk.raw(age).await;
        assert_eq!(inactive().await, 1);
        let silent = sunset("two").await;
        assert!(silent.out.starts_with("1 readers of run"), "{silent:?}");
        // That others are counted from now on says nothing of what they got until then.
        desk.configure("privacy.unasked", "true");
        assert_eq!(inactive().await, 1);
        let silent = sunset("two").await;
        assert!(silent.out.starts_with("1 readers of run"), "{silent:?}");

        // What is counted without names makes nobody silent either.
        desk.configure("privacy.tracking", "\"anonymous\"");
        send("three").await;
        let readers = Readers::open(&desk).await;
        readers
            .follow(&mail_to(&desk, "reader0@example.org"), "GET")
            .await;
        readers.close().await;
        desk.raw(age).await;
        desk.configure("privacy.tracking", "\"individual\"");
        let refused = sunset("three").await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.error.contains("without names"), "{refused:?}");
        assert_eq!(inactive().await, 1, "the two before count still");
    }
);

on_both!(
    an_address_is_suppressed_only_when_its_probe_comes_back_as_well,
    async |engine: Engine| {
        let addresses = [
            "fine@example.org",
            "full+552-5.2.2@example.org",
            "back+552-5.2.2@example.org",
            "late+450@example.org",
            "odd+dot-554@example.org",
        ];
        let rig = Rig::new(
            engine,
            rig::Wish {
                readers: addresses.map(String::from).to_vec(),
                send: "give_up = \"50ms\"",
                ..rig::Wish::default()
            },
        )
        .await;
        let app = &rig.app;
        let list = app
            .store
            .list("weekly")
            .await
            .expect("a read")
            .expect("a list");
        let probe = async |act: bool, days: u64| {
            let wish = Wish {
                copies: 3,
                wait: Duration::from_secs(days * DAYS),
                act,
            };
            hygiene::probe(app, &list, wish).await.expect("a look")
        };
        for _ in 0..2 {
            let run = rig.begin().await;
            rig.finish(run).await;
            assert_eq!(probe(true, 3).await, Found::default(), "too few came back");
        }
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.bounced, counts.expired, counts.failed), (2, 1, 1));
        let by_itself = hygiene::round(app).await.expect("a look");
        assert_eq!(by_itself, None, "nobody said that it should");
        let asked = probe(false, 3).await;
        assert_eq!((asked.failing, asked.under_way), (3, 0));
        assert_eq!(
            asked.shown,
            ["f***@example.org", "b***@example.org", "l***@example.org"]
        );
        let mails = "select count(*), count(*) from system_mails";
        assert_eq!(rig.pairs(mails).await, [(0, 0)], "asked is not done");

        // One of them has made room in the mailbox.
        rig.database
            .raw(
                "update subscribers set address = 'back@example.org', canonical = 'back@example.org'
                 where id = 3",
            )
            .await;
        let begun = probe(true, 3).await;
        assert_eq!(
            (begun.failing, begun.under_way, begun.suppressed),
            (3, 3, 0)
        );
        let twice = probe(true, 3).await;
        assert_eq!((twice.failing, twice.under_way), (0, 3));
        assert_eq!(rig.pairs(mails).await, [(3, 3)]);
        let sending = rig.start().await;
        let settled = "select count(*), count(*) from deliveries
            where run_id = 1 and state in ('sent', 'bounced', 'expired')";
        assert!(until(async || rig.pairs(settled).await == [(3, 3)]).await);
        sending.stop().await;
        let sent = rig.sink.accepted();
        let sent = sent.last().expect("a probe");
        assert_eq!(sent.rcpt, ["back@example.org"]);
        let message = String::from_utf8_lossy(&sent.message);
        assert!(
            message.contains("Subject: Does our mail reach you?"),
            "{message}"
        );
        assert!(
            message.contains("List-Unsubscribe: "),
            "the way out: {message}"
        );

        let found = probe(false, 3).await;
        assert_eq!((found.suppressed, found.kept, found.under_way), (2, 0, 1));
        assert_eq!(
            probe(true, 3).await,
            Found {
                failing: 0,
                ..found
            }
        );
        for (address, suppressed) in [
            (addresses[1], true),
            (addresses[3], true),
            (addresses[4], false),
        ] {
            let hash = app.keyring.address_hash(address);
            let known = app.store.suppression(&hash).await.expect("a read");
            assert_eq!(known.is_some(), suppressed, "{address}");
        }
        // What was taken stays taken.
        let kept = probe(true, 0).await;
        assert_eq!((kept.kept, kept.under_way, kept.suppressed), (1, 0, 0));
        assert_eq!(
            probe(true, 0).await,
            Found::default(),
            "what came back before is forgotten"
        );
        let run = rig.begin().await;
        let counts = rig.finish(run).await;
        assert_eq!((counts.sent, counts.bounced, counts.suppressed), (2, 0, 2));
    }
);

on_both!(
    the_site_probes_by_itself_as_often_as_it_is_told,
    async |engine: Engine| {
        let address = "full+552-5.2.2@example.org";
        let rig = Rig::new(
            engine,
            rig::Wish {
                readers: vec!["fine@example.org".into(), address.into()],
                sections: "[hygiene]\nprobe_every = \"1d\"\nprobe_after = 2\n".into(),
                ..rig::Wish::default()
            },
        )
        .await;
        for _ in 0..2 {
            let run = rig.begin().await;
            rig.finish(run).await;
        }
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (stop, stopped) = oneshot::channel::<()>();
        let (app, site) = (rig.app.clone(), site(Tracker::of(&rig.app)));
        let served = tokio::spawn(async move {
            let stopped = async move {
                stopped.await.ok();
            };
            serve_public(app, site, socket, stopped).await
        });
        let audit = "select count(*), count(*) from admin_audit
            where session = 0 and who = 'hygiene.probe_every'";
        assert!(until(async || rig.pairs(audit).await == [(1, 1)]).await);
        let probes = "select count(*), count(verdict) from probes";
        assert_eq!(rig.pairs(probes).await, [(1, 0)]);
        // Neither another machine nor a restart makes it twice a day.
        let again = hygiene::round(&rig.app).await.expect("a look");
        assert_eq!(again, None);
        let sending = rig.start().await;
        let bounced =
            "select count(*), count(*) from deliveries where run_id = 1 and state = 'bounced'";
        assert!(until(async || rig.pairs(bounced).await == [(1, 1)]).await);
        sending.stop().await;
        rig.database
            .raw("update meta set value = '1' where key = 'probed_at'")
            .await;
        let found = hygiene::round(&rig.app).await.expect("a look");
        let found = found.expect("it is time");
        assert_eq!((found.suppressed, found.kept, found.failing), (1, 0, 0));
        let hash = rig.app.keyring.address_hash(address);
        let known = rig.app.store.suppression(&hash).await.expect("a read");
        assert!(known.is_some());
        stop.send(()).expect("a site that listens");
        served
            .await
            .expect("no panic")
            .expect("a site without a fault");
    }
);
