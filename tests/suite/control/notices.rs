//! What the author is told, by mail and by webhook, from outside.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pressrun::config::Config;
use pressrun::id::{DeliveryKey, RunId};
use pressrun::notice::hook::sign;
use pressrun::run;
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::deliver::rig::{Rig, Wish, readers, script, until};
use crate::harness::Engine;
use crate::on_both;

const SECRET: &str = "a secret of twenty-four";
const AUTHOR: &str = "author@desk.example";

/// One request that a webhook got.
#[derive(Clone, Debug)]
struct Asked {
    head: String,
    body: String,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> String {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

/// A webhook that answers each request with the next of its statuses, then with 204.
#[derive(Clone)]
struct Hook {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Hook {
    async fn new(answers: &[&'static str]) -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let hook = Hook {
            url: format!("http://127.0.0.1:{port}/hook/of/ours"),
            asked: Arc::default(),
        };
        let asked = hook.asked.clone();
        let mut answers = Vec::from(answers).into_iter();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answers.next().unwrap_or("204 No Content");
                if let Some(one) = serve(stream, answer).await {
                    asked.lock().expect("no panic").push(one);
                }
            }
        });
        hook
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The notices in the order in which they came: kind and id.
    fn kinds(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let each = self.asked().into_iter().map(|one| one.json());
        each.map(|json| (text(&json["kind"]), text(&json["id"])))
            .collect()
    }
}

async fn serve(mut stream: TcpStream, answer: &str) -> Option<Asked> {
    let mut octets = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&octets).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().ok())?
            });
            if body.len() >= length.unwrap_or(0_usize) {
                let answer =
                    format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.ok();
                let (head, body) = (head.to_owned(), body.to_owned());
                return Some(Asked { head, body });
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(read @ 1..) => octets.extend_from_slice(&part[..read]),
            _ => return None,
        }
    }
}

fn notify(hook: &Hook, more: &str) -> String {
    format!(
        "[notify]\nto = \"{AUTHOR}\"\nwebhook = \"{}\"\nwebhook_secret = \"{SECRET}\"\n\
         webhook_private = true\nwebhook_retry = [\"50ms\"]\nrelay_after = \"0s\"\n{more}\n",
        hook.url
    )
}

async fn rig(engine: Engine, count: usize, hook: &Hook, more: &str) -> Rig {
    let wish = Wish {
        readers: readers(count),
        ..Wish::default()
    };
    let mut rig = Rig::new(engine, wish).await;
    rig.more_relays(&notify(hook, more), "").await;
    rig
}

/// The messages that the author got, each as its text.
fn mails(sink: &Sink) -> Vec<String> {
    let all = sink.accepted().into_iter();
    let own = all.filter(|message| message.rcpt == [AUTHOR]);
    own.map(|message| String::from_utf8_lossy(&message.message).replace("=\r\n", ""))
        .collect()
}

async fn heard(hook: &Hook, number: usize) {
    let reached = until(async || hook.asked().len() >= number).await;
    assert!(reached, "{:?}", hook.kinds());
}

on_both!(
    start_and_end_are_told_once_by_mail_and_by_a_signed_webhook,
    async |engine: Engine| {
        let hook = Hook::new(&[]).await;
        let rig = rig(engine, 40, &hook, "").await;
        let run = rig.begin().await;
        // A small run may be over before anybody has looked at it.
        rig.sink.hold_after(0);
        let sending = rig.start().await;
        heard(&hook, 1).await;
        rig.sink.release();
        rig.wait_status(run, RunStatus::Finished).await;
        heard(&hook, 2).await;
        assert!(until(async || mails(&rig.sink).len() >= 2).await);
        // Several more looks find nothing to tell.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        sending.stop().await;
        let kinds: Vec<String> = hook.kinds().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["started", "finished"]);
        assert_eq!(mails(&rig.sink).len(), 2);
        let last = hook.asked().pop().expect("a request");
        let json = last.json();
        assert_eq!(json["run"]["issue"], "small");
        let sentence = json["sentence"].as_str().expect("a sentence");
        assert!(sentence.ends_with(": 40 of 40 were sent"), "{sentence}");
        let signature = last.header("pressrun-signature");
        let second = signature
            .strip_prefix("t=")
            .and_then(|rest| rest.split_once(','));
        let second = second.expect("a second").0.parse().expect("a number");
        assert_eq!(signature, sign(SECRET, second, &last.body));
        assert_eq!(
            last.header("pressrun-notice"),
            json["id"].as_str().expect("an id")
        );
        let mail = mails(&rig.sink).pop().expect("a mail");
        assert!(
            mail.contains("Subject: The Weekly: `small` is sent"),
            "{mail}"
        );
        assert!(mail.contains("40 of 40 were sent"), "{mail}");
        assert!(!mail.contains("List-Unsubscribe"), "{mail}");
        for text in [mail, last.body] {
            assert!(
                !text.contains(SECRET) && !text.contains("reader1@"),
                "{text}"
            );
        }
        rig.assert_true(run).await;
    }
);

on_both!(
    each_hold_is_told_once_with_its_reason_and_the_command,
    async |engine: Engine| {
        let hook = Hook::new(&[]).await;
        let rig = rig(engine, 60, &hook, "on = [\"held\"]").await;
        rig.sink.set_script(script("dot-554-5.7.1"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Held).await;
        rig.sink.set_script(Script::default());
        heard(&hook, 1).await;
        assert!(until(async || mails(&rig.sink).len() == 1).await);
        let json = hook.asked()[0].json();
        assert_eq!(json["kind"], "held");
        assert_eq!(json["command"], "pressrun resume small --yes");
        let sentence = json["sentence"].as_str().expect("a sentence");
        assert!(sentence.contains("is held since"), "{sentence}");
        assert!(sentence.contains("554"), "{sentence}");
        let mail = &mails(&rig.sink)[0];
        assert!(mail.contains("pressrun resume small --yes"), "{mail}");
        rig.sink.set_script(script("dot-554-5.7.1"));
        let before = rig.run(run).await;
        run::resume(&rig.app, &before, true)
            .await
            .expect("a resume");
        let again = async || {
            let now = rig.run(run).await;
            now.status == RunStatus::Held && now.since > before.since
        };
        assert!(until(again).await);
        rig.sink.set_script(Script::default());
        // Whoever said yes and went away is to know that it stands again.
        heard(&hook, 2).await;
        assert!(until(async || mails(&rig.sink).len() == 2).await);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        sending.stop().await;
        assert_eq!((hook.asked().len(), mails(&rig.sink).len()), (2, 2));
    }
);

on_both!(
    a_webhook_that_fails_is_asked_again_also_by_the_next_process,
    async |engine: Engine| {
        let refusals = ["500 No", "302 Found", "503 No", "500 No"];
        let hook = Hook::new(&refusals).await;
        let rig = rig(engine, 20, &hook, "on = [\"finished\"]").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        heard(&hook, 2).await;
        sending.stop().await;
        let sending = rig.start().await;
        heard(&hook, 5).await;
        assert!(until(async || !rig.app.store.notices_outstanding().await.expect("a read")).await);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        sending.stop().await;
        let asked = hook.asked();
        assert_eq!(asked.len(), 5, "{asked:?}");
        let same = |one: &Asked| {
            one.body == asked[0].body
                && one.header("pressrun-notice") == asked[0].header("pressrun-notice")
        };
        assert!(asked.iter().all(same), "one notice, unchanged: {asked:?}");
        assert_eq!(mails(&rig.sink).len(), 1);
    }
);

on_both!(
    a_webhook_that_never_answers_is_not_waited_for_by_a_sender_that_ends,
    async |engine: Engine| {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let hook = Hook {
            url: format!("http://127.0.0.1:{port}/hook"),
            asked: Arc::default(),
        };
        let rig = rig(engine, 5, &hook, "on = [\"finished\"]").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        let asked = tokio::time::timeout(Duration::from_secs(60), listener.accept()).await;
        let (_silent, _) = asked.expect("a question in time").expect("a question");
        sending.stop().await;
        // Whoever had waited would have counted a try.
        let waits = "select count(*), max(hook_tries) from notices where hook_due is not null";
        assert_eq!(rig.pairs(waits).await, [(1, 0)], "it is told again");
    }
);

on_both!(
    a_relay_that_fails_and_comes_back_is_told_through_the_other,
    async |engine: Engine| {
        let hook = Hook::new(&[]).await;
        let wish = Wish {
            readers: readers(400),
            sink: SinkOptions {
                delay: Duration::from_millis(5),
                ..SinkOptions::default()
            },
            ..Wish::default()
        };
        let mut rig = Rig::new(engine, wish).await;
        let spare = Sink::bind(SinkOptions::default()).await.expect("a sink");
        let relays = format!(
            "[relay.spare]\ntls = \"none\"\nurl = \"{}\"\npriority = 2\n{}",
            spare.url(),
            notify(&hook, "on = [\"relay-down\", \"relay-up\"]")
        );
        rig.more_relays(&relays, "relay = \"all\"").await;
        rig.sink.set_script(script("mail-421"));
        let run = rig.begin().await;
        let sending = rig.start().await;
        heard(&hook, 1).await;
        assert!(until(async || mails(&spare).len() == 1).await);
        rig.sink.set_script(Script::default());
        rig.wait_status(run, RunStatus::Finished).await;
        // Its probe needs something to send, and the spare may have sent a run before the relay's wait is over.
        let end = Instant::now() + Duration::from_secs(180);
        while hook.asked().len() < 2 && Instant::now() < end {
            let more = rig.begin().await;
            rig.wait_status(more, RunStatus::Finished).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        heard(&hook, 2).await;
        sending.stop().await;
        let kinds: Vec<String> = hook.kinds().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds[..2], ["relay-down", "relay-up"], "{kinds:?}");
        let down = hook.asked()[0].json();
        assert_eq!(down["relay"], "main");
        assert!(
            down["sentence"].as_str().expect("text").contains("421"),
            "{down}"
        );
        assert!(mails(&spare)[0].contains("relay main takes no mail"));
    }
);

on_both!(
    bounces_beyond_the_limit_are_told_once,
    async |engine: Engine| {
        let hook = Hook::new(&[]).await;
        let mut all = readers(60);
        for (number, reader) in all.iter_mut().enumerate().take(6) {
            *reader = format!("reader{number}+550-5.1.1@example.org");
        }
        let wish = Wish {
            readers: all,
            ..Wish::default()
        };
        let mut rig = Rig::new(engine, wish).await;
        rig.more_relays(&notify(&hook, "on = [\"bounces\"]"), "")
            .await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        heard(&hook, 1).await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        sending.stop().await;
        assert_eq!(hook.asked().len(), 1);
        let json = hook.asked()[0].json();
        let sentence = json["sentence"].as_str().expect("a sentence");
        assert!(
            sentence.contains("more than 5.0 % (`notify.bounce_rate`)"),
            "{sentence}"
        );
        assert_eq!(rig.balanced(RunId::SYSTEM).await.sent, 1);
    }
);

on_both!(
    complaints_are_told_once_though_the_run_is_over,
    async |engine: Engine| {
        let hook = Hook::new(&[]).await;
        let wish = Wish {
            readers: readers(60),
            ..Wish::default()
        };
        let mut rig = Rig::new(engine, wish).await;
        rig.more_relays(&notify(&hook, "on = [\"complaints\"]"), "")
            .await;
        let run = rig.begin().await;
        rig.finish(run).await;
        let sending = rig.start().await;
        for seq in 0..3 {
            let key = DeliveryKey { run, seq };
            let now = rig.app.clock.now();
            let noted = rig.app.store.note_complaint(key, now).await;
            assert!(noted.expect("a write"), "a first complaint");
        }
        heard(&hook, 1).await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        sending.stop().await;
        assert_eq!(hook.asked().len(), 1);
        let json = hook.asked()[0].json();
        assert_eq!(json["kind"], "complaints");
        assert_eq!(json["command"], "pressrun stats small");
        let sentence = json["sentence"].as_str().expect("a sentence");
        let expected = "3 of 60 readers of `small` called it spam (5.0 %), more than 0.1 % \
                        (`notify.complaint_rate`)";
        assert!(sentence.starts_with(expected), "{sentence}");
        assert_eq!(rig.balanced(RunId::SYSTEM).await.sent, 1);
    }
);

on_both!(
    no_webhook_inside_is_asked_unless_it_is_allowed,
    async |engine: Engine| {
        let hook = Hook::new(&[]).await;
        let wish = Wish {
            readers: readers(5),
            ..Wish::default()
        };
        let mut rig = Rig::new(engine, wish).await;
        let inside = hook.url.replace("http://127.0.0.1", "https://localhost");
        let lines = format!(
            "[notify]\nwebhook = \"{inside}\"\nwebhook_secret = \"{SECRET}\"\nwebhook_retry = [\"50ms\"]\n"
        );
        rig.more_relays(&lines, "").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        rig.wait_status(run, RunStatus::Finished).await;
        let tried = "select max(hook_tries), count(*) from notices";
        assert!(until(async || rig.pairs(tried).await[0].0 >= 2).await);
        sending.stop().await;
        let private =
            "select count(*), count(*) from notices where hook_answer like '%private address%'";
        assert!(rig.pairs(private).await[0].0 >= 1);
        assert!(hook.asked().is_empty(), "{:?}", hook.kinds());
    }
);

/// What could not be meant is refused before anything starts.
#[test]
fn a_webhook_without_tls_or_without_a_secret_is_refused() {
    let text = |lines: &str| {
        format!(
            "[publication]\nname = \"W\"\nurl = \"https://news.example.org\"\npostal_address = \"1 Lane\"\n\
             [from]\naddress = \"a@example.org\"\n[relay.main]\nurl = \"smtp://localhost\"\n[notify]\n{lines}\n"
        )
    };
    let refused = |lines: &str| {
        let error = Config::from_text(&text(lines)).expect_err(lines);
        format!("{error:#}")
    };
    let secret = format!("webhook_secret = \"{SECRET}\"\n");
    let plain = refused(&format!(
        "webhook = \"http://hooks.example.org/T0K3N\"\n{secret}"
    ));
    assert!(
        plain.contains("must begin with https") && !plain.contains("T0K3N"),
        "{plain}"
    );
    let unsigned = refused("webhook = \"https://hooks.example.org/T0K3N\"");
    assert!(unsigned.contains("`notify.webhook_secret`"), "{unsigned}");
    let odd = refused("on = [\"started\", \"everything\"]");
    assert!(odd.contains("notify.on"), "{odd}");
}
