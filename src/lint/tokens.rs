//! Contrast of a theme's colours.

use crate::diagnostic::Source;
use crate::lint::Desk;
use crate::lint::contrast::{Colour, TEXT, ratio};
use crate::lint::place::lines;

pub(super) fn check(desk: &mut Desk<'_>) {
    styles(desk);
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
            let mut entries = lines(text).filter(|(_, line)| line.starts_with(&format!("{name} ")));
            let (at, line) = entries.next().unwrap_or_default();
            let message = format!(
                "`{name}`: {ink_text} on {ground_text} has a contrast of {found:.1}; text needs {TEXT}"
            );
            let help = "make the text darker or its ground lighter (WCAG 2.2, 1.4.3)";
            desk.say_in(source, "contrast", (at, line.len()), message, help);
        }
    }
}
