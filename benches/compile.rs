//! Compiling an issue, beside mrml alone on a document that comes out as large.
//!
//! The compile is all that `check` and `send` do: read the folder and the theme, parse the Markdown, fill
//! the theme, render the MJML, split the HTML at its slots, build the link table and the text part, and
//! look for faults. The reference parses and renders MJML that stands ready in memory.

mod letter;
mod measure;

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use measure::{Reference, Row, median, number};
use pressrun::compile::Compiled;
use pressrun::config::Config;
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
        let built = publication::compile_issue(&config, &emails, issue);
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
    measure::print_disk(folder.path());
}

fn build(config: &Config, emails: &Path, paragraphs: usize) -> Compiled {
    let issue = emails.join("issues/long");
    fs::create_dir_all(&issue).expect("the issue's folder");
    fs::write(issue.join("issue.md"), letter::markdown(paragraphs)).expect("the issue");
    let built = publication::compile_issue(config, emails, "long");
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
