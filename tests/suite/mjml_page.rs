//! The page of the documentation about MJML's errors: its examples give what it says they give.

use std::collections::BTreeMap;
use std::path::Path;

use pressrun::mjml::{Options, compile};

const PAGE: &str = "docs/mjml-errors.md";

/// A section of the page that has an example.
#[derive(Default)]
struct Section {
    code: String,
    severity: String,
    /// The first one is the document.
    files: Vec<(String, String)>,
    /// What the page says is told.
    said: String,
}

impl Section {
    fn told(&self) -> String {
        let (name, text) = self.files.first().expect("a section with a document");
        let files: BTreeMap<String, String> = self.files.iter().cloned().collect();
        let rendering = compile(name, text, &files, &Options::default());
        let frames = rendering
            .diagnostics
            .iter()
            .map(|told| told.framed() + "\n");
        frames.collect()
    }
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    std::fs::read_to_string(path).expect("the page")
}

/// The sections of the page, those without an example too.
fn sections(page: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut block: Option<&mut String> = None;
    for line in page.lines() {
        if let Some(text) = block.as_deref_mut().filter(|_| line != "```") {
            text.push_str(line);
            text.push('\n');
        } else if line == "```" {
            block = None;
        } else if let Some(title) = line.strip_prefix("### `") {
            let (code, rest) = title.split_once("` (").expect("a code and a severity");
            sections.push(Section {
                code: code.into(),
                severity: rest.trim_end_matches(')').into(),
                ..Section::default()
            });
            block = None;
        } else if let Some(fence) = line.strip_prefix("```") {
            let section = sections.last_mut().expect("a fence stands in a section");
            block = Some(match fence.strip_prefix("mjml ") {
                Some(name) => {
                    section.files.push((name.into(), String::new()));
                    &mut section.files.last_mut().expect("one was just added").1
                }
                None => &mut section.said,
            });
        }
    }
    sections
}

#[test]
fn each_example_gives_the_findings_that_the_page_shows() {
    let page = page();
    let mut mended = page.clone();
    for section in sections(&page)
        .iter()
        .filter(|section| !section.files.is_empty())
    {
        let told = section.told();
        let (_, last) = section.files.last().expect("a section with a document");
        let told_in = |told: &str| format!("{last}```\n\n```text\n{told}```\n");
        mended = mended.replacen(&told_in(&section.said), &told_in(&told), 1);
    }
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mjml-errors.md");
    if mended != page {
        std::fs::write(&copy, &mended).expect("a place for the mended page");
    }
    let first = mended
        .lines()
        .zip(page.lines())
        .find(|(new, old)| new != old);
    assert!(
        mended == page,
        "{PAGE} is out of date at {first:?}; look at {} and copy it",
        copy.display()
    );
}

#[test]
fn each_example_shows_the_error_that_it_is_for() {
    for section in sections(&page()) {
        let head = format!("{}[{}]", section.severity, section.code);
        let first = section.said.lines().next();
        assert!(
            section.files.is_empty() || first.is_some_and(|line| line.contains(&head)),
            "{head}: {first:?}"
        );
    }
}
