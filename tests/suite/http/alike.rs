//! What nobody can find out from outside: who is a reader, and which links ever were.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pressrun::chance::Chance;
use pressrun::id::{DeliveryKey, RunId, SubscriberId, SubscriptionKey};
use pressrun::import::{self, Import};
use pressrun::keyring::Keyring;
use pressrun::subscriber::Status;
use pressrun::token::{Claim, sign};

use super::site::{NOON, TestSite, unsubscribe};
use crate::harness::{Engine, block_on};
use crate::on_both;

/// Beyond it, two classes of answers are told apart (a threshold used for such tests since TVLA).
const LIMIT: f64 = 4.5;
/// Answers of each class in one measurement.
const EACH: usize = 1_000;
/// Of the slowest answers, so many in a hundred say more about the machine than about the site.
const CROPPED: usize = 10;

/// Welch's t of two samples, without their slowest tails.
fn welch(a: &mut [f64], b: &mut [f64]) -> f64 {
    let moments = |sample: &mut [f64]| {
        sample.sort_unstable_by(f64::total_cmp);
        let kept = &sample[..sample.len() - sample.len() * CROPPED / 100];
        let n = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / n;
        let variance = kept.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    };
    let ((mean_a, error_a), (mean_b, error_b)) = (moments(a), moments(b));
    (mean_a - mean_b) / (error_a + error_b).sqrt()
}

#[test]
fn the_statistic_sees_a_tenth_of_a_deviation_and_nothing_where_nothing_is() {
    // A fixed sequence in no order, between 0 and 1.
    let noise = |n: usize| (n as f64 * 0.618_033_988_749_895).fract();
    let mut a: Vec<f64> = (0..20_000).step_by(2).map(noise).collect();
    let mut b: Vec<f64> = (1..20_000).step_by(2).map(noise).collect();
    let mut slower: Vec<f64> = b.iter().map(|x| x + 0.03).collect();
    assert!(welch(&mut a, &mut b).abs() < LIMIT);
    assert!(welch(&mut a, &mut slower).abs() > LIMIT);
}

/// One measurement: known and new addresses in turns, eight at a time.
async fn measure(site: &TestSite, round: usize) -> (Vec<f64>, Vec<f64>) {
    let mut forms = Vec::new();
    for number in 0..2 * EACH {
        let client = format!("10.{round}.{}.{}", number / 250, number % 250);
        let headers = [("X-Forwarded-For", client.as_str())];
        let form = site.send("GET", "/subscribe/form", &headers, "").await;
        let form: serde_json::Value = serde_json::from_slice(&form.body).expect("JSON");
        let token = form["form"].as_str().expect("a token").to_owned();
        forms.push((client, token));
    }
    site.app.clock.advance(Duration::from_secs(60));
    let (mut known, mut new) = (Vec::new(), Vec::new());
    let mut bodies = BTreeSet::new();
    for (part, some) in forms.chunks(8).enumerate() {
        let each = some
            .iter()
            .enumerate()
            .map(|(at, (client, token))| async move {
                let number = part * 8 + at;
                // Neither class comes first in each eight.
                let is_known = (number + part) % 2 == 0;
                let who = match is_known {
                    true => format!("reader{}", number / 2),
                    false => format!("fresh{round}x{}", number / 2),
                };
                let body = format!("email={who}%40example.org&website=&form={token}");
                let headers = [
                    ("Content-Type", "application/x-www-form-urlencoded"),
                    ("X-Forwarded-For", client.as_str()),
                ];
                let since = Instant::now();
                let answer = site.send("POST", "/subscribe", &headers, &body).await;
                (is_known, since.elapsed().as_secs_f64(), answer)
            });
        for (is_known, took, answer) in futures::future::join_all(each).await {
            assert_eq!(answer.status, 200);
            bodies.insert(answer.body);
            match is_known {
                true => known.push(took),
                false => new.push(took),
            }
        }
    }
    assert_eq!(bodies.len(), 1, "one answer, octet for octet");
    (known, new)
}

#[test]
fn the_time_of_an_answer_does_not_say_whether_an_address_is_known() {
    block_on(async {
        let config = TestSite::config(&[
            ("open = true", "open = true\nbrake = 1000000"),
            ("confirms_per_hour = 600", "confirms_per_hour = 1000000"),
            ("remind = false", "remind = true"),
        ]);
        let site = TestSite::with(Engine::Sqlite, &config, |_| {}).await;
        let file = site.app.base.join("readers.csv");
        let mut text = String::from("email\n");
        (0..EACH).for_each(|n| text.push_str(&format!("reader{n}@example.org\n")));
        std::fs::write(&file, text).expect("a file");
        let import = Import {
            file,
            list: "weekly".into(),
            status: Status::Confirmed,
            confirm: false,
            consent: "made up".into(),
            map: Vec::new(),
            accept_taken_off: false,
            by: None,
            dry_run: false,
        };
        let imported = import::run(&site.app, &import, |_| {}).await;
        assert_eq!(imported.expect("an import").tally.added, EACH as u64);
        // A machine that was busy in a bad moment is asked again; a leak shows every time.
        let mut seen = Vec::new();
        for round in 0..3 {
            let (mut known, mut new) = measure(&site, round).await;
            let t = welch(&mut known, &mut new);
            seen.push(t);
            if t.abs() < LIMIT {
                break;
            }
        }
        println!("t of {EACH} known and {EACH} new addresses: {seen:.2?}");
        let last = seen.last().expect("a measurement");
        assert!(
            last.abs() < LIMIT,
            "known and new addresses are told apart: {seen:?}"
        );
        site.stop().await;
    });
}

on_both!(
    links_that_never_were_that_are_anothers_and_that_are_gone_look_alike,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        let foreign = Keyring::generate(&Chance::seeded(99), NOON);
        let nobody = SubscriptionKey(77);
        let gone = DeliveryKey {
            run: RunId(9),
            seq: 3,
        };
        let now = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
        // Links of a reader who has been erased.
        let erased = site.app.store.erase(SubscriberId(1001), &[], NOON).await;
        assert!(erased.expect("a write"));
        for (path, own, gone, other) in [
            (
                "confirm",
                Claim::Confirm(SubscriptionKey(1001), now),
                Claim::Confirm(nobody, now),
                Claim::Manage(SubscriptionKey(1000)),
            ),
            (
                "preferences",
                Claim::Manage(SubscriptionKey(1001)),
                Claim::Manage(nobody),
                Claim::Confirm(SubscriptionKey(1000), now),
            ),
            (
                "u",
                unsubscribe(1),
                Claim::Unsubscribe(nobody, gone),
                Claim::Manage(SubscriptionKey(1000)),
            ),
            ("view", Claim::View(gone), Claim::View(gone), unsubscribe(0)),
            (
                "c",
                Claim::Click(gone, 0),
                Claim::Click(gone, 7),
                unsubscribe(0),
            ),
        ] {
            let real = site.token(own);
            let mut flipped = real.clone().into_bytes();
            flipped[10] = if flipped[10] == b'A' { b'B' } else { b'A' };
            let tokens = [
                String::new(),
                "x".to_owned(),
                String::from_utf8(flipped).expect("ASCII"),
                format!("{real}A"),
                sign(&foreign, &own),
                site.token(other),
                site.token(gone),
                real,
            ];
            for method in ["GET", "POST"] {
                let mut answers = BTreeSet::new();
                for token in &tokens {
                    // An empty token is another path, and no token at all.
                    if token.is_empty() && method == "POST" {
                        continue;
                    }
                    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
                    let body = if method == "POST" {
                        "answer=confirm"
                    } else {
                        ""
                    };
                    let path = format!("/{path}/{token}");
                    let answer = site.send(method, &path, &headers, body).await;
                    answers.insert((answer.status, answer.headers, answer.body));
                }
                let told: Vec<u16> = answers.iter().map(|(status, ..)| *status).collect();
                assert_eq!(answers.len(), 1, "{method} /{path}: {told:?}");
            }
        }
        site.stop().await;
    }
);
