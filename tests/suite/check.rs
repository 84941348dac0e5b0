//! The lints one by one, and `pressrun check` from outside.

use std::collections::BTreeMap;

use jiff::civil::date;
use pressrun::config::{Config, Level};
use pressrun::lint::{CATALOGUE, Earlier, Facts, Unreachable, find};
use pressrun::preflight;
use pressrun::publication::themes::specimen;

use crate::compile::desk::Desk;

mod commands;
mod mistakes;
mod pictures;
mod reach;
mod stranger;
mod system;

const PREHEADER: &str = "A preheader that is long enough to fill the row of an inbox.";

/// What is found in an issue of this front matter and body, as `code@line`; every lint is told.
fn found(desk: &Desk, front: &str, body: &str, facts: &Facts) -> Vec<String> {
    let text = format!("---\n{front}\n---\n{body}\n");
    desk.write("issues/one/issue.md", text);
    let built = desk
        .compile("one")
        .unwrap_or_else(|error| panic!("{error:#}"));
    let mut config: Config = desk.config.clone();
    for lint in CATALOGUE {
        let told = match lint.level {
            Level::Off => Level::Warning,
            level => level,
        };
        config.lint.insert(lint.code.to_owned(), told);
    }
    preflight::findings(&config, &built, facts)
        .into_iter()
        .filter(|finding| find(finding.code).is_some())
        .map(|finding| format!("{}@{}", finding.code, finding.line))
        .collect()
}

fn facts() -> Facts {
    Facts {
        today: Some(date(2026, 6, 10)),
        earlier: vec![
            Earlier {
                slug: "last-week".into(),
                subject: "Bees, week 23".into(),
                sent: true,
            },
            Earlier {
                slug: "one".into(),
                subject: "A week of bees".into(),
                sent: true,
            },
        ],
        unreachable: Vec::new(),
        silent: 0,
    }
}

/// What came of asking two links.
fn unreachable() -> Vec<Unreachable> {
    vec![
        Unreachable {
            url: "https://gone.example/".into(),
            dead: true,
            why: "is not there (404)".into(),
        },
        Unreachable {
            url: "https://slow.example/".into(),
            dead: false,
            why: "did not answer within 15 seconds".into(),
        },
    ]
}

/// Front matter of three lines, so that a body begins on line 6.
fn front(title: &str, subject: &str, preheader: &str) -> String {
    format!("title: {title:?}\nsubject: {subject:?}\npreheader: {preheader:?}")
}

#[test]
fn each_lint_of_the_inbox_row_fires_at_its_line_and_not_beside_it() {
    let desk = Desk::new();
    let long = "Words and ".repeat(8);
    let limit = "Words and ".repeat(20);
    let (fine, title) = ("A week of bees", "A week of bees");
    for (subject, preheader, expected) in [
        (fine, PREHEADER, None),
        (long.trim(), PREHEADER, Some("subject-length@3")),
        (&long[..70], PREHEADER, None),
        (limit.trim(), PREHEADER, Some("subject-limit@3")),
        ("Re: the bees", PREHEADER, Some("subject-reply@3")),
        ("FWD: the bees", PREHEADER, Some("subject-reply@3")),
        ("Reindeer: a visit", PREHEADER, None),
        ("BEES ON ALL ROOFS", PREHEADER, Some("subject-shouting@3")),
        ("Bees! Bees!", PREHEADER, Some("subject-shouting@3")),
        (
            "Bees \u{1f41d}\u{1f41d}\u{1f41d}\u{1f41d}",
            PREHEADER,
            Some("subject-shouting@3"),
        ),
        ("NASA \u{1f41d} bees!", PREHEADER, None),
        ("bees WEEK 23", PREHEADER, Some("subject-repeated@3")),
        (fine, "Short", Some("preheader-length@4")),
        (
            fine,
            "A week of bees, and what else there is to say",
            Some("preheader-repeats@4"),
        ),
    ] {
        let found = found(&desk, &front(title, subject, preheader), "Hello.", &facts());
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_eq!(found, expected, "{subject} / {preheader}");
    }
    let missing = found(&desk, "title: \"A week of bees\"", "Hello.", &facts());
    assert_eq!(missing, ["preheader-missing@2"]);
}

#[test]
fn each_lint_of_the_text_fires_at_its_line_and_not_beside_it() {
    let desk = Desk::new();
    let promo = |until: &str| {
        format!(":::promo {{code=\"A\" until=\"{until}\" url=\"https://a.example/\"}}\nBuy.\n:::")
    };
    let (ended, open, vague) = (
        promo("9 June"),
        promo("2026-06-10"),
        promo("while stocks last"),
    );
    let mut tables: Vec<(&str, &str, Vec<&str>)> = vec![
        (
            "Three bees",
            "## A\n\nb\n\n## B\n\nb",
            vec!["title-count@2"],
        ),
        ("Two bees", "## A\n\nb\n\n## B\n\nb", vec![]),
        ("Three days of bees", "## A\n\nb\n\n## B\n\nb", vec![]),
        ("Bees", "## A\n\n#### B\n\nc", vec!["heading-order@8"]),
        (
            "Bees",
            "## A\n\n### B\n\n#### C\n\nd\n\n```\n#### x\n```",
            vec![],
        ),
        ("Bees", "## A\n\n## B\n\nc", vec!["empty-item@6"]),
        (
            "Bees",
            "## A\n\n:::only tag:paid\nb\n:::\n\n## B\n\nc\n\n:::only tag:paid\nd\n:::",
            vec!["empty-item@6"],
        ),
        ("Bees", "Dear {{ name }},", vec!["leftover-template@6"]),
        (
            "Bees",
            "Dear *|FNAME|*, or %FNAME%.",
            vec!["leftover-template@6", "leftover-template@6"],
        ),
        (
            "Bees",
            "Dear `{{ name }}`, 100% and 50%.\n\n```\n{% if %}\n```",
            vec![],
        ),
        (
            "Bees",
            "a\n\nIt was TODO percent, TK.",
            vec!["leftover-note@8", "leftover-note@8"],
        ),
        ("Bees", "Lorem ipsum dolor", vec!["leftover-note@6"]),
        (
            "Bees",
            "Hello [first_name|there]], `[a|b]]` and \\[a|b]]",
            vec!["leftover-template@6"],
        ),
        (
            "Bees",
            "A **bold ** word\n\nand **another\n\n\u{8a9e}**\u{300c}\u{8a9e}\u{300d}**\u{8a9e}\n\n##Head\n\n\
             (bees)[https://a.example/] and {first_name}\n\nsee https://a.example/b",
            vec![
                "leftover-mark@6",
                "leftover-mark@8",
                "leftover-mark@10",
                "leftover-mark@12",
                "leftover-mark@14",
                "leftover-mark@14",
            ],
        ),
        (
            "Bees",
            "**Bold**, __bold__, 2 ** 3, s**t, a__b, \\**x, `**y`, [1] (see), <https://a.example/>, #tag, `{name}`\n\n\
             ```\n**z\n##Head\n```\n\n    **code\n    ##Head",
            vec![],
        ),
        (
            "Bees",
            "`TODO` <!-- TK --> and a TODOS list, [x](https://a.example/TODO)",
            vec![],
        ),
        (
            "Bees",
            "[The bees] (https://a.example/)\n\n[a](<https://a.example/b c>)",
            vec!["leftover-mark@6", "odd-link@8"],
        ),
        (
            "Bees",
            "x\n\n[The bees](https://a.example/b c) d",
            vec!["link-syntax@8"],
        ),
    ];
    tables.push(("Bees", &ended, vec!["promo-ended@6"]));
    tables.push(("Bees", &open, vec![]));
    tables.push(("Bees", &vague, vec![]));
    for (title, body, expected) in tables {
        let found = found(&desk, &front(title, title, PREHEADER), body, &facts());
        assert_eq!(found, expected, "{title}\n{body}");
    }
}

#[test]
fn each_lint_of_the_links_fires_at_its_line_and_not_beside_it() {
    let desk = Desk::new();
    for (body, expected) in [
        ("[Bees on roofs](https://a.example/b)", vec![]),
        (
            "a\n\n[here](https://a.example/)\n\n[This link!](https://b.example/)",
            vec!["generic-link@8"],
        ),
        (
            "[Bees](https://a.example/) x\n\n[Bees](https://b.example/)",
            vec!["same-text-links@6"],
        ),
        (
            "[Bees](https://a.example/) x\n\n[Bees](https://a.example/)",
            vec![],
        ),
        ("[Bees](https://https://a.example/)", vec!["odd-link@6"]),
        ("a\n\n[Bees](http://a.example/)", vec!["http-link@8"]),
        ("[Bees](http://localhost:8080/)", vec!["local-link@6"]),
        ("[Bees](https://192.168.0.4/)", vec!["local-link@6"]),
        ("[Bees](https://bit.ly/abc)", vec!["shortened-link@6"]),
        (
            "[Bees](https://a.example/?utm_source=x&fbclid=1)",
            vec!["personal-parameter@6"],
        ),
        ("[Bees](https://a.example/?utm_source=x)", vec![]),
        ("[B](https://a.rs6.net/tn.jsp)", vec!["personal-link@6"]),
        ("[B](https://b.example/?jwt=eyJ)", vec!["personal-link@6"]),
        (
            "[Pay](https://p\u{430}ypal.example/)",
            vec!["lookalike-link@6"],
        ),
        ("[B\u{fc}cher](https://b\u{fc}cher.example/)", vec![]),
        ("a\n\n[Bees](https://gone.example/)", vec!["dead-link@8"]),
        (
            "a\n\n[Bees](https://slow.example/)",
            vec!["unanswered-link@8"],
        ),
    ] {
        let mut facts = facts();
        facts.unreachable = unreachable();
        facts.unreachable.retain(|fact| body.contains(&fact.url));
        let found = found(&desk, &front("Bees", "Bees", PREHEADER), body, &facts);
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn generic_links_in_a_row_are_one_finding_that_names_the_lines() {
    let desk = Desk::new();
    let body: String = (0..11)
        .map(|index| format!("## Item {index}\n\nText. [this link](https://a.example/{index})\n\n"))
        .collect();
    desk.write(
        "issues/one/issue.md",
        format!("---\ntitle: Bees\n---\n{body}"),
    );
    let built = desk.compile("one").expect("an issue");
    let found = preflight::findings(&desk.config, &built, &Facts::default());
    let generic: Vec<_> = found
        .iter()
        .filter(|finding| finding.code == "generic-link")
        .collect();
    assert_eq!(generic.len(), 1);
    assert_eq!(
        generic[0].message,
        "11 links say `this link` and not where they lead: lines 6, 10, 14, 18, 22, 26, 30, 34, 38, 42 \
         and 46"
    );
}

#[test]
fn each_lint_of_theme_and_parts_fires_at_its_line_and_not_beside_it() {
    let desk = Desk::new();
    // As many rows as make the wanted size, whatever a row of this theme weighs.
    let rows = |count: usize| {
        let row = "| some words | more words |\n";
        format!("| a | b |\n|---|---|\n{}", row.repeat(count))
    };
    let size = |count: usize| {
        let built = desk.body(&rows(count)).expect("a table");
        built
            .compiled
            .html_size_estimate("https://news.example.org")
    };
    let (few, many) = (size(100), size(200));
    let of_size = |octets: usize| rows(100 + (octets - few) / ((many - few) / 100));
    let (table, huge) = (of_size(96 * 1024), of_size(108 * 1024));
    let mjml = |inner: &str| format!(":::mjml\n<mj-text>{inner}</mj-text>\n:::");
    for (body, expected) in [
        (mjml("<p style=\"color:red\">x</p>"), vec![]),
        (mjml("<p style=\"display:flex\">x</p>"), vec!["mail-css@7"]),
        (
            mjml("<p>a</p><video src=\"https://news.example.org/v\"></video>"),
            vec!["mail-html@7"],
        ),
        (mjml("<a href=\"https://only.example/\">x</a>"), vec![]),
        (of_size(84 * 1024), vec![]),
        (table, vec!["size@0"]),
        (huge, vec!["clipped@0"]),
    ] {
        let found = found(
            &desk,
            &front("Bees", "Bees", PREHEADER),
            &body,
            &Facts::default(),
        );
        assert_eq!(found, expected, "{}", &body[..body.len().min(200)]);
    }
    let toml = std::fs::read_to_string(desk.emails().join("themes/digest/theme.toml"));
    let toml = toml
        .expect("a theme")
        .replace("code = \"padding", "code = \"color:#999;padding");
    desk.write("themes/digest/theme.toml", toml.as_bytes());
    let found = found(
        &desk,
        &front("Bees", "Bees", PREHEADER),
        "x",
        &Facts::default(),
    );
    let line = toml
        .lines()
        .position(|line| line.starts_with("code = \"color"))
        .expect("it")
        + 1;
    assert_eq!(found, [format!("contrast@{line}")]);
}

#[test]
fn the_sample_issue_deserves_no_lint() {
    let desk = Desk::new();
    let built = desk
        .compile("this-week-in-ai-research")
        .expect("the sample");
    let mut facts = facts();
    facts.today = Some(date(2026, 12, 31));
    let found = preflight::findings(&desk.config, &built, &facts);
    let codes: Vec<&str> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [""; 0]);
}

#[test]
fn the_example_of_the_readme_deserves_no_lint() {
    let desk = Desk::new();
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```markdown\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split_once("\n```"));
    let mut issues = blocks.filter(|(block, _)| block.starts_with("---\ntitle:"));
    let (issue, _) = issues.next().expect("an issue");
    desk.write("issues/one/issue.md", issue);
    let built = desk.compile("one").expect("the example");
    let found = preflight::findings(&desk.config, &built, &Facts::default());
    assert_eq!(found, []);
}

#[test]
fn the_specimens_of_the_themes_deserve_no_lint() {
    let desk = Desk::new();
    for theme in ["digest", "letter", "magazine"] {
        let built = specimen(&desk.config, &desk.emails(), theme).expect(theme);
        let found = preflight::findings(&desk.config, &built, &Facts::default());
        let lints: Vec<String> = found
            .iter()
            .filter(|finding| find(finding.code).is_some())
            .map(ToString::to_string)
            .collect();
        assert!(lints.is_empty(), "{theme}: {lints:#?}");
    }
}

#[test]
fn every_lint_has_a_page_and_a_setting_and_every_page_and_setting_a_lint() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lints");
    let index = std::fs::read_to_string(docs.join("README.md")).expect("the index");
    let reference = include_str!("../../deploy/pressrun.toml");
    let reference: toml::Table = reference.parse().expect("the reference file");
    let settings = reference["lint"].as_table().expect("a table of lints");
    let mut rows = String::new();
    for lint in CATALOGUE {
        let level = format!("{:?}", lint.level).to_lowercase();
        let page = docs.join(format!("{}.md", lint.code));
        let page = std::fs::read_to_string(&page).expect(lint.code);
        let opening = format!("# {}\n\nLevel: {level}. ", lint.code);
        assert!(page.starts_with(&opening), "{}: {page}", lint.code);
        assert!(page.lines().count() >= 10, "{}", lint.code);
        assert_eq!(
            settings.get(lint.code).and_then(toml::Value::as_str),
            Some(level.as_str())
        );
        rows += &format!(
            "| [{0}]({0}.md) | {level} | {1} |\n",
            lint.code, lint.summary
        );
    }
    assert!(
        index.ends_with(&rows),
        "docs/lints/README.md should end in:\n{rows}"
    );
    assert_eq!(settings.len(), CATALOGUE.len());
    let pages = std::fs::read_dir(&docs).expect("the pages").count();
    assert_eq!(pages, CATALOGUE.len() + 1);
}

#[test]
fn a_level_decides_whether_a_lint_is_told_and_whether_it_stops() {
    let desk = Desk::new();
    desk.write("issues/one/issue.md", "---\ntitle: Bees\n---\nTK\n");
    let built = desk.compile("one").expect("an issue");
    let of = |level: Level| {
        let mut config = desk.config.clone();
        config.lint = BTreeMap::from([("leftover-note".to_owned(), level)]);
        let found = preflight::findings(&config, &built, &Facts::default());
        let found = found.iter().find(|finding| finding.code == "leftover-note");
        found.map(pressrun::diagnostic::Diagnostic::is_error)
    };
    assert_eq!(of(Level::Off), None);
    assert_eq!(of(Level::Warning), Some(false));
    assert_eq!(of(Level::Error), Some(true));
}

#[test]
fn a_level_weighs_what_the_compiler_warns_of_and_not_what_it_refuses() {
    let desk = Desk::new();
    let built = desk.body("A <CALL>, [[name|<b>x</b>]].").expect("an issue");
    let of = |level: Level| {
        let mut config = desk.config.clone();
        config.lint = [
            "unknown-tag",
            "slot-markup",
            "preheader-missing",
            "text-part",
        ]
        .map(|code| (code.to_owned(), level))
        .into();
        let found = preflight::findings(&config, &built, &Facts::default());
        let told = found.iter().map(|found| (found.code, found.is_error()));
        told.filter(|(code, _)| ["unknown-tag", "slot-markup"].contains(code))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(Level::Off), []);
    let (tag, slot) = ("unknown-tag", "slot-markup");
    assert_eq!(of(Level::Warning), [(tag, false), (slot, false)]);
    assert_eq!(of(Level::Error), [(tag, true), (slot, true)]);
}
