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
            "---\ntitle: Wasps\ndate: 2021-04-05\nslug: the-wasps\n---\n## One\n\nSting. As [bees](../2021-03-04-bees.md#hum) \
             do, [undated](../undated.md) or [not](gone.md), nor <a href=\"lost.html\">here</a>. Write `[x](bees.md)`.\n",
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
        // A file that has a page is linked to, and of one that has none the words are left.
        let wasps = site.get("/archive/the-wasps").await.text();
        assert!(
            wasps.contains("href=\"http://127.0.0.1:8080/archive/bees-2\""),
            "{wasps}"
        );
        assert!(wasps.contains("do, undated or not, nor here."), "{wasps}");
        assert!(
            wasps.contains("[x](bees.md)"),
            "code stays as it is: {wasps}"
        );
        let shelved = report["shelved"].as_array().expect("a list");
        let wasps = shelved
            .iter()
            .find(|done| done["slug"] == "the-wasps")
            .expect("the post");
        assert_eq!(
            (&wasps["links"], &wasps["lost"]),
            (&json!(1), &json!(["../undated.md", "gone.md", "lost.html"]))
        );
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

/// A PNG of one colour.
fn png(color: u8) -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(8, 8, image::Rgb([color, 1, 2]));
    let mut octets = std::io::Cursor::new(Vec::new());
    let written = picture.write_to(&mut octets, image::ImageFormat::Png);
    written.expect("a picture");
    octets.into_inner()
}

on_both!(
    images_of_the_export_are_our_own_and_links_between_its_issues_lead_to_our_pages,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let posts = "post_id,post_date,is_published,email_sent_at,type,audience,title,subtitle\n\
            11.first,2023-05-01T10:00:00.000Z,true,,newsletter,everyone,The first,\n\
            12.second,2023-05-08T10:00:00.000Z,true,,newsletter,everyone,The second,\n\
            13.paid,2023-05-09T10:00:00.000Z,true,,newsletter,only_paid,For money,\n";
        let first =
            "<p>One. <a href=\"https://mine.substack.com/p/second?utm_source=x\">The next</a>.</p>";
        let wrapped = "https://substackcdn.com/image/fetch/w_1456/\
            https%3A%2F%2Fs3.example%2Fpublic%2Fimages%2F0a1b_8x8.png";
        let second = format!(
            "<p>Two. <a href=\"https://www.mine.substack.com/p/first/\">Before</a>, \
             <a href=\"https://mine.substack.com/p/paid\">for money</a>, \
             <a href=\"https://theirs.substack.com/p/first\">another</a>.</p>\
             <p><img src=\"{wrapped}\" alt=\"Ours\"></p>\
             <p><img src=\"https://elsewhere.example/gone.png\" alt=\"Theirs\"></p>"
        );
        let paid = "<p>Paid.</p>";
        let picture = png(7);
        let packed = archive(&[
            ("export/posts.csv", posts.as_bytes()),
            ("export/posts/11.first.html", first.as_bytes()),
            ("export/posts/12.second.html", second.as_bytes()),
            ("export/posts/13.paid.html", paid.as_bytes()),
            ("export/images/0a1b_8x8.png", picture.as_slice()),
        ]);
        std::fs::write(site.export("export.zip"), packed).expect("a file");
        let (_, plan) = site.import("export.zip", &["--dry-run"]);
        let (code, report) = site.import("export.zip", &[]);
        assert_eq!((code, fate(&report, "new")), (Some(0), 3), "{report}");
        let two = |report: &Value| {
            let shelved = report["shelved"].as_array().expect("a list").clone();
            let two = shelved.into_iter().find(|done| done["slug"] == "second");
            two.expect("the second")
        };
        for report in [&plan, &report] {
            let two = two(report);
            assert_eq!(
                (&two["links"], &two["images"]),
                (&json!(1), &json!(1)),
                "{two}"
            );
            assert_eq!(two["remote"], json!(["https://elsewhere.example/gone.png"]));
            assert_eq!(report["hosts"], json!(["mine.substack.com"]));
        }
        let page = site.get("/archive/first").await.text();
        assert!(
            page.contains("http://127.0.0.1:8080/archive/second\""),
            "{page}"
        );
        let page = site.get("/archive/second").await.text();
        for part in [
            "http://127.0.0.1:8080/archive/first\"",
            // What has no page here is still read there, and another's issue is not ours.
            "https://mine.substack.com/p/paid",
            "https://theirs.substack.com/p/first",
            "https://elsewhere.example/gone.png",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("substackcdn.com"), "{page}");
        let (_, own) = page.split_once("/i/").expect("an image of ours");
        let image = site.get(&format!("/i/{}", &own[..64])).await;
        assert_eq!(
            (image.status, image.header("content-type")),
            (200, Some("image/png"))
        );
        let (_, again) = site.import("export.zip", &[]);
        assert_eq!(fate(&again, "known"), 3, "{again}");
        let zip = site.export("export.zip");
        let (_, out, _) = site.command(&["archive", "import", zip.to_str().expect("UTF-8")]);
        for line in [
            "images that are kept here now: 1",
            "links between issues that lead here now, and not to mine.substack.com: 2",
            "second: https://elsewhere.example/gone.png",
        ] {
            assert!(out.contains(line), "{line} in {out}");
        }
        site.stop().await;
    }
);

on_both!(
    a_copy_of_a_whole_ghost_site_brings_its_images,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let html = "<p>Hum, as <a href=\"__GHOST_URL__/bees/\">before</a>.</p>\
            <img src=\"__GHOST_URL__/content/images/2022/01/wasp.png\" alt=\"A wasp\">";
        let post = |slug: &str, html: &str| {
            json!({ "slug": slug, "title": slug, "html": html, "status": "published", "type": "post",
                "visibility": "public", "published_at": "2022-01-02T03:04:05.000Z" })
        };
        let posts = json!([post("bees", "<p>Buzz.</p>"), post("wasps", html)]);
        let export = json!({ "db": [{ "data": { "posts": posts } }] }).to_string();
        let (picture, other) = (png(8), png(9));
        let packed = archive(&[
            ("data/my-site.json", export.as_bytes()),
            ("content/images/2022/01/wasp.png", picture.as_slice()),
            ("content/images/2021/01/wasp.png", other.as_slice()),
        ]);
        std::fs::write(site.export("ghost.zip"), packed).expect("a file");
        let (code, report) = site.import("ghost.zip", &[]);
        assert_eq!((code, fate(&report, "new")), (Some(0), 2), "{report}");
        let page = site.get("/archive/wasps").await.text();
        assert!(
            page.contains("http://127.0.0.1:8080/archive/bees\""),
            "{page}"
        );
        let (_, own) = page.split_once("/i/").expect("an image of ours");
        let image = site.get(&format!("/i/{}", &own[..64])).await;
        assert_eq!(image.status, 200);
        let red = image::load_from_memory(&image.body)
            .expect("a picture")
            .to_rgb8()[(0, 0)];
        assert_eq!(red[0], 8, "the one of that year");
        site.stop().await;
    }
);

on_both!(
    pages_of_a_site_are_shelved_though_they_hold_what_no_mail_does,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let folder = site.export("site");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("pic.png"), png(9)).expect("a file");
        let head = |title: &str, url: &str| {
            format!("---\ntitle: {title}\ndate: 2020-03-01\nurl: {url}\n---\n\n")
        };
        let old = format!(
            "{}Where it began.\n",
            head("The old one", "/2020/03/old-one.html")
        );
        write(&folder, "old-one.md", &old);
        let new = format!(
            "{}See [the last one](/2020/03/old-one.html), [what comes](../04/next/) and [the top](#top).\n\n\
             A cat ![A cat](pic.png) sat there.\n",
            head("The new one", "/2020/03/new-one.html")
        );
        write(&folder, "new-one.md", &new);
        let (code, report) = site.import("site", &["--host", "old.example"]);
        assert_eq!((code, fate(&report, "new")), (Some(0), 2), "{report}");
        assert_eq!(report["rejected"], json!([]));
        let page = site.get("/archive/new-one").await.text();
        for held in [
            "/archive/old-one\"",
            "https://old.example/2020/04/next/",
            "the top",
            "A cat",
            "sat there",
        ] {
            assert!(page.contains(held), "{held}: {page}");
        }
        assert!(!page.contains("#top"), "{page}");
        let shelved = report["shelved"].as_array().expect("a list");
        let new = shelved
            .iter()
            .find(|done| done["slug"] == "new-one")
            .expect("the new one");
        assert_eq!((&new["images"], &new["links"]), (&json!(1), &json!(1)));
        site.stop().await;
    }
);
