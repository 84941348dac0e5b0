//! The author's pages of numbers and the click map, held against the log of events counted by itself.

use std::collections::BTreeSet;

use pressrun::event::EventKind;
use pressrun::event::score::Verdict;
use pressrun::id::RunId;
use pressrun::numbers::log::JudgedEvent;
use pressrun::numbers::{self, log};
use pressrun::stats::usual::Standing;
use scraper::{ElementRef, Html, Selector};

use super::numbers::monday;
use super::site::{NOON, RUN, TestSite, unsubscribe};
use crate::harness::Engine;
use crate::on_both;

const PROVIDERS: [&str; 6] = [
    "Name",
    "Sent",
    "Bounced",
    "Clicked",
    "Opened",
    "Apple's proxy",
];

/// The texts of what `selector` finds, blanks drawn together.
fn texts(page: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).expect("a selector");
    page.select(&selector).map(|found| text(&found)).collect()
}

fn text(element: &ElementRef<'_>) -> String {
    let words: Vec<&str> = element.text().flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// The number that `text` begins with.
fn first(text: &str) -> usize {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number: {text}"))
}

/// The rows of the table whose head names these columns, cell by cell.
fn rows(page: &Html, columns: &[&str]) -> Vec<Vec<String>> {
    let [table, head, row, cell] = ["table", "thead th", "tbody tr", "th, td"]
        .map(|s| Selector::parse(s).expect("a selector"));
    let found = page.select(&table).find(|table| {
        let names: Vec<String> = table.select(&head).map(|name| text(&name)).collect();
        names == columns
    });
    let found = found.unwrap_or_else(|| panic!("no table of {columns:?}"));
    found
        .select(&row)
        .map(|row| row.select(&cell).map(|cell| text(&cell)).collect())
        .collect()
}

async fn logged(site: &TestSite) -> Vec<JudgedEvent> {
    let page = log::events(&site.app, RUN, -1, 1_000).await;
    page.expect("the log").events
}

/// How many readers did it themselves; who clicked has opened.
fn people(events: &[JudgedEvent], kind: EventKind, link: Option<u32>) -> usize {
    let own = events.iter().filter(|event| {
        (event.kind == kind || kind == EventKind::Open && event.kind == EventKind::Click)
            && event.verdict() == Some(Verdict::Human)
            && link.is_none_or(|link| event.link == Some(link))
    });
    own.map(|event| event.delivery)
        .collect::<BTreeSet<_>>()
        .len()
}

on_both!(
    the_pages_of_numbers_say_what_the_log_of_events_says,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let empty = site.ask_admin("/numbers", "localhost").await;
        assert!(
            empty.text().contains("No issue has been sent yet"),
            "{}",
            empty.text()
        );
        monday(&site).await;
        let leave = format!("/u/{}", site.token(unsubscribe(39)));
        let left = site.post(&leave, "List-Unsubscribe=One-Click").await;
        assert_eq!(left.status, 200);
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let events = logged(&site).await;
        let (clicked, opened) = (
            people(&events, EventKind::Click, None),
            people(&events, EventKind::Open, None),
        );
        assert_eq!((clicked, opened), (5, 15), "as it was played");

        let page = site.ask_admin("/runs/2/numbers", "localhost").await;
        assert_eq!(page.status, 200);
        let page = Html::parse_document(&page.text());
        let labels = texts(&page, "dl.figures.large dt");
        assert_eq!(labels, ["Clicked", "Opened", "Unsubscribed", "Complained"]);
        let figures: Vec<usize> = texts(&page, "dl.figures.large dd")
            .iter()
            .map(|figure| first(figure))
            .collect();
        assert_eq!(figures, [clicked, opened, 1, 0]);

        let links = rows(&page, &["Link", "Readers", "Their clicks", "Machines'"]);
        assert_eq!(links.len(), 3);
        for (link, row) in (0..).zip(&links) {
            let clicks = |verdict: Verdict| {
                let those = events.iter();
                those
                    .filter(|event| event.link == Some(link) && event.verdict() == Some(verdict))
                    .count()
            };
            let readers = people(&events, EventKind::Click, Some(link));
            assert_eq!(first(&row[1]), readers, "{row:?}");
            assert_eq!(first(&row[2]), clicks(Verdict::Human), "{row:?}");
            assert_eq!(first(&row[3]), clicks(Verdict::Machine), "{row:?}");
        }
        // The page of the run says the same, and leaves machines out.
        let run = site.ask_admin("/runs/2", "localhost").await;
        let run = Html::parse_document(&run.text());
        let own = rows(&run, &["Link", "Readers", "Their clicks"]);
        assert_eq!(own.len(), 3);
        for (row, all) in own.iter().zip(&links) {
            assert_eq!(first(&row[1]), first(&all[1]), "{row:?}");
            assert_eq!(row[2], all[2], "one word means one thing: {row:?}");
        }
        let columns = [
            "What",
            "By readers",
            "Gmail's proxy",
            "Apple's proxy",
            "Unsure",
            "Machines",
        ];
        for (row, kind) in rows(&page, &columns).iter().zip(["click", "open"]) {
            let query = format!("select count(*) from events where run_id = 2 and kind = '{kind}'");
            let told: usize = row[1..].iter().map(|cell| first(cell)).sum();
            assert_eq!(told as i64, site.db.number(&query).await, "{row:?}");
        }
        let providers = rows(&page, &PROVIDERS);
        let sum =
            |column: usize| -> usize { providers.iter().map(|row| first(&row[column])).sum() };
        assert_eq!((sum(1), sum(3), sum(4)), (40, clicked, opened));

        // Every hour's bar has its number in its title.
        let titles = texts(&page, "svg.chart title");
        let hours = |what: &str| -> usize {
            let of = titles.iter().filter(|title| title.ends_with(what));
            of.map(|title| first(title.rsplit(": ").next().expect("a number")))
                .sum()
        };
        assert_eq!((hours(" clicked"), hours(" opened")), (clicked, opened));

        // And they stand in a table, for whoever sees no bars.
        let told = rows(&page, &["Hour", "Opened", "Clicked"]);
        let sum = |column: usize| -> usize { told.iter().map(|row| first(&row[column])).sum() };
        assert_eq!((sum(2), sum(1)), (clicked, opened));

        let all = site.ask_admin("/numbers", "localhost").await;
        let all = Html::parse_document(&all.text());
        let runs = rows(&all, &["Issue", "Sent", "Clicked", "Opened", "Machines"]);
        assert_eq!(runs.len(), 1);
        let told: Vec<usize> = runs[0][1..4].iter().map(|cell| first(cell)).collect();
        assert_eq!(told, [40, clicked, opened]);

        // The same words mean the same on every page of a run.
        for path in ["/", "/issues", "/runs/2"] {
            let page = site.ask_admin(path, "localhost").await;
            let page = Html::parse_document(&page.text());
            let list = if path == "/" { "ol.runs dl" } else { "dl" };
            let labels = texts(&page, &format!("{list}.figures dt"));
            let figures = texts(&page, &format!("{list}.figures dd"));
            let place = labels.iter().position(|label| label == "Clicked");
            let place = place.expect("clicks");
            assert_eq!(labels[place + 1], "Opened", "{path}");
            let told = [first(&figures[place]), first(&figures[place + 1])];
            assert_eq!(told, [clicked, opened], "{path}");
        }

        let (code, json, _) = site.command(&["stats", "week-1", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(code, Some(0));
        assert_eq!(json["judged"]["clicked"]["part"], clicked);
        assert_eq!(json["judged"]["opened"]["part"], opened);
        // The next issue stands beside this one by name and in numbers, not in dots alone.
        let ended = NOON.0 - 3 * 86_400_000;
        site.db
            .exec(&format!(
                "update runs set status = 'finished', started_at = {ended}, finished_at = {ended} where id = 2"
            ))
            .await;
        site.publish("bees", "").await;
        let next = site.ask_admin("/runs/3/numbers", "localhost").await;
        let next = Html::parse_document(&next.text());
        let columns = ["Issue", "Sent", "Clicked", "Opened", "Unsubscribed"];
        let beside = rows(&next, &columns);
        assert_eq!(beside.len(), 2);
        assert_eq!(beside[1][0], "Week 1");
        let told: Vec<usize> = beside[1][1..].iter().map(|cell| first(cell)).collect();
        assert_eq!(told, [40, clicked, opened, 1]);
        site.has_no_admin_page(&["/runs/9/numbers", "/runs/x/numbers", "/runs/1/clicks"])
            .await;
        site.stop().await;
    }
);

on_both!(
    an_issue_is_compared_with_whole_issues_and_not_with_what_went_out_once_more,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        site.db
            .exec(
                "update runs set started_at = 2, finished_at = 2, status = 'finished' where id = 2",
            )
            .await;
        for (run, slug, audience, segment) in [
            (3, "week-1", "'unopened'", "null"),
            (4, "week-2", "'list'", "null"),
            (5, "week-2", "'list'", "'{}'"),
            (6, "week-3", "'list'", "null"),
            (7, "week-3", "'list'", "null"),
            (8, "week-4", "'list'", "null"),
            (9, "week-5", "'list'", "null"),
            (10, "week-6", "'list'", "null"),
        ] {
            site.db
                .exec(&format!(
                    "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy, status, cutoff,
                         frozen_to, recipients, created_at, started_at, audience, origin, segment)
                     values ({run}, 'issue', '{slug}', '', 1, 'rev', '{{}}', 'main', 'hold', 'finished', 0, 0, 1, 0, {run},
                         {audience}, case when {audience} = 'list' then null else 2 end, {segment});
                     insert into blocks (run_id, block, sent) values ({run}, 0, 1)"
                ))
                .await;
        }
        // One waited long for its hour, one is still being read, of one nobody's name is known.
        let young = NOON.0 - 47 * 3_600_000;
        site.db
            .exec(&format!(
                "update runs set started_at = 1 where id = 8;
                 update runs set started_at = 3, finished_at = {young} where id = 9;
                 update runs set started_at = 3 where id = 10;
                 insert into pseudonym_keys (run_id, made_at) values (10, 3)"
            ))
            .await;
        let usual = async |run: i64| {
            let report = numbers::issue(&site.app, RunId(run)).await;
            report.expect("numbers").expect("a run").usual
        };
        for run in [6, 7] {
            let found = usual(run).await;
            let before: Vec<i64> = found.issues.iter().map(|one| one.run.0).collect();
            assert_eq!(before, [4, 2, 8], "{run}");
            assert_eq!(found.clicked.standing, Standing::NotEnoughData);
        }
        for part in [3, 5] {
            assert_eq!(usual(part).await.clicked.standing, Standing::OnlyPart);
        }
        assert_eq!(usual(9).await.opened.standing, Standing::TooEarly);
        site.db
            .exec("update runs set status = 'sending' where id = 6")
            .await;
        assert_eq!(usual(6).await.departed.standing, Standing::TooEarly);
        site.stop().await;
    }
);

on_both!(
    the_click_map_bears_the_readers_of_each_link_and_leads_nowhere,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        site.publish("bees", "").await;
        site.db
            .exec(
                "update runs set revision = (select b.revision from runs b where b.slug = 'bees')
                 where id = 2",
            )
            .await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let readers = people(&logged(&site).await, EventKind::Click, Some(0));
        let around = site.ask_admin("/runs/2/clicks", "localhost").await;
        assert_eq!(around.status, 200, "{}", around.text());
        let around = Html::parse_document(&around.text());
        let listed = texts(&around, "ol li");
        let said = format!("{readers} readers");
        assert!(listed[0].contains(&said), "{listed:?}");

        let map = site.ask_admin("/runs/2/clicks/issue", "localhost").await;
        assert_eq!(map.status, 200);
        let policy = map.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("sandbox; default-src 'none'; img-src "),
            "{policy}"
        );
        assert!(
            !policy.contains("script") && policy.contains("frame-ancestors 'self'"),
            "{policy}"
        );
        let page = map.text();
        for part in [
            "/c/",
            "/o/",
            "/u/",
            "/preferences/",
            "/view/",
            "<script",
            "one.example",
        ] {
            assert!(!page.contains(part), "{part} in {page}");
        }
        let page = Html::parse_document(&page);
        let badges = texts(&page, "a + span, a span");
        let badges: Vec<&String> = badges.iter().filter(|text| text.starts_with('5')).collect();
        assert!(!badges.is_empty(), "no badge with {readers} readers");
        let links = Selector::parse("a").expect("a selector");
        for link in page.select(&links) {
            let to = link.value().attr("href").unwrap_or("#");
            assert!(to.is_empty() || to.starts_with('#'), "a link to {to}");
        }
        site.stop().await;
    }
);

on_both!(
    the_page_of_an_old_run_counts_what_nobody_has_counted_yet,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        let ended = NOON.0 - 20 * 86_400_000;
        site.db
            .exec(&format!(
                "update runs set started_at = {ended}, finished_at = {ended} where id = 2"
            ))
            .await;
        let sums = async || {
            let page = site.ask_admin("/runs/2/numbers", "localhost").await;
            let page = Html::parse_document(&page.text());
            let providers = rows(&page, &PROVIDERS);
            let sum =
                |column: usize| -> usize { providers.iter().map(|row| first(&row[column])).sum() };
            (sum(1), sum(2))
        };
        // A busy machine may be waited for only so long by a page; it then says so, and goes on counting.
        let mut counted = site.ask_admin("/runs/2/numbers", "localhost").await.text();
        while counted.contains("Not all of it is counted yet") {
            counted = site.ask_admin("/runs/2/numbers", "localhost").await.text();
        }
        assert_eq!(sums().await, (40, 0));
        // What comes back long after is counted, too.
        site.db
            .exec(
                "update deliveries set state = 'bounced' where run_id = 2 and seq = 3;
                 update blocks set sent = sent - 1, bounced = 1 where run_id = 2",
            )
            .await;
        let mut page = site.ask_admin("/runs/2/numbers", "localhost").await.text();
        while page.contains("Not all of it is counted yet") {
            page = site.ask_admin("/runs/2/numbers", "localhost").await.text();
        }
        assert_eq!(sums().await, (39, 1));
        let table = site.ask_admin("/runs/2/numbers.csv", "localhost").await;
        assert!(
            table.text().contains("state,,bounced,1"),
            "{}",
            table.text()
        );
        site.stop().await;
    }
);

on_both!(
    behind_each_number_of_a_run_stand_those_who_are_counted_in_it,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        let leave = format!("/u/{}", site.token(unsubscribe(39)));
        assert_eq!(
            site.post(&leave, "List-Unsubscribe=One-Click").await.status,
            200
        );
        site.db
            .exec(
                "insert into leave_reasons (subscription, at, reason, words) values (1039, 1900000000000, 'often', '<i>far</i> too often');
                 update deliveries set state = 'bounced', code = 550, enhanced = '5.1.1', reply = 'no such <b>user</b>'
                     where run_id = 2 and seq = 38;
                 update blocks set sent = sent - 1, bounced = 1 where run_id = 2",
            )
            .await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let look = async |query: &str| {
            let path = format!("/runs/2/deliveries?{query}");
            let page = site.ask_admin(&path, "localhost").await;
            assert_eq!(page.status, 200, "{path}");
            let text = page.text();
            (text.matches("<li><div class=\"head\"").count(), text)
        };
        let events = logged(&site).await;
        for (query, number) in [
            ("what=clicked", people(&events, EventKind::Click, None)),
            (
                "what=clicked&link=0",
                people(&events, EventKind::Click, Some(0)),
            ),
            (
                "what=clicked&link=1",
                people(&events, EventKind::Click, Some(1)),
            ),
            ("what=clicked&link=2", 0),
            ("what=opened", people(&events, EventKind::Open, None)),
            ("what=sent", 39),
            ("what=queued", 0),
        ] {
            let (found, page) = look(query).await;
            assert_eq!(found, number, "{query}: {page}");
        }
        let (_, page) = look("what=departed").await;
        assert!(page.contains("/subscribers/1039\""), "{page}");
        assert!(page.contains("often · &lt;i&gt;far"), "{page}");
        // She came back, left again by another issue, and says why: that is not why she left by this one.
        let again = "update subscriptions set left_at = 1900000000000 where key = 1039;
            update leave_reasons set at = 1900000000001";
        site.db.exec(again).await;
        let (left, page) = look("what=departed").await;
        assert_eq!((left, page.contains("often ·")), (1, false), "{page}");
        let (_, page) = look("what=bounced").await;
        assert!(
            page.contains("550 · 5.1.1 · no such &lt;b&gt;user"),
            "{page}"
        );
        assert!(page.contains("/deliveries/2-38\""), "{page}");
        // The numbers lead there.
        for (path, query) in [
            ("/runs/2", "what=bounced"),
            ("/runs/2", "what=clicked&amp;link=0"),
            ("/runs/2/numbers", "what=departed"),
            ("/runs/2/numbers", "what=clicked&amp;link=1"),
        ] {
            let page = site.ask_admin(path, "localhost").await.text();
            let link = format!("/runs/2/deliveries?{query}\"");
            assert!(page.contains(&link), "{link} on {path}");
        }
        site.has_no_admin_page(&[
            "/runs/2/deliveries",
            "/runs/2/deliveries?what=nobody",
            "/runs/2/deliveries?what=clicked&link=x",
            "/runs/2/deliveries?what=sent&after=9223372036854775807",
        ])
        .await;
        site.stop().await;
    }
);

on_both!(
    a_readers_story_says_of_each_event_who_did_it_and_by_which_rule,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        monday(&site).await;
        numbers::catch_up(&site.app, RUN).await.expect("a fold");
        let story = async |key: i64| {
            let path = format!("/subscribers/{key}");
            let reader = site.ask_admin(&path, "localhost").await.text();
            let path = format!("/deliveries/2-{}", key - 1000);
            let delivery = site.ask_admin(&path, "localhost").await.text();
            (reader, delivery)
        };
        for (key, told, rule) in [
            (1001, "opened: first on", "human: reader"),
            (1021, "opened: by Apple", "unsure: apple-privacy"),
            (1030, "clicked: by machines only", "machine: burst"),
            (1033, "clicked: by machines only", "machine: known-agent"),
        ] {
            let (reader, delivery) = story(key).await;
            assert!(reader.contains(told), "{told}: {reader}");
            assert!(
                reader.contains(rule) && delivery.contains(rule),
                "{delivery}"
            );
            let human = key == 1001;
            assert_eq!(reader.contains("first on"), human, "{key}: {reader}");
            assert_eq!(delivery.contains("first on"), human, "{key}: {delivery}");
        }
        let (code, told, _) = site.command(&["deliveries", "show", "week-1", "33", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(code, Some(0));
        assert_eq!(told["clicked_by"], "machine");
        assert!(told["clicked_at"].is_null(), "{told}");
        site.stop().await;
    }
);
