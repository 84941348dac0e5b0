//! A theme, looked over: is everything legible in both schemes, and does one change of a token suffice?
//!
//! Promises: what is told is told at its line. Leaves compiling the specimen to `publication`.

use std::ops::Range;

use serde::Serialize;

use crate::compile::theme::Theme;
use crate::compile::theme::literal::colours;
use crate::compile::theme::tokens::{Colours, PAIRS};
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::lint::contrast::{Colour, TEXT, ratio};

/// How well one token reads on another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contrast {
    /// The token of the words.
    pub words: &'static str,
    /// The token of what they stand on.
    pub ground: &'static str,
    /// WCAG 2.2's ratios, from 1 to 21.
    pub light: f64,
    pub dark: f64,
}

/// Every pair of tokens of which a reader sees one on the other.
pub fn contrasts(theme: &Theme) -> Vec<Contrast> {
    let tokens = &theme.look.tokens;
    let of = |colours: &Colours, words: &str, ground: &str| {
        Some(ratio(colours.get(words)?.value, colours.get(ground)?.value))
    };
    let pair = |(words, ground): (&'static str, &'static str)| {
        Some(Contrast {
            words,
            ground,
            light: of(&tokens.light, words, ground)?,
            dark: of(&tokens.dark, words, ground)?,
        })
    };
    PAIRS.into_iter().filter_map(pair).collect()
}

/// What is wrong with the theme's colours, and what makes it hard to change.
pub fn inspect(theme: &Theme) -> Vec<Diagnostic> {
    let (file, text) = toml(theme);
    let source = Source { file: &file, text };
    let illegible = illegible(theme).into_iter();
    let illegible = illegible.map(|pair| source.error(pair.offset, "contrast", pair.message));
    let mut found: Vec<Diagnostic> = illegible.collect();
    found.extend(literals(theme));
    found.extend(unused_files(theme));
    found.extend(unused_colours(theme));
    found
}

/// The file of the tokens and how it is called.
fn toml(theme: &Theme) -> (String, &str) {
    let text = theme.files.get("theme.toml").map_or("", String::as_str);
    (format!("themes/{}/theme.toml", theme.name), text)
}

/// Words that do not stand out from their ground in one of the schemes (WCAG 2.2, 1.4.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Illegible {
    /// Where the colour of the words stands in `theme.toml`.
    pub offset: usize,
    pub message: String,
}

/// Every pair of tokens that is hard to read. A theme that has some of them only is judged by what there is.
pub fn illegible(theme: &Theme) -> Vec<Illegible> {
    let tokens = &theme.look.tokens;
    let mut found = Vec::new();
    for (scheme, colours) in [("light", &tokens.light), ("dark", &tokens.dark)] {
        for (words, ground) in PAIRS {
            let (Some(ink), Some(below)) = (colours.get(words), colours.get(ground)) else {
                continue;
            };
            let ratio = ratio(ink.value, below.value);
            if ratio < TEXT {
                let message = format!(
                    "`{words}` on `{ground}` has a contrast of {} in the {scheme} scheme; text needs {TEXT}",
                    shown(ratio)
                );
                let offset = ink.offset;
                found.push(Illegible { offset, message });
            }
        }
    }
    found
}

/// A ratio with one digit after the point, never rounded up to what it does not reach.
pub fn shown(ratio: f64) -> String {
    format!("{:.1}", (ratio * 10.0).floor() / 10.0)
}

/// Colours that a change of the tokens would not reach.
fn literals(theme: &Theme) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (path, text) in theme.templates() {
        let file = format!("themes/{}/{path}", theme.name);
        let source = Source { file: &file, text };
        for at in colours(text) {
            let written = &text[at.clone()];
            let message = format!("`{written}` is written into the theme, so no token changes it");
            let named = Colour::parse(written).and_then(|colour| theme.look.tokens.named(colour));
            let help = match named {
                Some(name) => format!("that colour is `{{{{ {name} }}}}`"),
                None => "name a colour of `theme.toml`, such as `{{ colors.accent }}`".into(),
            };
            let (start, length) = (at.start, at.len());
            let finding = source.at(Severity::Warning, start, length, "literal-colour", message);
            found.push(finding.help(help));
        }
    }
    // The values of `[colors]` are what they are; a style is not.
    let (file, text) = toml(theme);
    let source = Source { file: &file, text };
    let styles = section(text, "style");
    for at in colours(&text[styles.clone()]) {
        let start = styles.start + at.start;
        let written = &text[start..styles.start + at.end];
        let message = format!("`{written}` is written into a style, so no token changes it");
        found.push(source.at(
            Severity::Warning,
            start,
            at.len(),
            "literal-colour",
            message,
        ));
    }
    found
}

/// A section of a TOML file, up to the next one.
fn section(text: &str, name: &str) -> Range<usize> {
    let Some(start) = text.find(&format!("\n[{name}]")) else {
        return 0..0;
    };
    let end = text[start + 2..].find("\n[");
    start..end.map_or(text.len(), |end| start + 2 + end)
}

/// Files of components that no other file names.
fn unused_files(theme: &Theme) -> Vec<Diagnostic> {
    let unnamed = |path: &str| {
        let (double, single) = (format!("\"{path}\""), format!("'{path}'"));
        let mut others = theme.templates().filter(|(other, _)| *other != path);
        path != "layout.mjml"
            && !others.any(|(_, text)| text.contains(&double) || text.contains(&single))
    };
    let paths = theme.templates().map(|(path, _)| path);
    let unused = paths.filter(|path| unnamed(path)).map(|path| {
        let file = format!("themes/{}/{path}", theme.name);
        Diagnostic::about(
            Severity::Warning,
            "unused",
            &file,
            "no file of the theme uses this one",
        )
    });
    unused.collect()
}

/// Colours that are set and change nothing.
fn unused_colours(theme: &Theme) -> Vec<Diagnostic> {
    let (file, text) = toml(theme);
    let source = Source { file: &file, text };
    let style = &text[section(text, "style")];
    let texts: Vec<&str> = theme
        .templates()
        .map(|(_, text)| text)
        .chain([style])
        .collect();
    let names = |path: &str| {
        let mut found = texts.iter().flat_map(|text| {
            text.match_indices(path)
                .map(|(at, _)| &text[at + path.len()..])
        });
        found.any(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let tokens = &theme.look.tokens;
    let mut found = Vec::new();
    for (colours, prefix) in [(&tokens.light, "colors."), (&tokens.dark, "colors.dark.")] {
        for (name, placed) in colours {
            let path = format!("{prefix}{name}");
            if !names(&path) {
                let message = format!("`{path}` is used nowhere in the theme");
                found.push(source.warning(placed.offset, "unused", message));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "a = 1\n[style]\np = 2\n[words]\nb = 3\n";
        assert_eq!(&text[section(text, "style")], "\n[style]\np = 2");
        assert_eq!(&text[section(text, "words")], "\n[words]\nb = 3\n");
        assert_eq!(&text[section(text, "none")], "");
    }
}
