//! Contrast of a theme's colours, in the light scheme and in the dark one.
//!
//! Promises: a finding stands at its line of `theme.toml`; a theme without tokens, or with some of them only,
//! is judged by what there is.

use crate::compile::theme::Theme;
use crate::compile::theme::inspect::{Illegible, illegible, shown};
use crate::diagnostic::Source;
use crate::lint::Desk;
use crate::lint::contrast::{Colour, TEXT, ratio};
use crate::lint::place::lines;

pub(super) fn check(desk: &mut Desk<'_>) {
    if let Some(theme) = desk.inputs.theme {
        schemes(desk, theme);
        styles(desk, theme);
    }
}

/// The tokens of `[colors.light]` and `[colors.dark]`.
fn schemes(desk: &mut Desk<'_>, theme: &Theme) {
    let Some(text) = theme.files.get("theme.toml") else {
        return;
    };
    let file = format!("themes/{}/theme.toml", theme.name);
    let source = Source { file: &file, text };
    for Illegible { offset, message } in illegible(theme) {
        let length = text[offset..].lines().next().map_or(0, str::len);
        let help = "move one of them away from the other (WCAG 2.2, 1.4.3)";
        desk.say_in(source, "contrast", (offset, length), message, help);
    }
}

/// Text and ground that one entry of `[style]` sets together.
fn styles(desk: &mut Desk<'_>, theme: &Theme) {
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
            let message = format!(
                "`{name}`: {ink_text} on {ground_text} has a contrast of {}; text needs {TEXT}",
                shown(found)
            );
            let help = "make the text darker or its ground lighter (WCAG 2.2, 1.4.3)";
            desk.say_in(source, "contrast", (at, line.len()), message, help);
        }
    }
}
