//! How mail programs show a message: the preview's looks, worked out on the HTML itself.
//!
//! Promises: pure functions of an HTML text; any text is taken, however broken, and none makes them
//! panic. What a browser does anyway is left to it; what no browser does (Word's tables, Gmail's cut,
//! inverted colours) is imitated, and each imitation says in its module how far it goes.

pub mod clip;
mod css;
pub mod inbox;
mod markup;
mod outlook;
mod plain;
mod scheme;
#[cfg(test)]
mod tests;
pub mod text;

use crate::compile::HTML_LIMIT;

/// The colours in which a message is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// As a reader with a light screen sees it.
    #[default]
    Light,
    /// As a program that knows `prefers-color-scheme` shows it on a dark screen.
    Dark,
    /// As a program that turns every colour round shows it, whatever the message says.
    Inverted,
}

/// The program that shows a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Client {
    /// One that follows the standards.
    #[default]
    Standard,
    /// One that takes every `<style>` away, as Gmail does for foreign accounts and broken style sheets.
    NoStyle,
    /// Gmail with a message that is too long.
    Clipped,
    /// Outlook on Windows, which draws with Word.
    Outlook,
}

/// Which images are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Images {
    /// Those of the issue; other hosts are not asked.
    #[default]
    Own,
    /// Those of other hosts too.
    All,
    /// None: alternative texts stand in their place.
    Off,
}

/// One way of looking at a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appearance {
    pub scheme: Scheme,
    pub client: Client,
    pub images: Images,
}

/// The HTML of a message, changed so that a browser shows it as `appearance` says.
pub fn dress(html: &str, appearance: Appearance) -> String {
    let mut html = match appearance.client {
        Client::Standard => html.to_owned(),
        Client::NoStyle => plain::without_styles(html),
        Client::Clipped => clip::cut(html, HTML_LIMIT),
        Client::Outlook => outlook::through_word(html),
    };
    if appearance.images == Images::Off {
        html = plain::without_images(&html);
    }
    match appearance.scheme {
        Scheme::Light => scheme::settle(&html, false),
        Scheme::Dark => scheme::settle(&html, true),
        Scheme::Inverted => scheme::invert(&html),
    }
}

/// Replaces the address `from` at the start of an image's or background's address by `to`: images of the
/// public site are shown from memory before the site has them.
pub fn images_from(html: &str, from: &str, to: &str) -> String {
    plain::images_from(html, from, to)
}

/// Puts `style` at the end of the head (or in front, without one).
pub fn with_style(html: &str, style: &str) -> String {
    markup::with_head(html, &format!("<style>{style}</style>"))
}

/// Each image of a message by its address, with its alternative text if it has any; pixels that count
/// opens are none.
pub fn images_in(html: &str) -> Vec<(String, Option<String>)> {
    markup::images_in(html)
}
