//! Contrast of a theme's colours, in the light scheme and in the dark one.
//!
//! Promises: read from `theme.toml` as it is written, so that a finding stands at its line; a theme
//! without tokens, or with some of them only, is judged by what there is.

use crate::diagnostic::Source;
use crate::lint::Desk;
use crate::lint::contrast::{Colour, TEXT, ratio};
use crate::lint::place::lines;

/// Words, and what a reader sees them on.
const PAIRS: [(&str, &str); 15] = [
    ("text", "card"),
    ("heading", "card"),
    ("muted", "card"),
    ("accent", "card"),
    ("text", "background"),
    ("muted", "background"),
    ("accent", "background"),
    ("text", "promo"),
    ("muted", "promo"),
    ("accent", "promo"),
    ("text", "code"),
    ("heading", "code"),
    ("button_text", "button"),
    ("band_text", "band"),
    ("band_muted", "band"),
];

pub(super) fn check(desk: &mut Desk<'_>) {
    schemes(desk);
    styles(desk);
}

/// The tokens of `[colors.light]` and `[colors.dark]`.
fn schemes(desk: &mut Desk<'_>) {
    let theme = desk.inputs.theme;
    let Some(text) = theme.files.get("theme.toml") else {
        return;
    };
    let file = format!("themes/{}/theme.toml", theme.name);
    let source = Source { file: &file, text };
    for scheme in ["light", "dark"] {
        let colours = section(text, &format!("[colors.{scheme}]"));
        let of = |name: &str| colours.iter().find(|colour| colour.name == name);
        for (words, ground) in PAIRS {
            let (Some(ink), Some(below)) = (of(words), of(ground)) else {
                continue;
            };
            let found = ratio(ink.value, below.value);
            if found < TEXT {
                // Never rounded up to what it does not reach.
                let shown = (found * 10.0).floor() / 10.0;
                let message = format!(
                    "`{words}` on `{ground}` has a contrast of {shown:.1} in the {scheme} scheme; text \
                     needs {TEXT}"
                );
                let help = "move one of them away from the other (WCAG 2.2, 1.4.3)";
                desk.say_in(source, "contrast", ink.at, message, help);
            }
        }
    }
}

/// A colour as a line of `theme.toml` sets it.
struct Token<'a> {
    name: &'a str,
    value: Colour,
    at: (usize, usize),
}

/// The colours that stand below a heading.
fn section<'a>(text: &'a str, heading: &str) -> Vec<Token<'a>> {
    let below = lines(text)
        .skip_while(|(_, line)| line.trim() != heading)
        .skip(1);
    let within = below.take_while(|(_, line)| !line.starts_with('['));
    let colour = |(at, line): (usize, &'a str)| {
        let (name, rest) = line.split_once('=')?;
        let value = rest.split('"').nth(1)?;
        Some(Token {
            name: name.trim(),
            value: Colour::parse(value)?,
            at: (at, name.trim_end().len()),
        })
    };
    within.filter_map(colour).collect()
}

/// Text and ground that one entry of `[style]` sets together.
fn styles(desk: &mut Desk<'_>) {
    let theme = desk.inputs.theme;
    let Some(text) = theme.files.get("theme.toml") else {
        return;
    };
    let file = format!("themes/{}/theme.toml", theme.name);
    let source = Source { file: &file, text };
    for (name, style) in &theme.look.style {
        let value = |property: &str| {
            let mut declarations = style.split(';').filter_map(|one| one.split_once(':'));
            let found = declarations.find(|(name, _)| name.trim() == property);
            found.and_then(|(_, value)| Some((value.trim(), Colour::parse(value)?)))
        };
        let ground = value("background").or_else(|| value("background-color"));
        let (Some((ink_text, ink)), Some((ground_text, ground))) = (value("color"), ground) else {
            continue;
        };
        let found = ratio(ink, ground);
        if found < TEXT {
            let below = lines(text).skip_while(|(_, line)| line.trim() != "[style]");
            let mut entries = below.filter(|(_, line)| line.starts_with(&format!("{name} ")));
            let (at, line) = entries.next().unwrap_or_default();
            let shown = (found * 10.0).floor() / 10.0;
            let message = format!(
                "`{name}`: {ink_text} on {ground_text} has a contrast of {shown:.1}; text needs {TEXT}"
            );
            let help = "make the text darker or its ground lighter (WCAG 2.2, 1.4.3)";
            desk.say_in(source, "contrast", (at, line.len()), message, help);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn the_colours_of_one_scheme_are_read_with_their_places() {
        let text = "[colors.light]\ntext = \"#000\" # ink\n\n[colors.dark]\ntext = \"#fff\"\nodd = 3\n[style]\na = \"#123\"\n";
        let of = |heading| {
            let found = section(text, heading);
            found
                .iter()
                .map(|token| (token.name, token.value.red, token.at.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("[colors.light]"), [("text", 0, 15)]);
        assert_eq!(
            of("[colors.dark]"),
            [("text", 255, text.rfind("text").unwrap_or(0))]
        );
        assert!(of("[colours]").is_empty());
    }
}
