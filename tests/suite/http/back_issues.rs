//! Back issues from exports of other tools: archive only, with their days and their old addresses.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;
use crate::readers::services::archive;

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, text).expect("a file");
}

impl TestSite {
    fn export(&self, name: &str) -> PathBuf {
        self.app.base.join(name)
    }

    /// Imports and gives the report.
    fn import(&self, name: &str, more: &[&str]) -> (Option<i32>, Value) {
        let path = self.export(name);
        let mut arguments = vec!["archive", "import", path.to_str().expect("UTF-8"), "--json"];
        arguments.extend(more);
        let (code, out, error) = self.command(&arguments);
        let report = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}"));
        (code, report)
    }
}

/// How many of the report met `fate`.
fn fate(report: &Value, fate: &str) -> usize {
    let shelved = report["shelved"].as_array().expect("a list");
    shelved.iter().filter(|done| done["fate"] == fate).count()
}

const HOSTILE: &str = "<p onclick=\"steal()\">First <script>alert(1)</script>words [[email]] \
    <a href=\"javascript:alert(1)\">bad</a> and <a href=\"https://good.example/\">good</a>.</p>\
    <iframe src=\"https://evil.example/\"></iframe><form action=\"https://evil.example/\"><input name=\"x\"></form>\
    <h2>Then</h2><p>{{ site }} &lt;script&gt; :::mjml</p><p>:::mjml</p><p><img src=\"https://substackcdn.com/a.png\" \
    alt=\"A chart\" onerror=\"steal()\"></p><svg onload=\"steal()\"></svg>";

on_both!(
    a_substack_export_is_shelved_once_and_its_addresses_lead_on,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let folder = site.export("export");
        write(
            &folder,
            "posts.csv",
            "post_id,post_date,is_published,email_sent_at,type,audience,title,subtitle\n\
             11.first-one,2023-05-01T10:00:00.000Z,true,,newsletter,everyone,The first,Where it began\n\
             12.paid-one,2023-05-08T10:00:00.000Z,true,,newsletter,only_paid,For money,\n\
             13.draft,,false,,newsletter,everyone,Not yet,\n\
             14.about,2023-05-01T10:00:00.000Z,true,,page,everyone,About,\n\
             15.lost,2023-05-01T10:00:00.000Z,true,,newsletter,everyone,Lost,\n\
             ../../16.evil,2023-05-01T10:00:00.000Z,true,,newsletter,everyone,Evil,\n",
        );
        write(&folder, "posts/11.first-one.html", HOSTILE);
        write(
            &folder,
            "posts/12.paid-one.html",
            "<p>Only for you who pay.</p>",
        );
        let (code, plan) = site.import("export", &["--dry-run"]);
        assert_eq!((code, fate(&plan, "new")), (Some(0), 2));
        assert_eq!(
            site.get("/archive/first-one").await.status,
            404,
            "a dry run shelves nothing"
        );
        let (code, report) = site.import("export", &[]);
        assert_eq!((code, fate(&report, "new")), (Some(0), 2), "{report}");
        assert_eq!(
            report["skipped"].as_array().map(Vec::len),
            Some(4),
            "{report}"
        );
        let (_, again) = site.import("export", &[]);
        assert_eq!(
            (fate(&again, "known"), fate(&again, "new")),
            (2, 0),
            "{again}"
        );

        // As it is downloaded, and with what is to lie elsewhere: the same.
        let read = |name: &str| std::fs::read(folder.join(name)).expect("a file");
        let (posts, first, paid) = (
            read("posts.csv"),
            read("posts/11.first-one.html"),
            read("posts/12.paid-one.html"),
        );
        let packed = archive(&[
            ("export/posts.csv", posts.as_slice()),
            ("export/posts/11.first-one.html", first.as_slice()),
            ("export/posts/12.paid-one.html", paid.as_slice()),
            ("../outside.html", b"<p>evil</p>"),
        ]);
        std::fs::write(site.export("export.zip"), packed).expect("a file");
        let (code, packed) = site.import("export.zip", &[]);
        assert_eq!((code, fate(&packed, "known")), (Some(0), 2), "{packed}");
        assert!(!site.app.base.join("outside.html").exists());

        let page = site.get("/archive/first-one").await;
        assert_eq!(page.status, 200);
        let text = page.text();
        for part in [
            "First",
            "https://good.example/",
            "A chart",
            "2023-05-01T10:00:00Z",
            "Where it began",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        for part in [
            "steal()",
            "<script",
            "<iframe",
            "<form",
            "javascript:",
            "evil.example",
            "onerror",
        ] {
            assert!(!text.contains(part), "{part} in {text}");
        }
        for old in ["/p/first-one", "/p/first-one/"] {
            let moved = site.get(old).await;
            assert_eq!(moved.status, 301);
            let target = "http://127.0.0.1:8080/archive/first-one";
            assert_eq!(moved.header("location"), Some(target));
        }
        assert_eq!(site.send("POST", "/p/first-one", &[], "").await.status, 404);
        for gone in ["/archive/paid-one", "/p/paid-one", "/p/draft", "/p/nowhere"] {
            assert_eq!(site.get(gone).await.status, 404, "{gone}");
        }
        let index = site.get("/archive").await.text();
        assert!(
            index.contains("The first") && index.contains("1 May 2023"),
            "{index}"
        );
        assert!(!index.contains("For money"));
        let newest = site
            .app
            .store
            .newest_public_issue(site.app.clock.now())
            .await;
        assert_eq!(newest.expect("read").expect("an issue").slug, "first-one");
        assert_eq!(
            site.db.number("select count(*) from deliveries").await,
            0,
            "nobody is mailed"
        );

        // The text was mended there: it is changed here, under the same address.
        write(&folder, "posts/11.first-one.html", "<p>Mended words.</p>");
        let (_, changed) = site.import("export", &[]);
        assert_eq!(
            (fate(&changed, "changed"), fate(&changed, "known")),
            (1, 1),
            "{changed}"
        );
        assert!(
            site.get("/archive/first-one")
                .await
                .text()
                .contains("Mended words")
        );
        site.stop().await;
    }
);

on_both!(
    ghost_and_markdown_are_read_as_their_tools_write_them,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let post = |slug: &str, status: &str, visibility: &str, html: Value| {
            json!({ "slug": slug, "title": format!("On {slug}"), "html": html, "status": status,
                "type": "post", "visibility": visibility, "published_at": "2022-01-02T03:04:05.000Z" })
        };
        let posts = json!([
            post(
                "bees",
                "published",
                "public",
                json!("<p>Buzz &amp; more.</p>")
            ),
            post("paid", "published", "paid", json!("<p>Secret.</p>")),
            post("soon", "draft", "public", json!("<p>Soon.</p>")),
            post("empty", "published", "public", Value::Null),
        ]);
        let export = json!({ "db": [{ "meta": {}, "data": { "posts": posts, "users": [] } }] });
        write(&site.app.base, "ghost.json", &export.to_string());
        let (code, report) = site.import("ghost.json", &[]);
        assert_eq!((code, fate(&report, "new")), (Some(0), 2), "{report}");
        let moved = site.get("/bees/").await;
        assert_eq!(
            moved.header("location"),
            Some("http://127.0.0.1:8080/archive/bees")
        );
        assert!(
            site.get("/archive/bees")
                .await
                .text()
                .contains("Buzz &amp; more.")
        );
        assert_eq!(site.get("/paid").await.status, 404);

        let folder = site.export("blog");
        write(
            &folder,
            "2021-03-04-bees.md",
            "---\ntitle: Other bees\npermalink: /2021/bees.html\n---\nHum.\n",
        );
        write(
            &folder,
            "deep/wasps.md",
            "---\ntitle: Wasps\ndate: 2021-04-05\nslug: the-wasps\n---\n## One\n\nSting.\n",
        );
        write(
            &folder,
            "undated.md",
            "---\ntitle: When\n---\nNobody knows.\n",
        );
        write(
            &folder,
            "draft.md",
            "---\ntitle: Draft\ndraft: true\ndate: 2021-04-05\n---\nNo.\n",
        );
        write(
            &folder,
            "raw.md",
            "---\ntitle: Raw\ndate: 2021-04-06\n---\n:::mjml\n<mj-raw><b>x</b></mj-raw>\n:::\n",
        );
        write(
            &folder,
            "torn.md",
            "---\ntitle: Torn\ndate: 2021-04-07\n---\nOne.\n\n![A chart](../../secret.png)\n",
        );
        let (code, report) = site.import("blog", &["--from", "folder"]);
        assert_eq!(code, Some(3), "some were rejected: {report}");
        // What is wrong is told of the post, and of no file and no line that its author never saw.
        let rejected = report["rejected"].as_array().expect("a list");
        let torn = rejected.iter().find(|told| told["name"] == "torn.md");
        let why = torn.expect("the post")["why"].as_str().expect("a reason");
        assert!(why.contains("secret.png"), "{why}");
        for wrong in ["issue.md", "error[", ":7:"] {
            assert!(!why.contains(wrong), "{wrong}: {why}");
        }
        assert_eq!(
            (
                fate(&report, "new"),
                report["rejected"].as_array().map(Vec::len)
            ),
            (2, Some(3)),
            "{report}"
        );
        std::fs::remove_file(folder.join("torn.md")).expect("a file");
        // Another issue has the name already.
        assert!(site.get("/archive/bees-2").await.text().contains("Hum."));
        assert_eq!(
            site.get("/2021/bees.html").await.header("location"),
            Some("http://127.0.0.1:8080/archive/bees-2")
        );
        assert!(
            site.get("/archive/the-wasps")
                .await
                .text()
                .contains("Sting.")
        );
        let (_, out, _) = site.command(&["archive", "import", folder.to_str().expect("UTF-8")]);
        insta::allow_duplicates! {
            insta::assert_snapshot!("archive_import", out);
        }
        let (code, _, error) = site.command(&["archive", "import", "/nowhere/at/all"]);
        assert_eq!(code, Some(1));
        assert!(error.contains("there is no `/nowhere/at/all`"), "{error}");
        site.stop().await;
    }
);
