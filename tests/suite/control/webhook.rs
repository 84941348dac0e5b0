//! A webhook that fails, as `status`, `why` and `doctor` tell of it.

use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

/// 19 February 2026, 12:00 UTC.
const NOON: i64 = 1_771_502_400_000;

/// A notice of so many minutes after noon: when it is asked about next, how often it was, and the last answer.
fn notice(minute: i64, due: &str, tries: u32, answer: &str) -> String {
    let at = NOON + minute * 60_000;
    format!(
        "insert into notices (id, at, kind, about, body, hook_due, hook_tries, hook_answer)
         values ({minute}, {at}, 'held', 'bees', '{{}}', {due}, {tries}, {answer});"
    )
}

on_both!(
    a_webhook_that_fails_is_told_with_its_last_answer_until_it_takes_a_notice,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        desk.configure(
            "notify.webhook_secret",
            "\"a secret of sixteen letters and more\"",
        );
        desk.configure(
            "notify.webhook",
            "\"https://hook.example/very-secret-path\"",
        );
        let says = async || {
            let mut all = Vec::new();
            for words in [
                &["status"][..],
                &["why"],
                &["doctor", "--offline", "--only", "database"],
            ] {
                let said = desk.run(words).await;
                assert!(!said.out.contains("very-secret-path"), "{said:?}");
                all.push(said.out);
            }
            all
        };
        let quiet = async || {
            for said in says().await {
                assert!(!said.contains("the webhook fails"), "{said}");
            }
        };
        quiet().await;
        // One was taken, one was not at first, and one was never asked about.
        desk.raw(&notice(1, "null", 1, "null")).await;
        desk.raw(&notice(2, "null", 3, "null")).await;
        desk.raw(&notice(9, "1", 0, "null")).await;
        quiet().await;
        desk.raw(&notice(3, "null", 40, "'it answered 404'")).await;
        desk.raw(&notice(4, "9999999999999", 2, "'it answered 503'"))
            .await;
        for said in says().await {
            for words in [
                "the webhook fails since the notice of Thu 19 Feb 2026 12:03 UTC: it answered 503; 1 notice is asked \
                 again, and 1 given up",
                "`notify.webhook` answers with a status of 2xx",
            ] {
                let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(said.contains(words), "{words}: {said}");
            }
        }
        let why = desk.run(&["why", "--json"]).await;
        let why: serde_json::Value = serde_json::from_str(&why.out).expect("JSON");
        let told = why
            .as_array()
            .and_then(|all| all.last())
            .expect("an answer");
        assert_eq!(
            (&told["cause"], &told["since"]),
            (&"webhook".into(), &(NOON + 180_000).into())
        );
        // It took a later one: what it did not take before is over.
        desk.raw(&notice(5, "null", 1, "null")).await;
        quiet().await;
        // Nor is a webhook told of that nobody wants any more.
        desk.raw(&notice(6, "1", 1, "'it answered 500'")).await;
        desk.configure("notify.webhook", "\"\"");
        quiet().await;
    }
);
