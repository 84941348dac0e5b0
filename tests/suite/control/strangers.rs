//! What strangers wrote (relays, readers, browsers, other services' files), on a terminal: nothing of it acts, and
//! none of it looks like a line of ours.

use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::Desk;
use crate::harness::Engine;
use crate::on_both;

/// Clears the screen, sets the window's title, rings, goes back to the line's beginning, paints, turns round, and begins
/// a line of its own.
const WORDS: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}ok\r\u{9b}31m\u{202e}txt\u{2066}\t\nforged: all is well\u{8}";

/// Every command that shows what somebody else may have written; those with `--json` are asked for that, too.
const LOOKS: [&[&str]; 21] = [
    &["status", "--json"],
    &["status", "bees", "--json"],
    &["why", "--json"],
    &["why", "bees", "--json"],
    &["verify", "bees", "--json"],
    &["deliveries", "bees", "--json"],
    &[
        "deliveries",
        "show",
        "bees",
        "reader0@example.org",
        "--json",
    ],
    &["events", "bees", "--json"],
    &["links", "bees", "--json"],
    &["stats", "--json"],
    &["stats", "bees", "--json"],
    &["stats", "--list", "weekly", "--json"],
    &["lists", "show", "--json"],
    &["subscribers", "show", "reader0@example.org", "--json"],
    &["subscribers", "imports", "--json"],
    &["subscribers", "inactive", "--json"],
    &["suppressions", "list", "--json"],
    &["suppressions", "check", "reader0@example.org", "--json"],
    &["segments", "test", "tag:paid", "--json"],
    &["rehearse", "bees", "--list", "weekly", "--json"],
    &["archive", "list", "--json"],
];

/// Puts the words wherever somebody else's are kept.
async fn plant(desk: &Desk) {
    let words = WORDS.replace('\'', "''");
    let json = |value: serde_json::Value| value.to_string().replace('\'', "''");
    let agent = json(serde_json::json!({ "agent": WORDS, "network": WORDS, "purpose": WORDS }));
    let fields = json(serde_json::json!({ "city": WORDS }));
    let tally = json(serde_json::json!({
        "added": 1, "rows": 2, "rejected": 1,
        "rejects": [{ "table": WORDS, "line": 2, "reason": WORDS }],
        "tables": [WORDS], "passed_over": [WORDS], "ignored_columns": [WORDS],
    }));
    let trouble = json(serde_json::json!({
        "relays": [{ "relay": WORDS, "ail": "broken", "why": WORDS, "since": 1, "next": 2 }],
        "working": [],
    }));
    desk.raw(&format!(
        "update lists set title = '{words}' where id = 1;
         update runs set title = '{words}', reason = '{words}', status = 'held' where id = 2;
         update links set name = '{words}', url = '{words}';
         update subscribers set name = '{words}', fields = '{fields}';
         update subscriptions set source = '{words}';
         update imports set file = '{words}', service = '{words}', consent = '{words}', tally = '{tally}';
         update consents set what = '{words}';
         update deliveries set code = 550, enhanced = '{words}', reply = '{words}', state = 'bounced'
             where run_id = 2 and seq = 0;
         insert into failures (run_id, seq, at, stage, reason, dialogue)
             values (2, 0, 1, '{words}', '{words}', '{words}');
         insert into events (id, at, kind, run_id, seq, link, evidence) values (1, 1, 'click', 2, 0, 0, '{agent}');
         insert into delivery_events (run_id, seq, event_id, after) values (2, 0, 1, null);
         insert into suppressions (hash, reason, created_at) select hash, '{words}', 1 from subscribers;
         insert into tags (subscriber_id, tag) select id, '{words}' from subscribers;
         update archive_pages set title = '{words}';
         delete from meta where key = 'trouble';
         insert into meta (key, value) values ('trouble', '{trouble}')"
    ))
    .await;
}

/// What a terminal would do something at, or take for a line of ours.
fn faults(text: &str) -> Vec<String> {
    let acts = |c: &char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut faults: Vec<String> = text
        .chars()
        .filter(acts)
        .map(|c| format!("{c:?}"))
        .collect();
    faults.extend(
        text.lines()
            .filter(|line| line.starts_with("forged"))
            .map(str::to_owned),
    );
    faults
}

on_both!(
    words_of_strangers_do_nothing_on_a_terminal,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        plant(&desk).await;
        let (mut shown, mut meant) = (0, 0);
        for look in LOOKS {
            let text: Vec<&str> = look
                .iter()
                .copied()
                .filter(|word| *word != "--json")
                .collect();
            let said = desk.run(&text).await;
            // Some find fault with such words, and none breaks.
            assert!(matches!(said.code, 0 | 1 | 3), "{look:?}: {said:?}");
            for output in [&said.out, &said.error] {
                assert_eq!(faults(output), [""; 0], "{look:?}: {output:?}");
            }
            shown += usize::from(said.out.contains("[2J"));
            let said = desk.run(look).await;
            for output in [&said.out, &said.error] {
                assert_eq!(faults(output), [""; 0], "{look:?}: {output:?}");
            }
            // Who finds fault at once says so on stderr alone.
            if said.out.is_empty() {
                continue;
            }
            let value: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
            let held = |text: &str| text.contains("\u{1b}[2J");
            meant += usize::from(strings(&value).any(held));
        }
        // What is not shown at all proves nothing.
        assert!(shown >= 12, "{shown} of the commands show the words");
        assert!(meant >= 12, "{meant} of the commands say them in JSON");
    }
);

fn strings(value: &serde_json::Value) -> Box<dyn Iterator<Item = &str> + '_> {
    use serde_json::Value;
    match value {
        Value::String(text) => Box::new(std::iter::once(text.as_str())),
        Value::Array(values) => Box::new(values.iter().flat_map(strings)),
        Value::Object(pairs) => Box::new(pairs.values().flat_map(strings)),
        _ => Box::new(std::iter::empty()),
    }
}

on_both!(
    a_file_of_strangers_is_imported_without_a_word_that_acts,
    async |engine: Engine| {
        let desk = Desk::new(engine, 1, SinkOptions::default()).await;
        let name = "\u{1b}[2Jreaders\u{202e}.csv";
        let file = desk.news().join(name);
        let hostile = WORDS.replace('"', "");
        let rows = format!(
            "email,name,\"{hostile}\",status\nann@example.org,\"{hostile}\",\"{hostile}\",active\n\
             \"{hostile}@example.org\",x,y,active\nno address,\"{hostile}\",y,\"{hostile}\"\n"
        );
        std::fs::write(&file, rows).expect("a file");
        let file = file.to_str().expect("a path");
        for more in [&["--dry-run"][..], &[], &["--json"]] {
            let import = ["subscribers", "import", file, "--list", "weekly"];
            let arguments = [&import[..], more].concat();
            let said = desk.run(&arguments).await;
            for output in [&said.out, &said.error] {
                assert_eq!(faults(output), [""; 0], "{more:?}: {output:?}");
            }
        }
        desk.write(
            "wasps",
            &format!("---\ntitle: {hostile:?}\n---\n{hostile}\n[a](b{hostile})\n"),
        );
        for arguments in [
            &["check", "wasps"][..],
            &["check", "wasps", "--json"],
            &["diff", "wasps", "bees"],
            &["import-issue", file],
            &["status", WORDS],
            &["deliveries", "show", "bees", WORDS],
            &["segments", "test", WORDS],
            &["relay", "show", WORDS],
            &["theme", "check", WORDS],
            &["links", WORDS],
        ] {
            let said = desk.run(arguments).await;
            for output in [&said.out, &said.error] {
                let acting: Vec<String> = faults(output);
                let acting = acting.iter().filter(|fault| !fault.starts_with("forged"));
                assert_eq!(acting.count(), 0, "{arguments:?}: {output:?}");
            }
        }
    }
);
