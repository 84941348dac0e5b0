//! Compiling an issue, beside mrml alone on a document that comes out as large.
//!
//! The compile is all that `check` and `send` do: read the folder and the theme, parse the Markdown, fill
//! the theme, render the MJML, split the HTML at its slots, build the link table and the text part, and
//! look for faults. The reference parses and renders MJML that stands ready in memory.
//!
//! Two more tables compile a digest in MJML by `pressrun::mjml`, validation included, by mrml, and by npm's
//! mjml in a warm process, where `PRESSRUN_BENCH_MJML` names a folder with `node_modules/mjml`: a digest
//! that comes out as large as the issue, and one that is as large before it is compiled.

mod letter;
mod measure;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use measure::{Reference, Row, median, number};
use pressrun::compile::Compiled;
use pressrun::config::Config;
use pressrun::issue::given::Titles;
use pressrun::mjml::{Options, compile};
use pressrun::publication::{self, Publication};

const REPEATS: usize = 200;
/// Octets of HTML that the long issue comes to at least.
const LONG: usize = 60_000;
const GOAL_MS: f64 = 2.0;
const SAMPLE: &str = "this-week-in-ai-research";

const CONFIG: &str = r#"
[publication]
name = "Bench"
url = "https://news.example.com"
postal_address = "1 Bench Street"

[from]
name = "Bench"
address = "news@example.com"

[relay.main]
kind = "smtp"
url = "smtp://127.0.0.1:2525"
"#;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let emails = folder.path().join("emails");
    Publication::write_defaults(&emails).expect("the default emails");
    let config = Config::from_text(CONFIG).expect("a configuration");
    let sizes = |compiled: &Compiled| compiled.html_size_estimate(&config.publication.url);

    let paragraphs = (1..200)
        .find(|&paragraphs| sizes(&build(&config, &emails, paragraphs)) >= LONG)
        .expect("200 paragraphs are long enough");
    let html = sizes(&build(&config, &emails, paragraphs));
    let mjml = mjml(html);
    let compile = |issue: &str| {
        let built = publication::compile_issue(&config, &emails, issue, &Titles::default());
        black_box(built.expect("it compiles"));
    };
    let reference = time(|| {
        black_box(mrml(&mjml));
    });
    let long = time(|| compile("long"));
    let sample = time(|| compile(SAMPLE));
    let goal = Reference {
        name: "the 2 ms allowed",
        value: GOAL_MS,
        goal: 1.0,
    };
    let ratio = format!("{:.1} of mrml alone", long / reference);
    let rows = [
        Row::plain("mrml alone", reference),
        Row::against("compile, check and lay out as text", long, goal).with(ratio),
        Row::plain("the sample issue", sample),
    ];
    let title = format!(
        "compile: {} octets of HTML, median of {REPEATS}",
        number(html as f64)
    );
    measure::print(&title, "ms", &rows);
    let digests = (1..).map(digest);
    let rendered = |digest: &String| front(digest).len();
    front_end(
        &digests
            .clone()
            .find(|digest| rendered(digest) >= LONG)
            .expect("one"),
    );
    front_end(
        &digests
            .clone()
            .find(|digest| digest.len() >= LONG)
            .expect("one"),
    );
    measure::print_disk(folder.path());
}

/// MJML alone: ours with validation, mrml without, npm's with.
fn front_end(digest: &str) {
    let reference = time(|| {
        black_box(mrml(digest));
    });
    let html = front(digest).len();
    let own = time(|| {
        black_box(front(digest));
    });
    let goal = Reference {
        name: "the 2 ms allowed",
        value: GOAL_MS,
        goal: 1.0,
    };
    let ratio = format!("{:.1} of mrml alone", own / reference);
    let mut rows = vec![
        Row::plain("mrml alone, without validation", reference),
        Row::against("mjml::compile, validated", own, goal).with(ratio),
    ];
    match npm(digest) {
        Ok(npm) => {
            let ratio = format!("{:.1} of ours", npm / own);
            rows.push(Row::plain("npm's mjml, warm, validated", npm).with(ratio));
        }
        Err(why) => println!("npm's mjml is left out: {why}"),
    }
    let title = format!(
        "mjml: {} octets of MJML, {} of HTML, median of {REPEATS}",
        number(digest.len() as f64),
        number(html as f64)
    );
    measure::print(&title, "ms", &rows);
}

/// The HTML of a document, by us.
fn front(digest: &str) -> String {
    let rendering = compile(
        "digest.mjml",
        digest,
        &BTreeMap::<String, String>::new(),
        &Options::default(),
    );
    rendering.html.expect("the digest is valid")
}

/// A digest of so many items, each with a picture, a text, a button and a rule.
fn digest(count: usize) -> String {
    let mut items = String::new();
    for number in 1..=count {
        let text =
            "Further than its <i>size</i> suggests &mdash; and <b>cheaper</b> too. ".repeat(8);
        write!(
            items,
            "<mj-section background-color=\"#ffffff\" padding=\"8px 0\">\n  <mj-column width=\"30%\">\n    \
             <mj-image src=\"https://x.example/{number}.png\" alt=\"Figure {number}\" width=\"160px\" />\n  \
             </mj-column>\n  <mj-column width=\"70%\">\n    <mj-text font-size=\"20px\">{number}. A headline\
             </mj-text>\n    <mj-text line-height=\"1.5\">{text}</mj-text>\n    \
             <mj-button href=\"https://x.example/?a={number}&b=2\">Read on</mj-button>\n    \
             <mj-divider border-width=\"1px\" />\n  </mj-column>\n</mj-section>\n"
        )
        .expect("a string grows");
    }
    format!(
        "<mjml>\n<mj-head><mj-title>A digest</mj-title><mj-attributes><mj-all font-family=\"Arial\" />\
         </mj-attributes></mj-head>\n<mj-body width=\"600px\">\n{items}</mj-body>\n</mjml>\n"
    )
}

/// Median milliseconds of npm's mjml in a process that has compiled the document before.
fn npm(document: &str) -> Result<f64, String> {
    const SCRIPT: &str = "const load = require('mjml'); const mjml = load.default || load;\
        const text = require('fs').readFileSync(0, 'utf8');\
        (async () => { const times = []; for (let i = 0; i < 60; i++) {\
        const from = process.hrtime.bigint(); await mjml(text, { validationLevel: 'strict' });\
        times.push(Number(process.hrtime.bigint() - from) / 1e6); }\
        const warm = times.slice(20).sort((a, b) => a - b); console.log(warm[20]); })();";
    let folder = std::env::var("PRESSRUN_BENCH_MJML");
    let folder = folder.map_err(|_| "`PRESSRUN_BENCH_MJML` names no folder")?;
    let child = Command::new("node")
        .args(["-e", SCRIPT])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("`node` does not start: {error}"))?;
    let mut pipe = child.stdin.take().expect("a pipe");
    let given = pipe.write_all(document.as_bytes());
    drop(pipe);
    let output = child.wait_with_output();
    let output = output.map_err(|error| format!("`node` does not end: {error}"))?;
    given.map_err(|error| format!("`node` reads nothing: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let time = said.trim().parse();
    time.map_err(|_| "it compiles nothing; is `node_modules/mjml` there?".into())
}

fn build(config: &Config, emails: &Path, paragraphs: usize) -> Compiled {
    let issue = emails.join("issues/long");
    fs::create_dir_all(&issue).expect("the issue's folder");
    fs::write(issue.join("issue.md"), letter::markdown(paragraphs)).expect("the issue");
    let built = publication::compile_issue(config, emails, "long", &Titles::default());
    built.expect("it compiles").compiled
}

/// A document that renders to about `octets` of HTML: one section, a text after the other.
fn mjml(octets: usize) -> String {
    let mut texts = String::new();
    loop {
        let paragraph = "Further than its size suggests, and <b>cheaper</b> too. ".repeat(6);
        write!(texts, "<mj-text>{paragraph}</mj-text>").expect("a string grows");
        let document = format!(
            "<mjml><mj-body><mj-section><mj-column>{texts}</mj-column></mj-section></mj-body></mjml>"
        );
        if mrml(&document).len() >= octets {
            return document;
        }
    }
}

fn mrml(document: &str) -> String {
    let parsed = mrml::parse(document).expect("MJML");
    let options = mrml::prelude::render::RenderOptions::default();
    parsed.element.render(&options).expect("HTML")
}

/// Median milliseconds of `work`.
fn time(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let from = Instant::now();
            work();
            from.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    median(&mut times)
}
