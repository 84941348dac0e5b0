//! Parts for a segment, compiled: each copy is a whole page, whatever parts it has.

use pressrun::compile::{Compiled, Slot, Template, only};
use pressrun::segment::{Filter, Test};

use super::desk::Desk;

mod mjml;

const BODY: &str = "Words for all.\n\n:::only tag:paid\nA [first link](https://one.example/) for those who paid.\n\n\
    | a | b |\n|---|---|\n| c | d |\n\n:::promo {code=X url=https://shop.example/}\nAn offer.\n:::\n\n\
    :::only tag:new\n![Bees](https://img.example/bees.png)\n\nNew ones.\n:::\n:::\n\n## First\n\n\
    :::only not tag:paid\n:::button {url=https://join.example/}\nJoin us\n:::\n:::\n\nA [second](https://two.example/) link.\n\n\
    ## Second\n\nShort.\n\n## Third\n\nShort, too.\n\n***\n\n:::only tag:paid\nThanks for paying.\n:::\n\nBye.\n";

fn filled(template: &Template, segments: u32) -> String {
    template.fill_for(segments, |slot| match slot {
        Slot::Click(link) => format!("https://link.example/{link}"),
        _ => "https://page.example/".into(),
    })
}

/// Every element that opens also closes, in the order of their opening.
fn assert_whole(html: &str, what: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        if rest.starts_with("<!--") {
            let end = rest.find("-->").expect("an end of the comment");
            rest = &rest[end + 3..];
            continue;
        }
        let end = rest.find('>').expect("an end of the tag");
        let (tag, behind) = (&rest[1..end], &rest[end + 1..]);
        rest = behind;
        let name = |tag: &'_ str| -> usize {
            tag.find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(tag.len())
        };
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(&closed[..name(closed)]),
                "{what}: {}",
                &rest[..40.min(rest.len())]
            );
            continue;
        }
        let own = &tag[..name(tag)];
        let void = ["meta", "img", "br", "hr", "link", "input"].contains(&own);
        if !(own.is_empty() || void || tag.ends_with('/')) {
            open.push(own);
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "{what}");
}

/// Which of the parts stand in a text, which stands in every copy.
fn parts(text: &str) -> [bool; 5] {
    assert!(
        text.contains("Words for all.") && text.contains("Bye."),
        "{text}"
    );
    [
        "first link",
        "An offer.",
        "New ones.",
        "Join us",
        "Thanks for paying.",
    ]
    .map(|part| text.contains(part))
}

fn compiled(theme: &str) -> Compiled {
    let desk = Desk::new();
    let text = format!("---\ntitle: One\ntheme: {theme}\n---\n{BODY}");
    desk.write("issues/one/issue.md", text);
    desk.compile("one").expect("an issue").compiled
}

#[test]
fn each_copy_is_whole_in_every_theme() {
    for theme in ["digest", "letter", "magazine"] {
        let compiled = compiled(theme);
        let said: Vec<&str> = compiled
            .only
            .iter()
            .map(|sieve| sieve.said.as_str())
            .collect();
        assert_eq!(said, ["tag:paid", "tag:new", "not tag:paid"], "{theme}");
        let links: Vec<&str> = compiled
            .links
            .iter()
            .map(|link| link.url.as_str())
            .collect();
        for url in [
            "https://one.example/",
            "https://shop.example/",
            "https://join.example/",
        ] {
            assert!(links.contains(&url), "{links:?}");
        }
        for (segments, expected) in [
            (0b000, [false, false, false, false, false]),
            (0b001, [true, true, false, false, true]),
            (0b011, [true, true, true, false, true]),
            (0b110, [false, false, false, true, false]),
            (only::EVERY, [true; 5]),
        ] {
            let html = filled(&compiled.html, segments);
            assert_whole(&html, &format!("{theme} {segments:b}"));
            assert_eq!(parts(&html), expected, "{theme} {segments:b}");
            let text = filled(&compiled.text, segments);
            assert_eq!(parts(&text), expected, "{theme} {segments:b}: {text}");
            assert!(!text.contains("\n\n\n") && text.ends_with('\n'), "{text}");
        }
        // What everybody may see is what every copy has.
        let public = compiled.html.fill(|_| String::new());
        assert_eq!(parts(&public), [false; 5]);
    }
}

#[test]
fn links_of_a_part_stand_behind_their_words_and_leave_no_gap_in_the_numbers() {
    for segments in [0b001, 0] {
        let text = filled(&compiled("digest").text, segments);
        let words: Vec<&str> = text.split_whitespace().collect();
        let paid = words
            .join(" ")
            .contains("A first link <https://link.example/");
        assert_eq!(paid, segments == 1, "{text}");
        assert!(
            text.contains("A second [1] link.") && text.contains("\n[1] "),
            "{text}"
        );
        assert!(!text.contains("[2]"), "{text}");
    }
}

#[test]
fn the_content_address_knows_the_segments() {
    let desk = Desk::new();
    let hash = |segment: &str| {
        let built = desk
            .body(&format!("a\n\n:::only {segment}\nb\n:::"))
            .expect("an issue");
        (built.compiled.hash(), built.compiled.only.clone())
    };
    let (paid, only) = hash("tag:paid");
    assert_eq!(only[0].filter, Filter::Is(Test::Tag("paid".into())));
    assert_eq!(paid, hash("tag:paid").0);
    assert_ne!(paid, hash("tag:free").0);
    // A name is what it means: when that changes, so does the issue.
    desk.write("segments.toml", "[segments]\ngold = \"tag:paid\"\n");
    let before = hash("gold").0;
    desk.write("segments.toml", "[segments]\ngold = \"tag:gold\"\n");
    assert_ne!(before, hash("gold").0);
}

#[test]
fn a_part_for_nobody_that_is_known_is_refused_at_its_place() {
    let desk = Desk::new();
    desk.write("segments.toml", "[segments]\ngold = \"tag:gold\"\n");
    for (segment, expected) in [
        (
            "gald",
            "issue.md:6:9: error[segment]: no segment is named `gald`",
        ),
        (
            "gold and tag:X",
            "issue.md:6:22: error[segment]: `X` is no tag",
        ),
        (
            "gold or",
            "issue.md:6:16: error[segment]: a test is missing at the end",
        ),
    ] {
        let refused = desk.refused(&format!("a\n\n:::only {segment}\nb\n:::"));
        assert!(refused.contains(expected), "{refused}");
    }
    assert!(
        desk.refused("a\n\n:::only gald\nb\n:::")
            .contains("did you mean `gold`?")
    );
    let many: String = (0..17)
        .map(|n| format!(":::only tag:t{n}\nb\n:::\n\n"))
        .collect();
    assert!(
        desk.refused(&many)
            .contains("an issue has parts for 16 segments at most")
    );
    desk.write(
        "system/welcome/issue.md",
        "---\ntitle: Hi\n---\n:::only gold\nb\n:::\n",
    );
    let welcome = pressrun::publication::compile_system(&desk.config, &desk.emails(), "welcome");
    let error = welcome.expect_err("no parts here").to_string();
    assert!(error.contains("`:::only` stands in issues only"), "{error}");
}

#[test]
fn a_note_is_for_those_who_see_where_it_is_mentioned() {
    let desk = Desk::new();
    let body = ":::only tag:paid\nPaid[^p].\n:::\n\nAll[^a], both[^b].\n\n:::only tag:paid\nBoth[^b].\n:::\n\n\
        [^p]: Secret words, and more[^q]\n[^q]: Deeper secret\n[^a]: Open words\n[^b]: Shared words\n";
    let compiled = desk.body(body).expect("an issue").compiled;
    for template in [&compiled.html, &compiled.text] {
        let shown = |segments| {
            let copy = filled(template, segments);
            [
                "Secret words",
                "Deeper secret",
                "Open words",
                "Shared words",
            ]
            .map(|words| copy.contains(words))
        };
        assert_eq!(shown(0), [false, false, true, true]);
        assert_eq!(shown(1), [true; 4]);
    }
    let text = filled(&compiled.text, 1);
    assert!(text.contains("(1) Secret words"), "{text}");
    let told = desk.refused(
        ":::only tag:paid\na[^x]\n:::\n\n:::only tag:new\nb[^x]\n:::\n\n[^x]: for whom?\n",
    );
    assert!(
        told.contains("footnote `x` is mentioned in parts for different readers"),
        "{told}"
    );
}

#[test]
fn nothing_is_seen_of_a_note_by_those_who_do_not_get_it() {
    const NOTES: &str = "[^a]: Open words\n[^p]: Secret words\n[^q]: More of them\n[^n]: New words\n[^b]: Last ones\n";
    for theme in ["digest", "letter", "magazine"] {
        let desk = Desk::new();
        let issue = |body: &str| {
            let text = format!("---\ntitle: One\ntheme: {theme}\n---\n{body}\n\n{NOTES}");
            desk.write("issues/one/issue.md", text);
            desk.compile("one").expect("an issue").compiled
        };
        let entries = |html: &str| html.matches("<li").count();

        let mixed = issue("All[^a].\n\n:::only tag:paid\nPaid[^p].\n:::\n\nMore[^b].");
        let (all, paid) = (filled(&mixed.html, 0), filled(&mixed.html, 1));
        assert_whole(&all, theme);
        assert_whole(&paid, theme);
        assert_eq!((entries(&all), entries(&paid)), (2, 3), "{theme}");
        // The number is that of the mention.
        assert!(all.contains("<li value=\"3\">"), "{theme}: {all}");
        assert!(
            all.contains(">Notes<") && !all.contains("Secret"),
            "{theme}"
        );
        let text = filled(&mixed.text, 0);
        assert!(
            text.contains("(1) Open words") && text.contains("(3) Last ones"),
            "{text}"
        );
        assert!(!text.contains("(2)"), "{text}");

        let apart = issue(
            ":::only tag:paid\nPaid[^p], and more[^q].\n:::\n\n:::only tag:new\nNew[^n].\n:::\n\nBye.",
        );
        let said = apart.only.iter().map(|sieve| sieve.said.as_str());
        let expected = ["tag:paid", "tag:new", "(tag:paid) or (tag:new)"];
        assert_eq!(said.collect::<Vec<_>>(), expected);
        for (segments, count) in [(0b000, 0), (0b101, 2), (0b110, 1), (0b111, 3)] {
            let html = filled(&apart.html, segments);
            assert_whole(&html, &format!("{theme} {segments:b}"));
            assert_eq!(entries(&html), count, "{theme} {segments:b}");
            let heads = [html, filled(&apart.text, segments)].map(|part| part.contains("Notes"));
            assert_eq!(heads, [count > 0; 2], "{theme} {segments:b}");
        }
        // Nothing is left that only makes room.
        let lists = |html: &str| html.matches("<ol").count();
        assert_eq!(lists(&apart.html.fill(|_| String::new())), 0, "{theme}");
    }
}

#[test]
fn an_end_for_some_readers_leaves_the_others_no_line_and_no_card() {
    let without = "Words for all.\n\n## First\n\nShort.\n";
    let mention = |body: &str| body.replacen("\n\n", "\n\n:::only tag:paid\nPaid[^p].\n:::\n\n", 1);
    let noted = "\n[^p]: Secret words\n";
    let outro = "\n***\n\n:::only tag:paid\nSecret end.\n:::\n\n:::only tag:new\nNew end.\n:::\n";
    for theme in ["digest", "letter", "magazine"] {
        let desk = Desk::new();
        let issue = |front: &str, body: &str| {
            let text = format!("---\ntitle: One\ntheme: {theme}\n{front}---\n{body}");
            desk.write("issues/one/issue.md", text);
            desk.compile("one").expect("an issue").compiled
        };
        let plain = issue("", without);
        for end in [
            noted.to_owned(),
            outro.to_owned(),
            format!("{outro}{noted}"),
        ] {
            let mut body = format!("{without}{end}");
            if end.ends_with(noted) {
                body = mention(&body);
            }
            let compiled = issue("", &body);
            for segments in [0, 1, 2, only::EVERY] {
                let html = filled(&compiled.html, segments);
                assert_whole(&html, &format!("{theme} {segments:b} {end}"));
            }
            let [html, expected] =
                [&compiled.html, &plain.html].map(|part| filled(part, only::NOBODY));
            // Where a part stood between two of them, what Outlook reads is two comments.
            let squeezed = |html: &str| {
                let html = html.split_whitespace().collect::<String>();
                html.replace("<![endif]--><!--[ifmso|IE]>", "")
            };
            assert_eq!(squeezed(&html), squeezed(&expected), "{theme} {end}");
            let [text, expected] =
                [&compiled.text, &plain.text].map(|part| filled(part, only::NOBODY));
            assert_eq!(text, expected, "{theme} {end}");
            let every = filled(&compiled.html, only::EVERY);
            assert!(every.contains("Secret"), "{theme}");
        }
        // Authors stand in it for all.
        let signed = issue("authors:\n  - name: Ada\n", &format!("{without}{outro}"));
        let html = filled(&signed.html, only::NOBODY);
        assert_whole(&html, theme);
        assert!(html.contains("Ada") && !html.contains("Secret"), "{theme}");
    }
}

#[test]
fn whole_items_are_for_some_readers_and_the_others_count_on_without_them() {
    let body = "Hello.\n\n## First\n\na\n\n:::only tag:paid\n## Second\n\nSecret[^s], and \
                [a link](https://paid.example/).\n\n:::only tag:new\nFor new ones.\n:::\n:::\n\n## Third\n\nc\n\n\
                :::only not tag:paid\n## Join us\n\nd\n:::\n\n***\n\nBye.\n\n[^s]: Secret note\n";
    for theme in ["digest", "letter", "magazine"] {
        let desk = Desk::new();
        desk.write(
            "issues/one/issue.md",
            format!("---\ntitle: One\ntheme: {theme}\n---\n{body}"),
        );
        let compiled = desk.compile("one").expect("an issue").compiled;
        let said = compiled.only.iter().map(|sieve| sieve.said.as_str());
        assert_eq!(
            said.collect::<Vec<_>>(),
            ["tag:paid", "tag:new", "not tag:paid"],
            "{theme}"
        );
        for (segments, shown, numbers) in [
            (
                only::NOBODY,
                [false, false, false],
                ["1. First", "2. Third", ""],
            ),
            (
                0b100,
                [false, false, true],
                ["1. First", "2. Third", "3. Join us"],
            ),
            (0b001, [true, false, false], ["2. Second", "3. Third", ""]),
            (0b011, [true, true, false], ["2. Second", "3. Third", ""]),
            (
                only::EVERY,
                [true, true, true],
                ["2. Second", "3. Third", "4. Join us"],
            ),
        ] {
            let (html, text) = (
                filled(&compiled.html, segments),
                filled(&compiled.text, segments),
            );
            assert_whole(&html, &format!("{theme} {segments:b}"));
            for part in [&html, &text] {
                let holds = ["Secret", "For new ones", "Join us"].map(|words| part.contains(words));
                assert_eq!(holds, shown, "{theme} {segments:b}: {part}");
                assert_eq!(part.contains("Second"), shown[0], "{theme} {segments:b}");
                assert!(
                    part.contains("Third") && part.contains("Bye."),
                    "{theme} {segments:b}"
                );
            }
            for number in numbers {
                assert!(text.contains(number), "{theme} {segments:b}: {text}");
            }
            assert!(!text.contains("\n\n\n"), "{theme} {segments:b}: {text}");
        }
    }
}

#[test]
fn words_around_items_for_some_readers_are_told_where_they_belong() {
    let desk = Desk::new();
    for (body, expected) in [
        (
            "a\n\n:::only tag:paid\nWords\n\n## One\n\nb\n:::",
            "issue.md:7:1: error[directive]: these words stand above the first `##` of their part",
        ),
        (
            ":::only tag:paid\n## One\n\nb\n:::\n\nWords\n\n## Two\n\nc",
            "issue.md:10:1: error[directive]: these words belong to no item",
        ),
        (
            ":::only tag:X\n## One\n\nb\n:::",
            "error[segment]: `X` is no tag",
        ),
        (
            ":::promo {code=a}\n## One\n\nb\n:::",
            "`##` begins an item and cannot stand here",
        ),
    ] {
        let refused = desk.refused(body);
        assert!(refused.contains(expected), "{body}: {refused}");
        assert_eq!(refused.matches("error[").count(), 1, "{body}: {refused}");
    }
    // What a line between two items would end stays within its part.
    let built = desk
        .body(":::only tag:paid\n## One\n\nb\n\n***\n\nPaid words\n:::")
        .expect("an issue");
    for part in [&built.compiled.html, &built.compiled.text] {
        assert!(!filled(part, 0).contains("Paid words"));
        assert!(filled(part, 1).contains("Paid words"));
    }
    // A theme of the author's from before has no place for it.
    assert_eq!(desk.run(&["theme", "new", "mine"]).0, 0);
    let layout = desk.emails().join("themes/mine/layout.mjml");
    let text = std::fs::read_to_string(&layout).expect("a layout");
    let old = text
        .replace("{{ item.begin }}", "")
        .replace("{{ item.end }}", "");
    assert_ne!(old, text);
    std::fs::write(&layout, old).expect("a file");
    let issue = |body: &str| {
        desk.write(
            "issues/one/issue.md",
            format!("---\ntitle: One\ntheme: mine\n---\n{body}"),
        )
    };
    issue("## One\n\na\n");
    desk.compile("one").expect("an issue");
    issue(":::only tag:paid\n## One\n\na\n:::\n");
    let refused = desk.compile("one").expect_err("no place").to_string();
    assert!(
        refused.contains("`item.begin` does not come out in the HTML part"),
        "{refused}"
    );
}
