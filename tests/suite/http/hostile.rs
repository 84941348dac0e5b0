//! Whatever readers, relays, browsers and authors write: on the author's pages it is text, and no page shows a
//! secret.

use scraper::{Html, Selector};

use super::lists::upload_key;
use super::site::TestSite;
use super::wire::Answer;
use crate::harness::Engine;
use crate::on_both;

/// Pieces that have broken some page somewhere.
const PAYLOADS: [&str; 12] = [
    "<script>alert(1)</script>",
    "</textarea></pre></title></style></iframe><script src=//evil.example></script>",
    "\" onmouseover=\"alert(1)\" x=\"",
    "' onfocus='alert(1)' autofocus='",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}${7*7}<%= 7*7 %>",
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{9b}31m",
    "\u{202e}gpj.exe\u{2066}\u{200f}\u{feff}",
    "&lt;b&gt;&amp;&#60;i&#62;]]><!--",
    "a\r\nSet-Cookie: x=y\r\n\r\n<b>",
];

const PAGES: [&str; 23] = [
    "/",
    "/issues",
    "/runs/2",
    "/subscribers",
    "/subscribers?q=READER",
    "/subscribers/1000",
    "/deliveries/2-0",
    "/numbers",
    "/runs/2/numbers",
    "/runs/2/clicks",
    "/lists",
    "/lists/1",
    "/imports",
    "/imports?list=1",
    "/imports/1",
    "/segments",
    "/segments?q=tag%3Apaid&list=daily",
    "/suppressions",
    "/sessions",
    "/audit",
    "/settings",
    "/login",
    "/login/x",
];

/// Puts `payload` wherever somebody else's words are kept.
async fn plant(site: &TestSite, payload: &str) {
    let quoted = payload.replace('\'', "''");
    let json =
        serde_json::json!({ "agent": payload, "network": payload, "purpose": payload, "after": 3 });
    let json = json.to_string().replace('\'', "''");
    let fields = serde_json::json!({ "city": payload, payload: payload });
    let fields = fields.to_string().replace('\'', "''");
    let tally = serde_json::json!({
        "added": 1, "rows": 2, "rejected": 1, "updated": 1, "barred": 1, "left": 1, "confirmed": 1,
        "rejects": [{ "table": payload, "line": 2, "reason": payload }],
        "tables": [payload], "passed_over": [payload], "ignored_columns": [payload],
    });
    let tally = tally.to_string().replace('\'', "''");
    let trouble = serde_json::json!({
        "relays": [{ "relay": payload, "ail": "broken", "why": payload, "since": 1, "next": 2 }],
        "working": [],
    });
    let trouble = trouble.to_string().replace('\'', "''");
    site.db
        .exec(&format!(
            "update lists set title = '{quoted}', slug = '{quoted}' where id = 1;
             update runs set title = '{quoted}', slug = '{quoted}', reason = '{quoted}', status = 'held'
                 where id = 2;
             update links set name = '{quoted}', url = '{quoted}';
             update subscribers set name = '{quoted}', fields = '{fields}' where id = 1000;
             update subscriptions set source = '{quoted}', status = 'unsubscribed', left_at = 5 where key = 1000;
             delete from leave_reasons;
             insert into leave_reasons (subscription, at, reason, words) values (1000, {now}, '{quoted}', '{quoted}');
             delete from tallies;
             insert into tallies (run_id, part, bucket, what, number)
                 values (2, 'provider', '{quoted}', 'sent', 5), (2, 'provider', '{quoted}', 'clicked:human', 2),
                     (2, 'device', '{quoted}', 'opened:human', 2), (2, 'subject', '{quoted}', 'sent', 5);
             delete from imports;
             insert into imports (id, list_id, file, service, fingerprint, status, consent, begun_at, finished_at,
                     done, tally, undone_at, removed, stayed)
                 values (1, 1, '{quoted}', '{quoted}', unhex('00'), 'confirmed', '{quoted}', 1, 2, 1, '{tally}',
                     {undone}, 1, 1);
             delete from consents;
             insert into consents (subscriber_id, at, what, list_id) values (1000, 1, '{quoted}', 1);
             update deliveries set code = 550, enhanced = '{quoted}', reply = '{quoted}', state = 'bounced'
                 where run_id = 2 and seq = 0;
             update blocks set sent = 1, bounced = 1 where run_id = 2;
             delete from failures;
             insert into failures (run_id, seq, at, stage, reason, dialogue)
                 values (2, 0, 1, '{quoted}', '{quoted}', '{quoted}');
             delete from events;
             insert into events (id, at, kind, run_id, seq, link, evidence)
                 values (1, 1, 'click', 2, 0, 0, '{json}');
             delete from delivery_events;
             insert into delivery_events (run_id, seq, event_id, after) values (2, 0, 1, null);
             delete from suppressions;
             insert into suppressions (hash, reason, created_at)
                 values (unhex('{hash}'), '{quoted}', 1);
             insert into admin_sessions (id, hash, way, begun_at, seen_at, agent)
                 select 7, unhex('07'), 'link', {now}, {now}, '{quoted}'
                 where not exists (select 1 from admin_sessions where id = 7);
             update admin_sessions set agent = '{quoted}' where id = 7;
             insert into admin_audit (at, id, session, what, about) values ({now}, {id}, 1, '{quoted}', '{quoted}');
             delete from meta where key = 'trouble';
             insert into meta (key, value) values ('trouble', '{trouble}')",
            hash = site.hash_hex("reader0@example.org"),
            now = super::site::NOON.0,
            // Both pages of an import: one that stands, and one that was taken back.
            undone = if payload.len().is_multiple_of(2) { "3" } else { "null" },
            id = site.app.chance.key(),
        ))
        .await;
}

/// What of a page is not the program's own.
fn faults(page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let document = Html::parse_document(page);
    let all = Selector::parse("*").expect("a selector");
    for element in document.select(&all).map(|found| found.value()) {
        let name = element.name();
        let src = element.attr("src").unwrap_or_default();
        let ours = match name {
            "script" => src == "/live.js",
            "iframe" => src.starts_with("/deliveries/") || src == "/runs/2/clicks/issue",
            "img" | "b" | "i" | "object" | "embed" | "style" | "base" | "textarea" => false,
            _ => true,
        };
        if !ours {
            faults.push(format!("<{name} {src}>"));
        }
        for (key, value) in element.attrs() {
            let leads = matches!(key, "href" | "src" | "action" | "formaction" | "xlink:href");
            let own = !leads
                || value.starts_with('/') && !value.starts_with("//")
                || value.starts_with('#')
                || value == "data:,";
            if key.starts_with("on") || key == "style" || !own {
                faults.push(format!("{key}={value}"));
            }
        }
    }
    let hidden = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some(found) = page.chars().find(|&c| hidden(c)) {
        faults.push(format!("{found:?} in the text"));
    }
    if page.contains("49") && page.contains("$49") {
        faults.push("a template within the template".into());
    }
    faults
}

fn assert_shielded(path: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{path}: {policy}"
    );
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{path}: {name}");
    }
    assert!(answer.header("set-cookie").is_none(), "{path}");
}

on_both!(
    nothing_that_anybody_wrote_is_markup_on_any_page,
    async |engine: Engine| {
        let secret = "url = \"smtp://127.0.0.1:25\"";
        let config = TestSite::config(&[(
            secret,
            "url = \"smtp://127.0.0.1:25\"\nusername = \"press\"\npassword = \"relay-secret-word\"",
        )]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        site.seed_run(2).await;
        let password = secrecy::SecretString::from("correct horse battery staple");
        pressrun::access::password::set(&site.app, password)
            .await
            .expect("a password");
        let kept = "select password from admin_account";
        let hash = site.db.text(kept).await.expect("a hash");
        let keyring = site.app.base.join("keyring.toml");
        let keyring = std::fs::read_to_string(keyring).expect("a keyring");
        let secrets: Vec<&str> = keyring
            .lines()
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        let secrets: Vec<&str> = secrets.into_iter().filter(|word| word.len() > 30).collect();
        assert_eq!(secrets.len(), 2);
        // The first count of all begins with empty numbers.
        pressrun::track::fold::catch_up(&site.app.store)
            .await
            .expect("a fold");
        let cookie = site.cookie().await;
        let (_, cookie) = cookie.split_once('=').expect("a value");
        let mut shown = 0;
        for payload in PAYLOADS {
            plant(&site, payload).await;
            for path in PAGES {
                let answer = site.ask_admin(path, "localhost").await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                assert_shielded(path, &answer);
                let text = answer.text();
                let found = faults(&text);
                assert!(
                    found.is_empty(),
                    "{path} with {payload:?}: {found:?}\n{text}"
                );
                for secret in secrets
                    .iter()
                    .chain(&[hash.as_str(), cookie, "relay-secret-word"])
                {
                    assert!(!text.contains(secret), "{path} shows a secret");
                }
                shown += usize::from(text.contains("alert(1)"));
            }
            let search = format!("/subscribers?q={}", encoded(payload));
            let text = site.ask_admin(&search, "localhost").await.text();
            let found = faults(&text);
            assert!(found.is_empty(), "{search}: {found:?}\n{text}");
            let lost = format!("/login?to={}", encoded(payload));
            let found = faults(&site.ask_admin(&lost, "localhost").await.text());
            assert!(found.is_empty(), "{lost}: {found:?}");
        }
        assert!(shown > 40, "the words do reach the pages: {shown}");
        site.stop().await;
    }
);

on_both!(
    nothing_in_an_uploaded_table_is_markup,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let mut imports = 0;
        for payload in PAYLOADS {
            // As browsers write the name of a file.
            let name = payload
                .replace('"', "%22")
                .replace(|c: char| c.is_control(), "");
            let cell = format!("\"{}\"", payload.replace('"', "\"\""));
            let table = format!(
                "email,name,{cell}\nr{imports}@x.example,{cell},{cell}\n{cell},{cell},{cell}\n"
            );
            let form = [
                ("list", "weekly"),
                ("consent", payload),
                ("status", payload),
            ];
            let look = site.upload(&name, &table, &form).await;
            assert_eq!(look.status, 200, "{payload:?}: {}", look.text());
            assert_shielded("/imports", &look);
            let page = look.text();
            assert!(
                faults(&page).is_empty(),
                "{payload:?}: {:?}\n{page}",
                faults(&page)
            );
            let key = upload_key(&page);
            let taken = site
                .press_admin("/imports/take", &format!("upload={key}"))
                .await;
            assert_eq!(taken.status, 303, "{payload:?}: {}", taken.text());
            imports += 1;
            let own = format!("/imports/{imports}");
            assert_eq!(taken.header("location"), Some(own.as_str()), "{payload:?}");
            for path in ["/imports", own.as_str(), "/subscribers", "/lists/1"] {
                let answer = site.ask_admin(path, "localhost").await;
                assert_eq!(answer.status, 200, "{path}");
                let page = answer.text();
                assert!(
                    faults(&page).is_empty(),
                    "{path} with {payload:?}: {:?}\n{page}",
                    faults(&page)
                );
            }
            let asked = site.press_admin(&format!("{own}/undo"), "").await.text();
            assert!(faults(&asked).is_empty(), "{payload:?}: {asked}");
        }
        let shown = site.ask_admin("/imports", "localhost").await.text();
        assert!(
            shown.contains("&lt;script&gt;alert(1)"),
            "the words do reach the page: {shown}"
        );
        site.stop().await;
    }
);

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn markup_from_outside_would_be_found() {
    for page in [
        "<p><script>1</script>",
        "<img src=/x>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<a href=\"//evil.example\">x</a>",
        "<p onclick=\"x\">",
        "<p style=\"x\">",
        "a \u{202e}",
        "a \u{1b}[2J",
    ] {
        assert!(!faults(page).is_empty(), "{page}");
    }
    assert!(
        faults(
            "<!doctype html><a href=\"/x\">&lt;script&gt;</a><script src=\"/live.js\"></script>"
        )
        .is_empty()
    );
}
