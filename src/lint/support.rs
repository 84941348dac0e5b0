//! CSS and HTML that mail programs do not support.
//!
//! Promises: only what the author or the theme wrote is looked at, never what MJML makes of it; one
//! finding for each feature, with the families of mail programs that lack it. The table is our own
//! reading of the facts that caniemail.com publishes (its data of 9 September 2025): a family is named
//! when none of its programs supports the feature in its newest version. Left out is what does no harm
//! where it is missing (rounded corners, shadows, hover, dark colours, animations).

use crate::diagnostic::Source;
use crate::issue::block::Block;
use crate::lint::place::lines;
use crate::lint::{Desk, lines_named};

const GMAIL: u8 = 1;
const WORD: u8 = 2;
const OUTLOOK: u8 = 4;
const YAHOO: u8 = 8;
const APPLE: u8 = 16;
const SAMSUNG: u8 = 32;
const THUNDERBIRD: u8 = 64;
const OTHERS: u8 = 128;

const FAMILIES: [(u8, &str); 8] = [
    (GMAIL, "Gmail"),
    (WORD, "Outlook for Windows"),
    (OUTLOOK, "Outlook on the web, Mac and phones"),
    (YAHOO, "Yahoo and AOL"),
    (APPLE, "Apple Mail"),
    (SAMSUNG, "Samsung Email"),
    (THUNDERBIRD, "Thunderbird"),
    (OTHERS, "Proton, Fastmail or HEY"),
];

/// How a feature is recognised in CSS.
enum Css {
    /// A property of this name, or of a longer one that begins with it and a hyphen.
    Property(&'static str),
    /// A property with this word in its value.
    Value(&'static str, &'static str),
    /// A text within a value or a selector.
    Text(&'static str),
}

/// What is written, who lacks it, and what readers see there.
struct Feature<W> {
    written: W,
    lacking: u8,
    seen: &'static str,
}

const fn css(written: Css, lacking: u8, seen: &'static str) -> Feature<Css> {
    Feature {
        written,
        lacking,
        seen,
    }
}

const fn html(written: &'static str, lacking: u8, seen: &'static str) -> Feature<&'static str> {
    Feature {
        written,
        lacking,
        seen,
    }
}

const STACKED: &str = "what should stand side by side stands below each other";
const NOWHERE: &str = "what was moved stays where it was";
const IGNORED: &str = "the whole declaration is ignored";
const FLAT: &str = "nothing is drawn there; give a plain colour as well";

const CSS: &[Feature<Css>] = &[
    css(Css::Value("display", "flex"), WORD, STACKED),
    css(Css::Value("display", "grid"), WORD | YAHOO, STACKED),
    css(
        Css::Property("flex-direction"),
        GMAIL | WORD | YAHOO,
        STACKED,
    ),
    css(Css::Property("flex-wrap"), GMAIL | WORD | YAHOO, STACKED),
    css(
        Css::Property("justify-content"),
        GMAIL | WORD | YAHOO,
        STACKED,
    ),
    css(Css::Property("align-items"), GMAIL | WORD | YAHOO, STACKED),
    css(
        Css::Property("grid-template"),
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        STACKED,
    ),
    css(
        Css::Property("gap"),
        WORD | YAHOO,
        "the parts touch each other",
    ),
    css(
        Css::Property("column-count"),
        WORD | YAHOO,
        "the text runs in one column",
    ),
    css(Css::Property("float"), WORD, STACKED),
    css(Css::Property("position"), GMAIL | WORD, NOWHERE),
    css(
        Css::Property("inset"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        NOWHERE,
    ),
    css(Css::Property("z-index"), GMAIL | WORD, NOWHERE),
    css(
        Css::Property("transform"),
        GMAIL | WORD | OUTLOOK | YAHOO,
        NOWHERE,
    ),
    css(
        Css::Property("clip-path"),
        GMAIL | WORD | OUTLOOK | YAHOO,
        "nothing is cut",
    ),
    css(
        Css::Property("mask-image"),
        GMAIL | WORD | YAHOO,
        "nothing is cut",
    ),
    css(
        Css::Property("object-fit"),
        WORD | YAHOO,
        "the image is stretched",
    ),
    css(
        Css::Property("aspect-ratio"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG | THUNDERBIRD | OTHERS,
        "the image is stretched",
    ),
    css(
        Css::Property("filter"),
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "the image is shown as it is",
    ),
    css(
        Css::Property("mix-blend-mode"),
        WORD | YAHOO | OTHERS,
        "the image is shown as it is",
    ),
    css(Css::Property("background-image"), WORD, FLAT),
    css(
        Css::Property("border-image"),
        GMAIL | WORD | OUTLOOK | YAHOO,
        "there is no border",
    ),
    css(Css::Text("linear-gradient("), WORD | OUTLOOK | YAHOO, FLAT),
    css(Css::Text("radial-gradient("), WORD | OUTLOOK | YAHOO, FLAT),
    css(
        Css::Text("conic-gradient("),
        GMAIL | WORD | OUTLOOK | YAHOO,
        FLAT,
    ),
    css(Css::Property("opacity"), WORD, "it is shown in full"),
    css(
        Css::Property("visibility"),
        GMAIL | WORD,
        "what was hidden is shown",
    ),
    css(
        Css::Property("writing-mode"),
        WORD | YAHOO | OTHERS,
        "the text runs from left to right",
    ),
    css(
        Css::Text("var(--"),
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        IGNORED,
    ),
    css(Css::Text("calc("), WORD | OUTLOOK | YAHOO, IGNORED),
    css(
        Css::Text("clamp("),
        WORD | OUTLOOK | YAHOO | SAMSUNG | OTHERS,
        IGNORED,
    ),
    css(Css::Text("light-dark("), GMAIL | WORD, IGNORED),
    css(
        Css::Text("oklch("),
        GMAIL | WORD | YAHOO | SAMSUNG | THUNDERBIRD,
        IGNORED,
    ),
    css(
        Css::Text("color-mix("),
        GMAIL | WORD | YAHOO | SAMSUNG | THUNDERBIRD,
        IGNORED,
    ),
    css(
        Css::Text("@import"),
        GMAIL | YAHOO | SAMSUNG | THUNDERBIRD | OTHERS,
        "the other file is not read",
    ),
    css(
        Css::Text("@supports"),
        GMAIL | WORD | OUTLOOK | THUNDERBIRD | OTHERS,
        "the whole block is ignored",
    ),
    css(
        Css::Text(":has("),
        GMAIL | WORD | OUTLOOK | YAHOO | THUNDERBIRD,
        "the whole rule is ignored",
    ),
    css(
        Css::Text(":not("),
        GMAIL | WORD | OUTLOOK | YAHOO,
        "the whole rule is ignored",
    ),
    css(
        Css::Text(":nth-child("),
        GMAIL | WORD | OUTLOOK | YAHOO,
        "the whole rule is ignored",
    ),
    css(
        Css::Text("::before"),
        GMAIL | WORD | YAHOO,
        "what it adds is missing",
    ),
    css(
        Css::Text("::after"),
        GMAIL | WORD | YAHOO,
        "what it adds is missing",
    ),
    css(
        Css::Property("margin-inline"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        IGNORED,
    ),
    css(
        Css::Property("padding-inline"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        IGNORED,
    ),
    css(
        Css::Property("margin-block"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        IGNORED,
    ),
    css(
        Css::Property("padding-block"),
        GMAIL | WORD | OUTLOOK | YAHOO | SAMSUNG,
        IGNORED,
    ),
    css(
        Css::Property("inline-size"),
        GMAIL | WORD | OUTLOOK | YAHOO | APPLE | OTHERS,
        IGNORED,
    ),
];

const HTML: &[Feature<&str>] = &[
    html(
        "audio",
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "there is no player; link to it",
    ),
    html(
        "video",
        GMAIL | WORD | YAHOO | OTHERS,
        "there is no player; link an image of it",
    ),
    html(
        "picture",
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "only its `<img>` is shown",
    ),
    html(
        "svg",
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "nothing is drawn; use a PNG",
    ),
    html(
        "canvas",
        GMAIL | WORD | OUTLOOK | YAHOO | OTHERS,
        "nothing is drawn; use a PNG",
    ),
    html(
        "dialog",
        WORD | OUTLOOK | YAHOO | OTHERS,
        "it stands among the text",
    ),
    html(
        "details",
        GMAIL | WORD | OUTLOOK | YAHOO,
        "it is always open",
    ),
    html("marquee", GMAIL | WORD | OTHERS, "it stands still"),
    html(
        "progress",
        WORD | OUTLOOK | YAHOO | OTHERS,
        "there is no bar",
    ),
    html("meter", WORD | YAHOO | OTHERS, "there is no bar"),
    html(
        "input",
        WORD | OTHERS,
        "there is nothing to fill in; link to a page",
    ),
    html(
        "select",
        WORD | OTHERS,
        "there is nothing to choose; link to a page",
    ),
    html(
        "textarea",
        WORD | SAMSUNG | OTHERS,
        "there is nothing to fill in; link to a page",
    ),
    html("button", WORD | OTHERS, "there is no button; use a link"),
    html(
        "link",
        GMAIL | YAHOO | SAMSUNG | THUNDERBIRD | OTHERS,
        "the style sheet is not read",
    ),
];

/// A stretch of a file that is looked at.
struct Stretch {
    file: String,
    text: String,
    start: usize,
    end: usize,
}

pub(super) fn check(desk: &mut Desk<'_>) {
    let (styles, markup) = stretches(desk);
    for feature in CSS {
        let places = places(&styles, |text| css_places(text, &feature.written));
        let name = match feature.written {
            Css::Property(name) => format!("`{name}`"),
            Css::Value(name, value) => format!("`{name}: {value}`"),
            Css::Text(text) => format!("`{}`", text.trim_end_matches(['(', '-'])),
        };
        tell(
            desk,
            "mail-css",
            &styles,
            &places,
            &name,
            feature.lacking,
            feature.seen,
        );
    }
    for feature in HTML {
        let places = places(&markup, |text| tags(text, feature.written));
        let name = format!("`<{}>`", feature.written);
        tell(
            desk,
            "mail-html",
            &markup,
            &places,
            &name,
            feature.lacking,
            feature.seen,
        );
    }
}

/// Style and markup as the theme and the author wrote them.
fn stretches(desk: &Desk<'_>) -> (Vec<Stretch>, Vec<Stretch>) {
    let (theme, issue) = (desk.inputs.theme, desk.inputs.issue);
    let (mut styles, mut markup) = (Vec::new(), Vec::new());
    for (path, text) in &theme.files {
        let file = format!("themes/{}/{path}", theme.name);
        let stretch = |(start, end)| Stretch {
            file: file.clone(),
            text: text.clone(),
            start,
            end,
        };
        if path.ends_with(".mjml") {
            styles.extend(styled(text, 0, text.len()).into_iter().map(stretch));
            markup.push(stretch((0, text.len())));
        } else if path == "theme.toml" {
            styles.extend(look(text).map(stretch));
        }
    }
    let items = issue.items.iter().flat_map(|item| &item.blocks);
    for block in issue.intro.iter().chain(items).chain(&issue.outro) {
        let Block::Mjml { offset, .. } = block else {
            continue;
        };
        let rest = &issue.text[*offset..];
        let end = rest
            .find("\n:::")
            .map_or(issue.text.len(), |end| offset + end);
        let stretch = |(start, end)| Stretch {
            file: issue.file.clone(),
            text: issue.text.clone(),
            start,
            end,
        };
        styles.extend(styled(&issue.text, *offset, end).into_iter().map(stretch));
        markup.push(stretch((*offset, end)));
    }
    (styles, markup)
}

/// The insides of `style` attributes and of style elements between two offsets.
fn styled(text: &str, from: usize, to: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (opening, closing) in [
        ("style=\"", "\""),
        ("style='", "'"),
        ("<mj-style", "</mj-style>"),
        ("<style", "</style>"),
    ] {
        let mut at = from;
        while let Some(start) = text[at..to].find(opening).map(|found| at + found) {
            let start = start + opening.len();
            let end = text[start..to].find(closing).map_or(to, |end| start + end);
            found.push((start, end));
            at = end;
        }
    }
    found.sort_unstable();
    found
}

/// The `[style]` table of `theme.toml`, line by line.
fn look(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut within = false;
    lines(text).filter_map(move |(at, line)| {
        if line.starts_with('[') {
            within = line.trim_end() == "[style]";
        }
        let value = line
            .find('=')
            .filter(|_| within && !line.starts_with('#'))?;
        Some((at + value + 1, at + line.len()))
    })
}

fn css_places(text: &str, feature: &Css) -> Vec<usize> {
    match feature {
        Css::Text(wanted) => occurrences(text, wanted).collect(),
        Css::Property(name) => properties(text, name).map(|(at, _)| at).collect(),
        Css::Value(name, wanted) => properties(text, name)
            .filter(|(_, value)| {
                let value = value.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
                let mut words = value.map(|word| word.trim_start_matches("inline-"));
                words.any(|word| word == *wanted)
            })
            .map(|(at, _)| at)
            .collect(),
    }
}

/// Declarations of a property, with their values. A longer name counts only where it goes on with a
/// hyphen, such as `margin-inline-start` for `margin-inline`.
fn properties<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    occurrences(text, name).filter_map(move |at| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| !(c.is_whitespace() || "{;\"'}".contains(c))) {
            return None;
        }
        let rest = &text[at + name.len()..];
        let more = rest.len()
            - rest
                .trim_start_matches(|c: char| c == '-' || c.is_ascii_lowercase())
                .len();
        let (tail, rest) = rest.split_at(more);
        // Families whose longer names are other features.
        let family = tail.starts_with('-')
            && [
                "margin-inline",
                "padding-inline",
                "margin-block",
                "padding-block",
                "grid-template",
                "inset",
            ]
            .contains(&name);
        let value = rest.trim_start().strip_prefix(':')?;
        let end = value.find([';', '}', '"']).unwrap_or(value.len());
        (tail.is_empty() || family).then_some((at, &value[..end]))
    })
}

fn occurrences<'a>(text: &'a str, wanted: &'a str) -> impl Iterator<Item = usize> {
    text.match_indices(wanted).map(|(at, _)| at)
}

fn tags(text: &str, name: &str) -> Vec<usize> {
    let opening = format!("<{name}");
    let ends = |at: &usize| {
        let after = text[at + opening.len()..].chars().next();
        after.is_none_or(|c| c.is_whitespace() || matches!(c, '>' | '/'))
    };
    let found: Vec<usize> = occurrences(text, &opening).filter(ends).collect();
    found
}

/// Places by stretch: its index and the offset in its file.
fn places(stretches: &[Stretch], find: impl Fn(&str) -> Vec<usize>) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (index, stretch) in stretches.iter().enumerate() {
        let lower = stretch.text[stretch.start..stretch.end].to_ascii_lowercase();
        all.extend(
            find(&lower)
                .into_iter()
                .map(|at| (index, stretch.start + at)),
        );
    }
    all
}

fn tell(
    desk: &mut Desk<'_>,
    code: &'static str,
    stretches: &[Stretch],
    places: &[(usize, usize)],
    name: &str,
    lacking: u8,
    seen: &str,
) {
    let Some((first, offset)) = places.first().copied() else {
        return;
    };
    let stretch = &stretches[first];
    let source = Source {
        file: &stretch.file,
        text: &stretch.text,
    };
    let here = places
        .iter()
        .filter(|(index, _)| stretches[*index].file == stretch.file);
    let mut lines: Vec<usize> = here.map(|(_, at)| source.place(*at).0).collect();
    lines.dedup();
    let again = match lines.as_slice() {
        [_, rest @ ..] if !rest.is_empty() => format!("; also on {}", lines_named(rest)),
        _ => String::new(),
    };
    let families = FAMILIES.iter().filter(|(bit, _)| lacking & bit != 0);
    let families: Vec<&str> = families.map(|(_, name)| *name).collect();
    let message = format!("{name} is not supported by {}{again}", families.join(", "));
    let length = name.len().saturating_sub(2);
    desk.say_in(
        source,
        code,
        (offset, length),
        message,
        &format!("there, {seen}"),
    );
}

#[cfg(test)]
mod tests {
    use super::{Css, css_places, styled, tags};

    #[test]
    fn a_property_is_told_from_its_neighbours() {
        for (text, name, count) in [
            ("position:relative", "position", 1),
            (
                "background-position:top;list-style-position:inside",
                "position",
                0,
            ),
            ("a{float : left}", "float", 1),
            ("margin-inline-start:1px", "margin-inline", 1),
            ("background-image:none", "background-image", 1),
            (".filter{color:red}", "filter", 0),
            ("color:red;opacity:.5", "opacity", 1),
        ] {
            let found = css_places(text, &Css::Property(name));
            assert_eq!(found.len(), count, "{text}");
        }
        assert_eq!(
            css_places("display:inline-flex", &Css::Value("display", "flex")).len(),
            1
        );
        assert_eq!(
            css_places("display:block;a:flex", &Css::Value("display", "flex")).len(),
            0
        );
    }

    #[test]
    fn only_what_was_written_as_style_is_style() {
        let text = "<p style=\"a:b\">float:left</p><mj-style inline=\"inline\">c{d:e}</mj-style>";
        let found: Vec<&str> = styled(text, 0, text.len())
            .into_iter()
            .map(|(s, e)| &text[s..e])
            .collect();
        assert_eq!(found, ["a:b", " inline=\"inline\">c{d:e}"]);
        assert_eq!(tags("<video src> <videos> <mj-video>", "video"), [0]);
    }
}
