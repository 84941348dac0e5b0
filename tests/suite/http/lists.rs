//! Lists and imports on the author's site: what is shown is what is kept, and an import by the browser is the
//! command's own.

use std::path::PathBuf;

use super::site::{NOON, TestSite};
use super::wire::{Answer, request};
use crate::harness::Engine;
use crate::on_both;

const DAY: i64 = 86_400_000;

impl TestSite {
    /// Sends a file as the page of imports does.
    pub async fn upload(&self, name: &str, content: &str, fields: &[(&str, &str)]) -> Answer {
        let mut body = String::new();
        for (field, value) in fields {
            body.push_str(&format!(
                "--edge\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            ));
        }
        body.push_str(&format!(
            "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: text/csv\r\n\r\n{content}\r\n--edge--\r\n"
        ));
        let (cookie, origin) = (self.cookie().await, format!("http://{}", self.admin));
        let headers = [
            ("Content-Type", "multipart/form-data; boundary=edge"),
            ("Origin", origin.as_str()),
            ("Cookie", cookie.as_str()),
        ];
        request(self.admin, "POST", "/imports", &headers, &body).await
    }

    /// Files that wait to be imported.
    pub fn waiting(&self) -> Vec<PathBuf> {
        let folder = self.app.path(&self.app.config.paths.state).join("uploads");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

/// The key of a file that was looked at, from its page.
pub fn upload_key(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"upload\" value=\"").expect("a key");
    rest.split('"').next().expect("its end").to_owned()
}

fn without_blanks(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A page without the heads that stand beside its cells on a phone.
fn without_heads(page: &str) -> String {
    let mut parts = page.split(" data-head=\"");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').expect("the head's end");
        bare.push_str(rest);
    }
    bare
}

on_both!(
    where_more_said_why_they_left_than_are_looked_at_that_is_said,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        let told = async |list: u8| {
            let page = site.ask_admin(&format!("/lists/{list}"), "localhost").await;
            without_heads(&page.text())
        };
        site.db
            .exec(
                "update subscriptions set status = 'unsubscribed', left_at = 1 where key = 1000;
                 insert into leave_reasons (subscription, at, reason, words) values (1000, 1, 'often', 'far too often')",
            )
            .await;
        let one = told(1).await;
        assert!(
            one.contains("far too often") && !one.contains("5&#8239;000"),
            "{one}"
        );
        assert!(!told(2).await.contains("What they said"));
        let hash = site.hash_hex("x");
        let range =
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000)";
        site.db
            .exec(&format!(
                "insert into subscribers (id, address, canonical, hash, name, fields, created_at)
                 {range} select 50000 + i, 'x' || i || '@example.org', 'x' || i || '@example.org', unhex('{hash}'), '', '{{}}', 0 from n;
                 insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, left_at)
                 {range} select 500000 + i, 2, 50000 + i, 'unsubscribed', 'cli', 0, 2 from n;
                 insert into leave_reasons (subscription, at, reason, words)
                 {range} select 500000 + i, 2, 'often', 'much too often' from n"
            ))
            .await;
        let two = told(2).await;
        assert!(
            two.contains("much too often") && two.contains("Among the last"),
            "{two}"
        );
        let one = told(1).await;
        assert!(
            one.contains("Nobody among the last") && !one.contains("too often"),
            "{one}"
        );
        site.stop().await;
    }
);

on_both!(
    a_list_is_shown_with_its_readers_its_growth_and_its_fields,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(40).await;
        let at = NOON.0;
        site.db
            .exec(&format!(
                "update subscriptions set status = 'pending', confirmed_at = null where key between 1000 and 1003;
                 update subscriptions set status = 'paused' where key in (1004, 1005);
                 update subscriptions set status = 'unsubscribed', left_at = {at} - {DAY}
                 where key between 1006 and 1012;
                 update subscriptions set confirmed_at = {at} - 2 * {DAY} where key between 1020 and 1022;
                 insert into leave_reasons (subscription, at, reason, words)
                 values (1006, {at} - {DAY}, 'too-often', ''), (1007, {at} - {DAY}, 'too-often', ''),
                     (1020, {at} - 3 * {DAY}, 'too-often', 'and came back by the form')"
            ))
            .await;
        std::fs::create_dir_all(site.app.emails()).expect("a folder");
        let fields =
            "[fields.city]\ntype = \"text\"\nrequired = true\n[fields.age]\ntype = \"number\"\n";
        std::fs::write(site.app.emails().join("fields.toml"), fields).expect("a file");
        let page = site.ask_admin("/lists", "localhost").await;
        assert_eq!(page.status, 200);
        let page = page.text();
        assert!(
            page.contains("<a href=\"/lists/1\">The Weekly</a>"),
            "{page}"
        );
        assert!(
            page.contains("<a href=\"/lists/2\">The Daily</a>"),
            "{page}"
        );
        let one = without_heads(&site.ask_admin("/lists/1", "localhost").await.text());
        for (status, label) in [
            ("pending", "Pending"),
            ("confirmed", "Confirmed"),
            ("paused", "Paused"),
            ("unsubscribed", "Unsubscribed"),
        ] {
            let query = format!(
                "select count(*) from subscriptions where list_id = 1 and status = '{status}'"
            );
            let number = site.db.number(&query).await;
            let shown = format!("<div><dt>{label}</dt><dd>{number}</dd></div>");
            assert!(page.contains(&shown), "{shown}: {page}");
            let linked = format!(
                "<div><dt>{label}</dt><dd><a href=\"/subscribers?list=weekly&amp;status={status}\">{number}</a></dd></div>"
            );
            assert!(one.contains(&linked), "{linked}: {one}");
        }
        assert!(
            page.contains("This week: 3 joined, 7 left, net -4."),
            "{page}"
        );
        let readers = async |status: &str| {
            let path = format!("/subscribers?list=weekly&status={status}");
            let page = site.ask_admin(&path, "localhost").await.text();
            (page.matches("<li><div class=\"head\"").count(), page)
        };
        let (confirmed, _) = readers("confirmed").await;
        let lost = site.hash_hex("reader30@example.org");
        site.db
            .exec(&format!(
                "insert into suppressions (hash, reason, created_at) values (unhex('{lost}'), 'bounced', {at});
                 delete from list_numbers"
            ))
            .await;
        let (suppressed, found) = readers("suppressed").await;
        assert_eq!(suppressed, 1);
        assert!(found.contains("/subscribers/1030\""), "{found}");
        assert_eq!(readers("confirmed").await.0, confirmed - 1);
        let after = without_heads(&site.ask_admin("/lists/1", "localhost").await.text());
        let linked = "&amp;status=suppressed\">1</a>";
        assert!(after.contains(linked), "{after}");
        let week = "<th scope=\"row\">2026-10-26</th><td class=\"number\">3</td>\
                    <td class=\"number\">7</td><td class=\"number\">-4</td>\
                    <td>2 too-often, 5 without a reason</td>";
        assert!(one.contains(week), "{one}");
        assert!(one.contains("By month of joining"), "{one}");
        assert!(one.contains("href=\"/segments?list=weekly\""), "{one}");
        assert!(
            one.contains("<td>a text</td><td>every reader has it</td>"),
            "{one}"
        );
        assert!(
            one.contains("offers it, as the publication's own list"),
            "{one}"
        );
        assert!(one.contains("<dd>abc</dd>"), "the label in List-Id: {one}");
        for missing in ["/lists/9", "/lists/x", "/lists/99999999999999999999"] {
            assert_eq!(
                site.ask_admin(missing, "localhost").await.status,
                404,
                "{missing}"
            );
        }
        let added = site
            .press_admin("/lists", "slug=monthly&title=The+Monthly")
            .await;
        assert_eq!(
            (added.status, added.header("location")),
            (303, Some("/lists"))
        );
        for (form, why) in [
            ("slug=monthly&title=Again", "is named `monthly` already"),
            ("slug=No+Slug&title=X", "lower-case"),
            ("slug=fine&title=+", "the title is empty"),
        ] {
            let answer = site.press_admin("/lists", form).await;
            assert_eq!(answer.status, 409, "{form}");
            assert!(answer.text().contains(why), "{form}: {}", answer.text());
        }
        let audit = without_heads(&site.ask_admin("/audit", "localhost").await.text());
        assert!(
            audit.contains("<td>added a list</td><td>list monthly</td>"),
            "{audit}"
        );
        assert_eq!(audit.matches("added a list").count(), 1, "{audit}");
        site.stop().await;
    }
);

const TABLE: &str = "email,name,nonsense\n\
    new1@x.example,One,a\nnew2@x.example,Two,b\nreader0@example.org,,c\nreader1@example.org,,d\n\
    not-an-address,Five,e\nnew1@x.example,One,f\n";
const CONSENT: &str = "double opt-in at Mailchimp, 2021 to 2026";

on_both!(
    readers_are_imported_by_the_browser_as_by_the_command_and_taken_back,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(2).await;
        site.db
            .exec("update subscriptions set status = 'unsubscribed', left_at = 1 where key = 1001")
            .await;
        let empty = site.ask_admin("/imports", "localhost").await.text();
        assert!(empty.contains("Nothing was imported yet"), "{empty}");
        let form = [("list", "weekly"), ("consent", CONSENT), ("status", "")];
        let look = site.upload("email_list.csv", TABLE, &form).await;
        assert_eq!(look.status, 200, "{}", look.text());
        let page = look.text();
        let diff = "+2 new, 1 known, 1 stay unsubscribed, 1 named twice, 1 rejected";
        assert!(page.contains(diff), "{page}");
        assert!(
            page.contains("Columns without a field are left out: nonsense"),
            "{page}"
        );
        assert!(page.contains("line 6") && page.contains(CONSENT), "{page}");
        assert_eq!(site.db.number("select count(*) from imports").await, 0);
        assert_eq!(site.db.number("select count(*) from subscribers").await, 2);
        assert_eq!(site.waiting().len(), 1);

        // Another site's form takes nothing.
        let key = upload_key(&page);
        let (cookie, body) = (site.cookie().await, format!("upload={key}"));
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", "https://evil.example"),
            ("Cookie", cookie.as_str()),
        ];
        let foreign = request(site.admin, "POST", "/imports/take", &headers, &body).await;
        assert_eq!(foreign.status, 403);
        assert_eq!(site.db.number("select count(*) from imports").await, 0);

        let taken = site.press_admin("/imports/take", &body).await;
        assert_eq!(
            (taken.status, taken.header("location")),
            (303, Some("/imports/1"))
        );
        assert_eq!(site.waiting(), Vec::<PathBuf>::new());
        let confirmed =
            "select count(*) from subscriptions where import_id = 1 and status = 'confirmed'";
        assert_eq!(site.db.number(confirmed).await, 2);
        assert_eq!(site.db.number("select count(*) from system_mails").await, 0);
        let twice = site.press_admin("/imports/take", &body).await;
        assert_eq!(twice.status, 409);
        assert!(
            twice.text().contains("is not here any more"),
            "{}",
            twice.text()
        );

        let page = without_blanks(&site.ask_admin("/imports/1", "localhost").await.text());
        for part in [
            "<li>+2 new</li>",
            "<li>1 known</li>",
            "<li>1 stay unsubscribed</li>",
            "<li>1 rejected</li>",
            "Of 6 rows.",
            CONSENT,
            "<h1>email_list.csv",
            "line 6",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let (_, told, _) = site.command(&["subscribers", "imports", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(
            (&told[0]["added"], &told[0]["rejected"]),
            (&2.into(), &1.into())
        );
        let all = site.ask_admin("/imports", "localhost").await.text();
        assert!(
            all.contains("<a href=\"/imports/1\">email_list.csv</a>"),
            "{all}"
        );

        let asked = site.press_admin("/imports/1/undo", "").await;
        assert_eq!(asked.status, 200);
        let asked = asked.text();
        assert!(asked.contains("<dt>Go</dt><dd>2</dd>"), "{asked}");
        assert!(asked.contains("<dt>Stay</dt><dd>0</dd>"), "{asked}");
        assert_eq!(site.db.number(confirmed).await, 2, "asked is not done");
        let undone = site.press_admin("/imports/1/undo", "sure=yes").await;
        assert_eq!(
            (undone.status, undone.header("location")),
            (303, Some("/imports/1"))
        );
        assert_eq!(site.db.number("select count(*) from subscribers").await, 2);
        let page = site.ask_admin("/imports/1", "localhost").await.text();
        assert!(page.contains("2 readers went"), "{page}");
        let again = site.press_admin("/imports/1/undo", "sure=yes").await;
        assert_eq!(again.status, 409);
        assert!(
            again.text().contains("was taken back before"),
            "{}",
            again.text()
        );
        for missing in ["/imports/2", "/imports/x"] {
            assert_eq!(
                site.ask_admin(missing, "localhost").await.status,
                404,
                "{missing}"
            );
        }
        let audit = without_heads(&site.ask_admin("/audit", "localhost").await.text());
        assert!(
            audit.contains("<td>imported readers</td><td>import 1 into weekly</td>"),
            "{audit}"
        );
        assert!(
            audit.contains("<td>took an import back</td><td>import 1</td>"),
            "{audit}"
        );
        site.stop().await;
    }
);

on_both!(
    an_upload_confirms_nobody_without_a_consent_and_no_more_than_four_wait,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        for (name, content, form, why) in [
            (
                "a.csv",
                TABLE,
                [
                    ("list", "weekly"),
                    ("consent", " "),
                    ("status", "confirmed"),
                ],
                "nobody is confirmed without a stated consent",
            ),
            (
                "a.jsonl",
                "{\"pressrun\":1}\n",
                [("list", "weekly"), ("consent", ""), ("status", "")],
                "JSON lines",
            ),
            (
                "a.csv",
                "ann@example.org,Ann\nbob@example.org,Bob\n",
                [("list", "weekly"), ("consent", ""), ("status", "")],
                "a header line such as",
            ),
            (
                "",
                "",
                [("list", "weekly"), ("consent", ""), ("status", "")],
                "no file was chosen",
            ),
            (
                "a.csv",
                TABLE,
                [("list", "nowhere"), ("consent", ""), ("status", "")],
                "no list is named `nowhere`",
            ),
        ] {
            let answer = site.upload(name, content, &form).await;
            let text = answer.text();
            assert_eq!(answer.status, 409, "{why}: {text}");
            assert!(text.contains(why), "{why}: {text}");
            assert!(!text.contains("uploads"), "no path of ours: {text}");
            assert_eq!(site.waiting(), Vec::<PathBuf>::new(), "{why}");
        }
        let form = [("list", "weekly"), ("consent", ""), ("status", "")];
        let mut keys = Vec::new();
        for _ in 0..5 {
            let page = site.upload("../../x.csv", TABLE, &form).await.text();
            assert!(page.contains("<h1>Import x.csv?</h1>"), "{page}");
            assert!(page.contains("4 come as pending"), "{page}");
            keys.push(upload_key(&page));
        }
        assert_eq!(site.waiting().len(), 4);
        let first = site
            .press_admin("/imports/take", &format!("upload={}", keys[0]))
            .await;
        assert_eq!(first.status, 409, "the oldest made room");
        site.app
            .clock
            .advance(std::time::Duration::from_secs(3_601));
        assert_eq!(site.ask_admin("/imports", "localhost").await.status, 200);
        assert_eq!(site.waiting(), Vec::<PathBuf>::new(), "nobody took them");
        let late = site
            .press_admin("/imports/take", &format!("upload={}", keys[4]))
            .await;
        // The session is older than that, too, but not over.
        assert_eq!(late.status, 409, "{}", late.text());
        assert_eq!(site.waiting(), Vec::<PathBuf>::new());
        let page = site.upload("x.csv", TABLE, &form).await.text();
        let body = format!("upload={}", upload_key(&page));
        let taken = site.press_admin("/imports/take", &body).await;
        assert_eq!(taken.header("location"), Some("/imports/1"));
        let pending = "select count(*) from subscriptions where status = 'pending'";
        assert_eq!(site.db.number(pending).await, 4);
        assert_eq!(site.db.number("select count(*) from system_mails").await, 0);
        site.stop().await;
    }
);
