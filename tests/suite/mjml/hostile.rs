//! No text makes the front-end panic, and every place it names lies in the file it names. The same
//! property stands in `fuzz/fuzz_targets/mjml.rs` for longer runs.

use std::collections::BTreeMap;

use pressrun::mjml::origin::{Origins, Stretch};
use pressrun::mjml::{Level, Options, Rendering, compile, compile_generated};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const CASES: u32 = 400;

/// A document with about everything in it, to be damaged.
const WHOLE: &str = include_str!("whole.mjml");

/// Pieces that a parser may stumble over.
const PIECES: [&str; 44] = [
    "<mjml>",
    "</mjml>",
    "<mj-head>",
    "</mj-head>",
    "<mj-body>",
    "</mj-body>",
    "<mj-section>",
    "</mj-section>",
    "<mj-column width=\"50%\">",
    "</mj-column>",
    "<mj-text>",
    "</mj-text>",
    "<mj-raw>",
    "</mj-raw>",
    "<mj-style inline=\"inline\">",
    "</mj-style>",
    "<mj-table>",
    "<mj-image src='a' width=\"\u{feff}px\"/>",
    "<mj-carousel>",
    "<mj-wrapper gap=\"1e9px\">",
    "<mj-hero mode=\"fluid-height\" height=\"-1px\">",
    "<mj-include path=\"p.mjml\"/>",
    "<mj-include path=\"../..\" type='css'>",
    "<mj-attributes>",
    "<mj-all padding=\"\"/>",
    "<mj-class name=\"a\" color=\"red\"/>",
    "mj-class=\"a a\"",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<",
    ">",
    "/>",
    "\"",
    "'",
    "=",
    "&",
    "&#x110000;",
    "\r\n",
    "\u{0}",
    "\u{1f469}\u{200d}\u{1f4bb}",
    " ",
    "A\u{201d} > B",
];

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[ -~]{0,12}",
    ];
    let pieces = prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat());
    // A valid document with something put into it or taken out of it.
    let damaged = (any::<prop::sample::Index>(), 0..40_usize, 0..PIECES.len()).prop_map(
        |(at, length, piece)| {
            let at = WHOLE.floor_char_boundary(at.index(WHOLE.len()));
            let end = WHOLE.ceil_char_boundary((at + length).min(WHOLE.len()));
            format!("{}{}{}", &WHOLE[..at], PIECES[piece], &WHOLE[end..])
        },
    );
    let deep = (prop::sample::select(&PIECES[..]), 1..3_000_usize)
        .prop_map(|(piece, times)| format!("<mjml><mj-body>{}", piece.repeat(times)));
    prop_oneof![4 => pieces, 4 => damaged, 1 => deep]
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![Just(Level::Strict), Just(Level::Soft), Just(Level::Skip)]
}

/// Each place lies in its file; each finding is bounded; something comes of every document.
fn judge(rendering: &Rendering, texts: &BTreeMap<String, String>) {
    assert!(rendering.diagnostics.len() <= 51);
    assert!(rendering.html.is_some() || !rendering.diagnostics.is_empty());
    let within = |file: &str, line: usize, column: usize| {
        let text = texts.get(file).expect("a known file");
        let text = text.trim_start_matches('\u{feff}');
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let at = text.split('\n').nth(line - 1).expect("a known line");
        assert!(column <= at.chars().count() + 1, "{file}:{line}:{column}");
    };
    for found in &rendering.diagnostics {
        assert_ne!(found.code, "renderer", "{}", found.framed());
        within(&found.file, found.line, found.column);
        for place in &found.via {
            within(&place.file, place.line, place.column);
        }
        assert!(found.framed().len() < 5_000);
    }
    for mark in rendering.marks.iter().map(|mark| &mark.place) {
        within(&mark.file, mark.line, mark.column);
    }
}

#[test]
fn no_text_makes_it_panic_and_every_place_lies_in_its_file() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let given = (hostile(), hostile(), level(), any::<bool>());
    let ran = runner.run(&given, |(text, part, level, mark)| {
        let options = Options {
            level,
            mark,
            ..Options::default()
        };
        let mut files = BTreeMap::from([("p.mjml".to_owned(), part)]);
        let rendering = compile("a.mjml", &text, &files, &options);
        files.insert("a.mjml".into(), text);
        judge(&rendering, &files);
        Ok(())
    });
    ran.expect("no text is too bad");
}

#[test]
fn generated_text_is_told_where_it_comes_from() {
    let layout = "<mjml><mj-body>\n  {{ item }}\n</mj-body></mjml>\n";
    let item = "<!-- an item -->\n<mj-section>\n  <mj-colunm></mj-colunm>\n</mj-section>";
    let slot = layout.find("{{").expect("a slot");
    let after = layout.find("}}").expect("its end") + 2;
    let text = format!("{}{item}{}", &layout[..slot], &layout[after..]).replace('\n', "\r\n");
    let origins = Origins {
        files: vec![
            ("layout.mjml".into(), layout.into()),
            ("item.mjml".into(), item.replace('\n', "\r\n")),
        ],
        stretches: vec![
            Stretch {
                at: 0,
                file: 0,
                offset: 0,
                length: slot,
                via: None,
            },
            Stretch {
                at: text.find("<!--").expect("the item"),
                file: 1,
                offset: 0,
                length: item.len() + 3,
                via: Some(2),
            },
            Stretch {
                at: text.find("</mj-body>").expect("the end") - 2,
                file: 0,
                offset: slot,
                length: 0,
                via: None,
            },
        ],
    };
    let files: BTreeMap<String, String> = BTreeMap::new();
    let rendering = compile_generated(&text, &origins, &files, &Options::default());
    let told: Vec<String> = rendering
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("item.mjml:3:4: error[unknown-element]"),
        "{told:?}"
    );
    assert!(
        told[0].ends_with("included from layout.mjml:2:3"),
        "{told:?}"
    );
}

#[test]
fn marks_lead_from_the_page_to_the_line() {
    let files: BTreeMap<String, String> = BTreeMap::new();
    let options = Options {
        mark: true,
        foreign_icons: true,
        ..Options::default()
    };
    let rendering = compile("a.mjml", WHOLE, &files, &options);
    let html = rendering.html.expect("it compiles");
    let text = WHOLE
        .lines()
        .position(|line| line.contains("mj-class=\"loud\""));
    let line = text.expect("a text in the body") + 1;
    let mark = rendering
        .marks
        .iter()
        .position(|mark| mark.place.line == line);
    let class = format!("pr-at-{}", mark.expect("the text is marked"));
    assert!(html.contains(&class), "{class} is in no element");
}
