//! CSS and HTML that mail programs do not support.
//!
//! Promises: only what the author or the theme wrote is looked at, never what MJML makes of it; one
//! finding for each feature, with the families of mail programs that lack it. Leaves the facts to
//! `table`.

use crate::compile::theme::Theme;
use crate::diagnostic::Source;
use crate::issue::Issue;
use crate::issue::block::Block;
use crate::lint::place::{body, lines};
use crate::lint::support::table::{CSS, Css, FAMILIES, HTML};
use crate::lint::{Desk, lines_named};

mod table;

/// A stretch of a file that is looked at.
struct Stretch<'a> {
    file: String,
    /// The whole file.
    text: &'a str,
    start: usize,
    /// What is looked at, in small letters.
    lower: String,
}

impl<'a> Stretch<'a> {
    fn of(file: &str, text: &'a str, (start, end): (usize, usize)) -> Stretch<'a> {
        Stretch {
            file: file.to_owned(),
            text,
            start,
            lower: text[start..end].to_ascii_lowercase(),
        }
    }
}

pub(super) fn check(desk: &mut Desk<'_>) {
    let Some(theme) = desk.inputs.theme else {
        return;
    };
    let (styles, markup) = stretches(desk.inputs.issue, theme);
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
fn stretches<'a>(issue: &'a Issue, theme: &'a Theme) -> (Vec<Stretch<'a>>, Vec<Stretch<'a>>) {
    let (mut styles, mut markup) = (Vec::new(), Vec::new());
    let own = issue.layout.is_some();
    // Where the author brings a layout, the theme's is not used.
    let files = theme.files.iter();
    for (path, text) in files.filter(|(path, _)| !own || *path != "layout.mjml") {
        let file = format!("themes/{}/{path}", theme.name);
        let stretch = |range| Stretch::of(&file, text, range);
        if path.ends_with(".mjml") {
            styles.extend(styled(text, 0, text.len()).into_iter().map(stretch));
            markup.push(stretch((0, text.len())));
        } else if path == "theme.toml" {
            styles.extend(look(text).map(stretch));
        }
    }
    let text = issue.text.as_str();
    let components = issue.blocks().into_iter().filter_map(|block| match block {
        Block::Mjml { offset, .. } => {
            let end = text[*offset..].find("\n:::");
            Some((*offset, end.map_or(text.len(), |end| offset + end)))
        }
        _ => None,
    });
    let whole = own.then(|| (body(text), text.len()));
    for range in components.chain(whole) {
        let stretch = |range| Stretch::of(&issue.file, text, range);
        styles.extend(styled(text, range.0, range.1).into_iter().map(stretch));
        markup.push(stretch(range));
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
fn places(stretches: &[Stretch<'_>], find: impl Fn(&str) -> Vec<usize>) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (index, stretch) in stretches.iter().enumerate() {
        let found = find(&stretch.lower).into_iter();
        all.extend(found.map(|at| (index, stretch.start + at)));
    }
    all
}

fn tell(
    desk: &mut Desk<'_>,
    code: &'static str,
    stretches: &[Stretch<'_>],
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
        text: stretch.text,
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
