//! Light, dark, and colours turned round.
//!
//! Dark is what the message's own style sheets say under `prefers-color-scheme: dark`; a message that
//! says nothing stays as it is, as in Apple Mail. Turned round is what Outlook on phones and Gmail on
//! iOS do: each colour of text, ground and line gets the opposite lightness, images stay, and the
//! message's own dark colours are not asked.

use crate::appearance::css::{Colour, colours, declarations};
use crate::appearance::markup::{Tag, find_ignoring_case, rewrite, with_head};

/// Media features that hold always and never, in the place of `prefers-color-scheme`.
const ALWAYS: &str = "(min-width:0px)";
const NEVER: &str = "(max-width:0px)";

/// Answers the message's questions for the reader's scheme, so that the browser's own does not matter.
pub(super) fn settle(html: &str, dark: bool) -> String {
    let knows = find_ignoring_case(html, "color-scheme").is_some();
    let supports = knows && declares_dark(html);
    let html = answered(html, dark);
    let scheme = if dark && supports { "dark" } else { "light" };
    with_head(
        &html,
        &format!("<style>:root{{color-scheme:{scheme}!important}}</style>"),
    )
}

/// Turns every colour round.
pub(super) fn invert(html: &str) -> String {
    let html = answered(html, false);
    let html = rewrite(&html, invert_tag, invert_css);
    let ground = "<style>:root{color-scheme:dark!important}html{background:#171717;color:#fff}\
                  a{color:#9ab8ff}</style>";
    // In front of the message's own rules, so that those win.
    match find_ignoring_case(&html, "<head>") {
        Some(at) => format!("{}{ground}{}", &html[..at + 6], &html[at + 6..]),
        None => format!("{ground}{html}"),
    }
}

/// Whether a `color-scheme`, in a meta or in a style sheet, holds `dark`.
fn declares_dark(html: &str) -> bool {
    let mut declared = false;
    let mut look = |property: &str, value: &str| {
        declared |= property.ends_with("color-scheme") && value.contains("dark");
        Some(value.to_owned())
    };
    let mut meta = false;
    rewrite(
        html,
        |tag| {
            let named = tag
                .get("name")
                .is_some_and(|name| name.ends_with("color-scheme"));
            let content = tag.get("content").unwrap_or_default();
            meta |= tag.name == "meta" && named && content.contains("dark");
            false
        },
        |sheet| declarations(sheet, &mut look),
    );
    declared || meta
}

/// Every `prefers-color-scheme`, in sheets and in `media` attributes, answered.
fn answered(html: &str, dark: bool) -> String {
    let media = |tag: &mut Tag| {
        let Some(media) = tag.get("media").map(|media| answer(media, dark)) else {
            return false;
        };
        tag.set("media", media);
        true
    };
    rewrite(html, media, |sheet| answer(sheet, dark))
}

/// `(prefers-color-scheme: X)` becomes a feature that holds always or never.
fn answer(text: &str, dark: bool) -> String {
    const NAME: &str = "prefers-color-scheme";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find_ignoring_case(rest, NAME) {
        let open = rest[..at].rfind('(');
        let close = rest[at..].find(')').map(|close| at + close);
        let (Some(open), Some(close)) = (open, close) else {
            out.push_str(&rest[..at + NAME.len()]);
            rest = &rest[at + NAME.len()..];
            continue;
        };
        let value = rest[at + NAME.len()..close].trim_start_matches([' ', ':']);
        let holds = match value.trim().to_ascii_lowercase().as_str() {
            "dark" => dark,
            "light" => !dark,
            // The bare feature asks whether there is a preference at all.
            _ => true,
        };
        out.push_str(&rest[..open]);
        out.push_str(if holds { ALWAYS } else { NEVER });
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    out
}

fn invert_tag(tag: &mut Tag) -> bool {
    let mut changed = false;
    for name in [
        "bgcolor",
        "color",
        "text",
        "link",
        "bordercolor",
        "fillcolor",
    ] {
        if let Some(value) = tag.get(name) {
            let value = colours(value, Colour::inverted);
            tag.set(name, value);
            changed = true;
        }
    }
    if let Some(style) = tag.get("style") {
        let style = invert_css(style);
        tag.set("style", style);
        changed = true;
    }
    changed
}

fn invert_css(css: &str) -> String {
    let starts = [
        "background",
        "border",
        "outline",
        "text-decoration",
        "color",
    ];
    declarations(css, &mut |property, value| {
        let coloured = starts.iter().any(|start| property.starts_with(start));
        Some(match coloured && property != "color-scheme" {
            true => colours(value, Colour::inverted),
            false => value.to_owned(),
        })
    })
}
