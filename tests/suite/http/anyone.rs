//! The public page of an issue as one who gets no mail reads it.

use image::{ImageFormat, RgbImage};

use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

impl TestSite {
    fn picture(&self, slug: &str, name: &str, width: u32) {
        let folder = self.app.emails().join("issues").join(slug);
        std::fs::create_dir_all(&folder).expect("a folder");
        let picture = RgbImage::from_fn(width, 60, |x, _| image::Rgb([(x % 251) as u8, 1, 2]));
        picture
            .save_with_format(folder.join(name), ImageFormat::Png)
            .expect("a picture");
    }
}

on_both!(
    a_public_page_says_nothing_to_a_reader_and_leads_where_anyone_may_go,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        for theme in ["digest", "letter", "magazine"] {
            site.publish(theme, &format!("theme: {theme}\n")).await;
            let text = site.get(&format!("/archive/{theme}")).await.text();
            for part in [
                "You receive",
                "You get this letter",
                "View in browser",
                "Read in your browser",
                "Unsubscribe",
                "Preferences",
                "are yours",
                "about:",
            ] {
                assert!(!text.contains(part), "{theme}: {part} in {text}");
            }
            assert_eq!(text.matches("<main>").count(), 1, "{text}");
            let (_, body) = text.split_once("<main>").expect("the mail");
            let ways = [
                "href=\"http://127.0.0.1:8080/\"",
                "href=\"http://127.0.0.1:8080/archive\"",
            ];
            for way in ways {
                assert_eq!(body.matches(way).count(), 1, "{theme}: {way} in {body}");
            }
            // Whose it is stays said, and so does what the issue says itself.
            assert!(
                body.contains("1 Press Lane") && body.contains("the paper"),
                "{body}"
            );
        }
        // In the words of the issue's language.
        site.publish("deutsch", "lang: de\n").await;
        let text = site.get("/archive/deutsch").await.text();
        assert!(text.contains(">Alle Ausgaben</a> <a"), "{text}");
        assert!(text.contains(">Abonnieren</a> &#183; <a"), "{text}");
        // The feed has no such paragraph at all.
        let feed = site.get("/feed.xml").await.text();
        assert!(
            !feed.contains("Abonnieren") && !feed.contains("Unsubscribe"),
            "{feed}"
        );
        site.stop().await;
    }
);

/// What an author may write around a link of the reader's.
const WORDS: &str = "
> We meet on Friday at eight in the Caf\u{e9} Example, which is behind the old town hall, and whoever would rather hear less may [choose what comes](preferences_url). The room is on the first floor and has no lift, so call before.

- Leave us [here](unsubscribe_url)
  - The first of two
  - The second of two
- Last of all

| When | What |
|---|---|
| Friday at nine in the long room. Whoever wants fewer may [pick](preferences_url). Bring tea. | A talk |

First line of an address\\
Second line with [a way out](unsubscribe_url)\\
Third line. Its end.

**A bold sentence with [a door](unsubscribe_url) in it. Another bold one.** Then plain.

You may [choose](preferences_url) what **comes. Or else** you may [go](unsubscribe_url) now.

Too much for you? [Shall we send less](preferences_url)? [Or stop](unsubscribe_url). We go on.
";

on_both!(
    of_what_an_author_wrote_no_more_than_the_sentence_of_a_readers_link_is_lost,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        for theme in ["digest", "letter", "magazine"] {
            site.write_issue(theme, "");
            let file = site.app.emails().join("issues").join(theme);
            let text = format!("---\ntitle: Words\ntheme: {theme}\n---\nHello.\n{WORDS}");
            std::fs::write(file.join("issue.md"), text).expect("an issue");
            let run = site.begin_issue(theme, "weekly").await;
            site.freeze(run).await;
            let page = site.get(&format!("/archive/{theme}")).await;
            assert_eq!(page.status, 200);
            let text = page.text();
            for part in [
                "The room is on the first floor and has no lift, so call before.",
                "The first of two",
                "The second of two",
                "Last of all",
                "Friday at nine in the long room.",
                "Bring tea.",
                "A talk",
                "First line of an address",
                "Third line. Its end.",
                "Another bold one.",
                "Then plain.",
                "We go on.",
            ] {
                assert!(text.contains(part), "{theme}: {part} in {text}");
            }
            for part in [
                "choose what comes",
                "rather hear less",
                "Leave us",
                "wants fewer",
                "Second line with",
                "A bold sentence",
                "You may",
                "Too much",
                "send less",
                "about:",
            ] {
                assert!(!text.contains(part), "{theme}: {part} in {text}");
            }
        }
        site.stop().await;
    }
);

on_both!(
    the_picture_that_is_shared_is_the_first_that_is_no_icon,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let shared = async |slug: &str, pictures: &[(&str, u32)]| {
            let mut text = format!("---\ntitle: {slug}\n---\nWords, enough of them.\n");
            for (name, width) in pictures {
                site.picture(slug, name, *width);
                text.push_str(&format!("\n![A picture of {width} points]({name})\n"));
            }
            let file = site.app.emails().join("issues").join(slug).join("issue.md");
            std::fs::write(file, text).expect("an issue");
            let run = site.begin_issue(slug, "weekly").await;
            site.freeze(run).await;
            let page = site.get(&format!("/archive/{slug}")).await.text();
            let (head, body) = page.split_once("<main>").expect("the mail");
            let (_, image) = head
                .split_once("\"og:image\" content=\"")
                .expect("a picture");
            let (image, _) = image.split_once('"').expect("its end");
            let mut shown = body.split("/i/").skip(1).map(|rest| rest[..64].to_owned());
            let place = shown.position(|hash| image.ends_with(&hash));
            (place, head.contains("summary_large_image"))
        };
        // By their names the icon would be first.
        let wide = shared(
            "wide",
            &[
                ("z-icon.png", 120),
                ("b-wide.png", 900),
                ("a-last.png", 800),
            ],
        );
        assert_eq!(wide.await, (Some(1), true));
        let small = shared("small", &[("b-icon.png", 120), ("a-icon.png", 100)]);
        assert_eq!(small.await, (Some(0), false));
        site.stop().await;
    }
);

on_both!(
    addresses_that_people_guess_lead_to_what_they_mean,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.publish("bees", "").await;
        for (path, target) in [
            ("/archive/", "/archive"),
            ("/archive/bees/", "/archive/bees"),
            ("/feed", "/feed.xml"),
            ("/rss", "/feed.xml"),
            ("/atom.xml", "/feed.xml"),
        ] {
            let answer = site.get(path).await;
            assert_eq!(answer.status, 301, "{path}");
            let target = format!("http://127.0.0.1:8080{target}");
            assert_eq!(answer.header("location"), Some(target.as_str()), "{path}");
        }
        for path in ["/archive/wasps/", "/feeds", "/archive/bees/x"] {
            assert_eq!(site.status_of(path).await, 404, "{path}");
        }
        site.stop().await;
    }
);
