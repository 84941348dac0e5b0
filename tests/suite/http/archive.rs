//! The archive from outside: who sees which issue when, and what of it.

use std::time::Duration;

use pressrun::config::archive::Visibility;
use pressrun::id::RunId;
use pressrun::run;
use pressrun::store::archive::NewPage;
use pressrun::store::runs::{Begun, Frozen};

use super::site::{NOON, TestSite};
use crate::harness::Engine;
use crate::on_both;

/// A PNG of one point.
const POINT: [u8; 67] = [
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0x60, 0, 0, 0, 2, 0, 1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N',
    b'D', 0xae, 0x42, 0x60, 0x82,
];

impl TestSite {
    /// Writes an issue with these lines in its front matter.
    pub fn write_issue(&self, slug: &str, front: &str) {
        let folder = self.app.emails().join("issues").join(slug);
        std::fs::create_dir_all(&folder).expect("a folder");
        let fields = "[fields.first_name]\ntype = \"text\"\n";
        std::fs::write(self.app.emails().join("fields.toml"), fields).expect("the fields");
        std::fs::write(folder.join("dot.png"), POINT).expect("an image");
        let text = format!(
            "---\ntitle: The \"{slug}\" & more\nteaser: \"For [[first_name|friends]] <only>\"\n{front}---\n\
             Hello [[first_name|there]], see [the paper](https://one.example/a?b=c&d=e).\n\n\
             ![A point](dot.png)\n\n## Second\n\n[Preferences]([[preferences_url]]) are yours.\n"
        );
        std::fs::write(folder.join("issue.md"), text).expect("an issue");
    }

    /// Begins a run of the issue to `list`; nothing of it leaves.
    pub async fn begin_issue(&self, slug: &str, list: &str) -> RunId {
        let started = run::begin(&self.app, slug, list, true)
            .await
            .expect("a run");
        let Begun::New(run) = started.begun else {
            panic!("{:?}", started.begun)
        };
        run
    }

    /// The run is frozen and sends, to one reader where nobody is on its list: what is for nobody has no page.
    pub async fn freeze(&self, run: RunId) {
        let now = self.app.clock.now();
        let frozen = self
            .app
            .store
            .freeze_some(run, 4096, now)
            .await
            .expect("frozen");
        assert!(matches!(frozen, Frozen::All(_)), "{frozen:?}");
        self.db
            .exec(&format!(
                "update runs set recipients = 1 where id = {} and recipients = 0",
                run.0
            ))
            .await;
    }

    /// The issue is written and sent.
    pub async fn publish(&self, slug: &str, front: &str) {
        self.write_issue(slug, front);
        let run = self.begin_issue(slug, "weekly").await;
        self.freeze(run).await;
    }

    pub async fn status_of(&self, path: &str) -> u16 {
        self.get(path).await.status
    }

    /// Whether index, feeds and site map name the issue, which they do together.
    pub async fn is_listed(&self, slug: &str) -> bool {
        let mut listed = Vec::new();
        for path in ["/archive", "/feed.xml", "/feed.json", "/sitemap.xml"] {
            let answer = self.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            listed.push(answer.text().contains(slug));
        }
        assert!(listed.windows(2).all(|two| two[0] == two[1]), "{listed:?}");
        listed[0]
    }
}

on_both!(
    an_issue_is_published_when_it_is_sent_and_holds_nothing_of_any_reader,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.write_issue("bees", "");
        let run = site.begin_issue("bees", "weekly").await;
        assert_eq!(site.status_of("/archive/bees").await, 404, "not sent yet");
        assert!(!site.is_listed("bees").await);
        assert_eq!(
            site.app
                .store
                .newest_public_issue(NOON)
                .await
                .expect("read"),
            None
        );
        site.freeze(run).await;
        let page = site.get("/archive/bees").await;
        assert_eq!(page.status, 200);
        let text = page.text();
        for part in [
            "Hello there, see <a",
            "href=\"https://one.example/a?b=c&amp;d=e\"",
            "<link rel=\"canonical\" href=\"http://127.0.0.1:8080/archive/bees\">",
            "<meta property=\"og:title\" content=\"The &quot;bees&quot; &amp; more\">",
            "<meta property=\"og:description\" content=\"For friends &lt;only&gt;\">",
            "<meta property=\"og:image\" content=\"http://127.0.0.1:8080/i/",
            "type=\"application/atom+xml\"",
            "<nav class=\"pr-bar\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        for part in ["/c/", "/o/", "/u/", "/preferences/", "/view/", "<script"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("sandbox allow-popups") && policy.contains("default-src 'none'")
        );
        assert_eq!(page.header("x-robots-tag"), Some("all"));
        let image = text.split("/i/").nth(1).and_then(|rest| rest.get(..64));
        let image = format!("/i/{}", image.expect("an image"));
        assert_eq!(site.status_of(&image).await, 200);
        assert!(site.is_listed("bees").await);
        let newest = site
            .app
            .store
            .newest_public_issue(NOON)
            .await
            .expect("read");
        assert_eq!(newest.expect("an issue").slug, "bees");
        // Cancelled: the mistake is stopped here, too.
        let stopped = site.app.store.run(run).await.expect("read").expect("a run");
        run::cancel(&site.app, &stopped).await.expect("cancelled");
        assert_eq!(site.status_of("/archive/bees").await, 404);
        assert!(!site.is_listed("bees").await);
        site.stop().await;
    }
);

on_both!(what_is_kept_is_asked_about_again, async |engine: Engine| {
    let site = TestSite::new(engine).await;
    site.publish("bees", "").await;
    for path in [
        "/archive",
        "/archive/bees",
        "/feed.xml",
        "/feed.json",
        "/sitemap.xml",
        "/robots.txt",
    ] {
        let first = site.get(path).await;
        let tag = first.header("etag").expect("a tag").to_owned();
        let date = first.header("last-modified").expect("a date").to_owned();
        for known in [
            ("If-None-Match", tag.as_str()),
            ("If-Modified-Since", date.as_str()),
        ] {
            let again = site.send("GET", path, &[known], "").await;
            assert_eq!(
                (again.status, again.body.len()),
                (304, 0),
                "{path} {known:?}"
            );
            assert_eq!(again.header("etag"), Some(tag.as_str()));
        }
        let other = site
            .send("GET", path, &[("If-None-Match", "\"x\"")], "")
            .await;
        assert_eq!(other.status, 200);
        let head = site.send("HEAD", path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    // Another issue changes every list of them, but not the page of the first.
    let before = site
        .get("/archive/bees")
        .await
        .header("etag")
        .map(str::to_owned);
    let feed = site
        .get("/feed.xml")
        .await
        .header("etag")
        .map(str::to_owned);
    site.app.clock.advance(Duration::from_secs(60));
    site.publish("wasps", "").await;
    assert_ne!(
        site.get("/feed.xml")
            .await
            .header("etag")
            .map(str::to_owned),
        feed
    );
    assert_eq!(
        site.get("/archive/bees")
            .await
            .header("etag")
            .map(str::to_owned),
        before
    );
    site.stop().await;
});

on_both!(
    unlisted_and_embargoed_and_never_keep_their_word,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.publish("open", "").await;
        site.publish("quiet", "archive: unlisted\n").await;
        site.publish("gone", "archive: never\n").await;
        site.publish("later", "embargo: 2026-11-03\n").await;
        site.write_issue("other", "");
        let run = site.begin_issue("other", "daily").await;
        site.freeze(run).await;
        for slug in ["quiet", "gone", "later", "other"] {
            let answer = site.get(&format!("/archive/{slug}")).await;
            let nowhere = site.get("/archive/nowhere").await;
            assert_eq!(
                answer, nowhere,
                "{slug} differs from an issue that never was"
            );
            assert!(!site.is_listed(slug).await, "{slug}");
        }
        let key = site
            .db
            .text("select key from archive where slug = 'quiet'")
            .await;
        let key = key.expect("a key");
        assert_eq!(key.len(), 32);
        let quiet = site.get(&format!("/archive/{key}")).await;
        assert_eq!(quiet.status, 200);
        assert_eq!(quiet.header("x-robots-tag"), Some("noindex"));
        assert!(
            quiet
                .text()
                .contains("<meta name=\"robots\" content=\"noindex\">")
        );
        assert!(!site.is_listed(&key).await);
        // A public page has one address; the other leads there.
        let key = site
            .db
            .text("select key from archive where slug = 'open'")
            .await;
        let moved = site.get(&format!("/archive/{}", key.expect("a key"))).await;
        assert_eq!(moved.status, 301);
        assert_eq!(
            moved.header("location"),
            Some("http://127.0.0.1:8080/archive/open")
        );
        // The day begins: 3 November, 00:00 UTC.
        site.app.clock.advance(Duration::from_secs(36 * 3600 - 1));
        assert_eq!(site.status_of("/archive/later").await, 404);
        site.app.clock.advance(Duration::from_secs(1));
        assert_eq!(site.status_of("/archive/later").await, 200);
        assert!(site.is_listed("later").await);
        site.stop().await;
    }
);

on_both!(
    a_run_to_another_list_or_a_segment_takes_no_page_away,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.publish("bees", "").await;
        let first = site.get("/archive/bees").await.text();
        let finish = "update runs set status = 'finished' where kind = 'issue'";
        let named = async || site.get("/").await.text().contains("/archive/bees");
        assert!(named().await);
        site.db.exec(finish).await;
        let other = site.begin_issue("bees", "daily").await;
        site.freeze(other).await;
        assert_eq!(site.get("/archive/bees").await.text(), first);
        assert!(site.is_listed("bees").await && named().await);
        site.db.exec(finish).await;
        let part = site.begin_issue("bees", "weekly").await;
        let segment = "update runs set segment = '{}' where id = ";
        let never = "update archive_pages set visibility = 'never' where run_id = ";
        site.freeze(part).await;
        site.db
            .exec(&format!("{segment}{0}; {never}{0}", part.0))
            .await;
        assert!(site.is_listed("bees").await && named().await);
        site.db.exec(finish).await;
        // What the author says of the same list counts, and nothing leads to a page that is not there.
        site.publish("bees", "archive: never\n").await;
        assert_eq!(site.status_of("/archive/bees").await, 404);
        assert!(!site.is_listed("bees").await && !named().await);
        site.stop().await;
    }
);

on_both!(
    a_run_that_tries_its_stages_publishes_nothing_yet,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.write_issue("bees", "");
        let run = site.begin_issue("bees", "weekly").await;
        site.freeze(run).await;
        let open = |bound: &str| format!("update runs set open_to = {bound} where id = {}", run.0);
        site.db.exec(&open("1")).await;
        assert_eq!(site.status_of("/archive/bees").await, 404);
        assert!(!site.is_listed("bees").await);
        site.db.exec(&open("null")).await;
        assert!(site.is_listed("bees").await);
        // A corrected run of the same issue takes the page over once it sends, and the date stays.
        let text = site.get("/archive/bees").await.text();
        let file = site.app.emails().join("issues/bees/issue.md");
        let words = std::fs::read_to_string(&file).expect("the issue");
        std::fs::write(&file, words.replace("the paper", "the other paper")).expect("written");
        site.app.clock.advance(Duration::from_secs(3600));
        site.db
            .exec("update runs set status = 'finished' where kind = 'issue'")
            .await;
        let again = site.begin_issue("bees", "weekly").await;
        assert_eq!(site.get("/archive/bees").await.text(), text);
        site.freeze(again).await;
        let corrected = site.get("/archive/bees").await.text();
        assert!(corrected.contains("the other paper"), "{corrected}");
        let published =
            "<meta property=\"article:published_time\" content=\"2026-11-01T12:00:00Z\">";
        assert!(corrected.contains(published), "{corrected}");
        site.stop().await;
    }
);

on_both!(
    the_index_turns_its_pages_and_the_feed_holds_whole_texts,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let empty = site.get("/archive").await;
        assert!(empty.text().contains("No issue has been published yet"));
        assert_eq!(site.status_of("/archive?page=2").await, 404);
        for bad in ["0", "-1", "x", "", "99999999999999999999"] {
            assert_eq!(
                site.status_of(&format!("/archive?page={bad}")).await,
                404,
                "{bad}"
            );
        }
        assert_eq!(site.status_of("/archive?page=1&page=2").await, 200);
        site.publish("bees", "lang: de\n").await;
        let run = "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy, status,
                cutoff, frozen_to, recipients, created_at, started_at)
            select 100 + n, 'issue', 'old-' || n, 'Old ' || n, 1, r.revision, '{}', 'main', 'hold',
                'finished', 0, 0, 1, 0, n
            from runs r, (select 1 as n union select 2 union select 3) a where r.slug = 'bees'";
        site.db.exec(run).await;
        for number in 0..41 {
            let slug = format!("issue-{number:02}");
            site.db
                .exec(&format!(
                    "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy,
                         status, cutoff, frozen_to, recipients, created_at, started_at)
                     select {id}, 'issue', '{slug}', 'Issue {number}', 1, revision, '{{}}', 'main', 'hold',
                         'finished', 0, 0, 1, 0, {at} from runs where slug = 'bees'",
                    id = 200 + number,
                    at = NOON.0 - (50 - number) * 86_400_000,
                ))
                .await;
            let page = NewPage {
                title: &format!("Issue <{number}>"),
                teaser: "",
                language: "en",
                picture: None,
                visibility: Visibility::Public,
                embargo: None,
                key: &slug.replace("issue", "key"),
            };
            let added = site
                .app
                .store
                .add_page(&slug, RunId(200 + number), &page, NOON)
                .await;
            assert!(added.expect("added"));
        }
        let first = site.get("/archive").await.text();
        assert!(
            first.contains("Page 1 of 3") && first.contains("Issue &lt;40&gt;"),
            "{first}"
        );
        assert!(
            first.contains("<li lang=\"de\">") && first.contains("1 November 2026"),
            "{first}"
        );
        assert!(
            !first.contains("old-"),
            "runs without a page are not published"
        );
        let last = site.get("/archive?page=3").await.text();
        assert!(
            last.contains("Issue &lt;0&gt;") && !last.contains("Older"),
            "{last}"
        );
        assert_eq!(site.status_of("/archive?page=4").await, 404);
        let feed: serde_json::Value =
            serde_json::from_slice(&site.get("/feed.json").await.body).expect("JSON");
        let items = feed["items"].as_array().expect("items");
        assert_eq!(items.len(), 20);
        insta::allow_duplicates! {
            insta::assert_snapshot!("archive_feed_content", items[0]["content_html"].as_str().expect("HTML"));
        }
        let atom = site.get("/feed.xml").await;
        assert_eq!(
            atom.header("content-type"),
            Some("application/atom+xml; charset=utf-8")
        );
        assert_eq!(atom.text().matches("<entry ").count(), 20);
        let map = site.get("/sitemap.xml").await.text();
        assert_eq!(map.matches("<url>").count(), 44);
        assert_eq!(map.matches("<loc>http://127.0.0.1:8080/</loc>").count(), 1);
        let robots = site.get("/robots.txt").await.text();
        assert!(
            robots.contains("Sitemap: http://127.0.0.1:8080/sitemap.xml"),
            "{robots}"
        );
        assert!(site.get("/theme.css").await.text().contains("--accent:#"));
        site.stop().await;
    }
);

on_both!(
    the_author_publishes_hides_and_holds_back_by_command,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.publish("bees", "").await;
        site.publish("gone", "archive: never\n").await;
        // A run of the time before there was an archive.
        site.db
            .exec("delete from archive_pages where slug = 'gone'")
            .await;
        site.db
            .exec("delete from archive where slug = 'gone'")
            .await;
        let said = |arguments: &[&str]| {
            let (code, out, error) = site.command(arguments);
            assert_eq!(code, Some(0), "{arguments:?}: {error}");
            out
        };
        let published = said(&["archive", "publish", "gone"]);
        assert_eq!(
            published,
            "`gone`: everyone may read it: http://127.0.0.1:8080/archive/gone\n"
        );
        assert!(site.is_listed("gone").await);
        said(&["archive", "hide", "gone"]);
        assert_eq!(site.status_of("/archive/gone").await, 404);
        let unlisted = said(&["archive", "hide", "bees", "--unlisted"]);
        assert!(!site.is_listed("bees").await);
        let key = unlisted.trim().rsplit('/').next().expect("a key");
        assert_eq!(site.status_of(&format!("/archive/{key}")).await, 200);
        said(&["archive", "publish", "bees"]);
        assert_eq!(site.status_of(&format!("/archive/{key}")).await, 301);
        let held = said(&["archive", "embargo", "bees", "2099-01-02"]);
        assert!(held.contains("from Fri 2 Jan 2099 00:00 UTC on"), "{held}");
        assert_eq!(site.status_of("/archive/bees").await, 404);
        assert!(said(&["archive", "list"]).contains("bees   2026-11-01  public"));
        let list: serde_json::Value =
            serde_json::from_str(&said(&["archive", "list", "--json"])).expect("JSON");
        assert_eq!(list.as_array().map(Vec::len), Some(2));
        said(&["archive", "embargo", "bees", "none"]);
        assert!(site.is_listed("bees").await);
        let (code, _, error) = site.command(&["archive", "publish", "nobody"]);
        assert_eq!(code, Some(1));
        assert!(
            error.contains("no run of `nobody` was ever begun"),
            "{error}"
        );
        let (code, _, error) = site.command(&["archive", "embargo", "bees", "soon"]);
        assert_eq!(code, Some(1));
        assert!(error.contains("`soon` is no day"), "{error}");
        site.stop().await;
    }
);
