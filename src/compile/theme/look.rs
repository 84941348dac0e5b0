//! `theme.toml`, read: tokens, the style of the text and the theme's own words.
//!
//! Promises: every unknown key, missing word and value of the wrong kind is told at its line, with what
//! was probably meant; a style that names a token which is not there is one of those errors.

use std::collections::BTreeMap;
use std::ops::Range;

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use crate::compile::theme::tokens::{
    COLOURS, Colours, KINDS, LETTER, Measure, Placed, ROLES, SPACES, Tokens,
};
use crate::diagnostic::{Diagnostic, Severity, Source, nearest};
use crate::lint::contrast::Colour;

mod said;
#[cfg(test)]
mod tests;

/// The sections of the file.
const SECTIONS: [&str; 5] = ["colors", "type", "space", "style", "words"];

/// What `[style]` may describe: the tags of Markdown's HTML, four of them once more for another place, and
/// those that an author may write.
const STYLES: [&str; 41] = [
    "a",
    "p",
    "strong",
    "em",
    "s",
    "sub",
    "sup",
    "ul",
    "ol",
    "nested-ul",
    "nested-ol",
    "li",
    "h3",
    "h4",
    "blockquote",
    "quoted-last",
    "code",
    "pre",
    "table",
    "th",
    "td",
    "hr",
    "b",
    "i",
    "u",
    "kbd",
    "small",
    "mark",
    "del",
    "ins",
    "span",
    "div",
    "h1",
    "h2",
    "h5",
    "h6",
    "dl",
    "dt",
    "dd",
    "cite",
    "img",
];

/// One word of `[words]`: its key, and where it goes.
type Word = (&'static str, fn(&mut Words) -> &mut String);

/// The key that says in which language the theme's own words are.
const LANGUAGE: &str = "language";

const WORDS: [Word; 11] = [
    ("view", |words| &mut words.view),
    ("unsubscribe", |words| &mut words.unsubscribe),
    ("preferences", |words| &mut words.preferences),
    ("share", |words| &mut words.share),
    ("authors", |words| &mut words.authors),
    ("code", |words| &mut words.code),
    ("until", |words| &mut words.until),
    ("offer", |words| &mut words.offer),
    ("notes", |words| &mut words.notes),
    ("image", |words| &mut words.image),
    ("why", |words| &mut words.why),
];

/// `theme.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub tokens: Tokens,
    /// CSS declarations for each HTML tag of the text, written into its `style` attribute.
    pub style: BTreeMap<String, String>,
    /// The same for languages written from right to left.
    pub(super) turned: BTreeMap<String, String>,
    pub words: Words,
    /// The language of these words; English where the theme does not say.
    pub(super) language: String,
    /// What the theme says in other languages, by these: each word with its key.
    pub(super) translated: BTreeMap<String, BTreeMap<&'static str, String>>,
}

/// What the theme says itself; both parts of the mail use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Words {
    /// "View in browser".
    pub view: String,
    /// "Unsubscribe".
    pub unsubscribe: String,
    /// "Preferences".
    pub preferences: String,
    /// "Share this issue".
    pub share: String,
    /// "Written by".
    pub authors: String,
    /// "Code", before a promo's code.
    pub code: String,
    /// "Until", before the day a promo ends.
    pub until: String,
    /// "Get the offer", where a promo gives no label.
    pub offer: String,
    /// "Notes", above the footnotes.
    pub notes: String,
    /// "Image", in the text part.
    pub image: String,
    /// "You get this mail because you subscribed to"; the publication's name follows.
    pub why: String,
}

impl Look {
    /// Reads the text of a `theme.toml`; all that is wrong with it else.
    pub fn read(source: Source<'_>) -> Result<Look, Vec<Diagnostic>> {
        let root = DeTable::parse(source.text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            vec![source.error(offset, "theme", error.message().to_owned())]
        })?;
        let mut reader = Reader {
            source,
            found: Vec::new(),
            bad: Vec::new(),
        };
        let root = root.get_ref();
        reader.known(root, "a section of a theme", &SECTIONS);
        let mut look = Look::default();
        if let Some(colours) = reader.section(root, "colors") {
            look.tokens.light = reader.colours(colours, "light");
            look.tokens.dark = reader.colours(colours, "dark");
            reader.known(colours, "a colour scheme", &["light", "dark"]);
            reader.twins(&look.tokens);
        }
        if let Some(kinds) = reader.section(root, "type") {
            reader.kinds(kinds, &mut look.tokens);
        }
        if let Some(spaces) = reader.section(root, "space") {
            reader.spaces(spaces, &mut look.tokens);
        }
        if let Some(words) = reader.section(root, "words") {
            reader.words(words, &mut look);
        } else if reader.found.is_empty() {
            let message = "the theme has no `[words]`";
            reader.tell(0..0, message.into(), None);
        }
        if let Some(style) = reader.section(root, "style") {
            reader.styles(style, &mut look);
        }
        match reader.found.is_empty() {
            true => Ok(look),
            false => Err(reader.found),
        }
    }
}

struct Reader<'a> {
    source: Source<'a>,
    found: Vec<Diagnostic>,
    /// Tokens whose values were told to be none.
    bad: Vec<String>,
}

impl Reader<'_> {
    fn tell(&mut self, at: Range<usize>, message: String, help: Option<String>) {
        let (start, length) = (at.start, at.len());
        let finding = self
            .source
            .at(Severity::Error, start, length, "theme", message);
        self.found.push(match help {
            Some(help) => finding.help(help),
            None => finding,
        });
    }

    /// Tells each key of `table` that is none of `known`.
    fn known(&mut self, table: &DeTable<'_>, what: &str, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let help = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are: {}", known.join(", ")),
            };
            self.tell(key.span(), format!("`{name}` is not {what}"), Some(help));
        }
    }

    fn section<'t>(&mut self, table: &'t DeTable<'t>, name: &str) -> Option<&'t DeTable<'t>> {
        let value = table.get(name)?;
        match value.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => {
                let message = format!("`{name}` is a section, written `[{name}]`");
                self.tell(value.span(), message, None);
                None
            }
        }
    }

    fn colours(&mut self, table: &DeTable<'_>, scheme: &str) -> Colours {
        let mut colours = Colours::new();
        let Some(table) = self.section(table, scheme) else {
            return colours;
        };
        let names = COLOURS.map(|(name, _)| name);
        self.known(table, "a colour of a theme", &names);
        for name in names {
            let Some(value) = table.get(name) else {
                continue;
            };
            // Outlook and old programs read `bgcolor`, which knows no other form.
            let colour = match value.get_ref() {
                DeValue::String(text) if text.starts_with('#') => Colour::parse(text),
                _ => None,
            };
            match colour {
                Some(colour) => {
                    let offset = value.span().start;
                    let value = colour;
                    colours.insert(name, Placed { value, offset });
                }
                None => {
                    self.bad.push(match scheme {
                        "light" => format!("colors.{name}"),
                        _ => format!("colors.{scheme}.{name}"),
                    });
                    let message = format!("`{name}` must be a colour");
                    let help = "write it as \"#rrggbb\" or \"#rgb\"";
                    self.tell(value.span(), message, Some(help.into()));
                }
            }
        }
        colours
    }

    /// What one scheme has and the other lacks.
    fn twins(&mut self, tokens: &Tokens) {
        let sides = [
            (&tokens.light, &tokens.dark, "dark"),
            (&tokens.dark, &tokens.light, "light"),
        ];
        // A value that was no colour is told already, and is missing here for that.
        if !self.found.is_empty() {
            return;
        }
        for (have, lack, scheme) in sides {
            for (name, colour) in have.iter().filter(|(name, _)| !lack.contains_key(*name)) {
                self.tell(
                    colour.offset..colour.offset + 1,
                    format!("`{name}` has no value in `[colors.{scheme}]`"),
                    Some("give every colour in both schemes".into()),
                );
            }
        }
    }

    fn kinds(&mut self, table: &DeTable<'_>, tokens: &mut Tokens) {
        self.known(table, "a text of `[type]`", &ROLES);
        for role in ROLES {
            let Some(inner) = self.section(table, role) else {
                continue;
            };
            self.known(inner, "told of a text", &KINDS);
            for kind in KINDS {
                let Some(value) = inner.get(kind) else {
                    continue;
                };
                match measure(kind, value.get_ref()) {
                    Ok(measure) => {
                        tokens.kinds.insert((role, kind), measure);
                    }
                    Err(wanted) => {
                        self.bad.push(format!("type.{role}.{kind}"));
                        self.tell(value.span(), format!("`{kind}` must be {wanted}"), None);
                    }
                }
            }
        }
    }

    fn spaces(&mut self, table: &DeTable<'_>, tokens: &mut Tokens) {
        self.known(
            table,
            "a length of `[space]`",
            &SPACES.map(|(name, _, _)| name),
        );
        for (name, least, most) in SPACES {
            let Some(value) = table.get(name) else {
                continue;
            };
            match pixels(value.get_ref(), (least, most)) {
                Some(pixels) => {
                    tokens.spaces.insert(name, pixels);
                }
                None => {
                    self.bad.push(format!("space.{name}"));
                    let message = format!("`{name}` must be from \"{least}px\" to \"{most}px\"");
                    self.tell(value.span(), message, None);
                }
            }
        }
    }

    /// Styles with their tokens filled in, once for each direction.
    fn styles(&mut self, table: &DeTable<'_>, look: &mut Look) {
        self.known(table, "a tag with a style", &STYLES);
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(true);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(super::engine::FUEL));
        let contexts = [look.tokens.values(false), look.tokens.values(true)];
        for (key, value) in table {
            let name: &str = key.get_ref();
            let DeValue::String(text) = value.get_ref() else {
                let message = format!("`{name}` must be a text: CSS declarations");
                self.tell(value.span(), message, None);
                continue;
            };
            match directed(&environment, text, &contexts) {
                Ok((style, turned)) => {
                    look.style.insert(name.to_owned(), style);
                    look.turned.insert(name.to_owned(), turned);
                }
                Err(error) => self.bad_style(value.span(), text, &error, &look.tokens),
            }
        }
    }

    fn bad_style(
        &mut self,
        span: Range<usize>,
        text: &str,
        error: &minijinja::Error,
        tokens: &Tokens,
    ) {
        let undefined = error.kind() == ErrorKind::UndefinedError;
        let expression = error.range().filter(|_| undefined);
        let expression = expression.and_then(|range| text.get(range));
        let written = &self.source.text[span.clone()];
        let place = expression.and_then(|expression| {
            let start = span.start + written.find(expression)?;
            Some((start..start + expression.len(), expression))
        });
        let Some((place, expression)) = place else {
            let detail = error.detail().unwrap_or("it cannot be read");
            self.tell(span, format!("{}: {detail}", error.kind()), None);
            return;
        };
        if self.bad.iter().any(|bad| bad == expression) {
            return;
        }
        let paths = tokens.paths();
        let meant = nearest(expression, paths.iter().map(String::as_str));
        let help = meant.map(|meant| format!("did you mean `{meant}`?"));
        self.tell(
            place,
            format!("`{expression}` is no token of this theme"),
            help,
        );
    }
}

/// A style from left to right, and from right to left. Most have no template in them, or name no side.
fn directed(
    environment: &Environment<'_>,
    text: &str,
    [ahead, back]: &[Value; 2],
) -> Result<(String, String), minijinja::Error> {
    if !text.contains('{') {
        return Ok((text.to_owned(), text.to_owned()));
    }
    let template = environment.template_from_str(text)?;
    let style = template.render(ahead)?;
    let sided = text.contains("start") || text.contains("end");
    let turned = match sided {
        true => template.render(back)?,
        false => style.clone(),
    };
    Ok((style, turned))
}

/// The error says what is wanted.
fn measure(kind: &str, value: &DeValue<'_>) -> Result<Measure, String> {
    let number = match value {
        DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
        _ => None,
    };
    let measure = match kind {
        "family" => family(value).map(Measure::Family),
        "size" => pixels(value, LETTER).map(Measure::Pixels),
        "line_height" => number
            .filter(|number| (0.9..=2.5).contains(number))
            .map(|number| Measure::Line(whole(number * 100.0))),
        _ => number
            .filter(|number| number % 100.0 == 0.0 && (100.0..=900.0).contains(number))
            .map(|number| Measure::Weight(whole(number))),
    };
    measure.ok_or_else(|| match kind {
        "family" => {
            "font families as CSS lists them, such as \"Georgia,serif\", in single quotes where a \
                     name has blanks"
                .into()
        }
        "size" => format!("from \"{}px\" to \"{}px\"", LETTER.0, LETTER.1),
        "line_height" => "a number from 0.9 to 2.5".into(),
        _ => "a weight: 100, 200, ... 900".into(),
    })
}

/// Nothing in it can end an attribute or a declaration.
fn family(value: &DeValue<'_>) -> Option<String> {
    let DeValue::String(text) = value else {
        return None;
    };
    let fine = |c: char| c.is_alphanumeric() || " ,'-_".contains(c);
    let fine =
        !text.trim().is_empty() && text.chars().all(fine) && text.matches('\'').count() % 2 == 0;
    fine.then(|| text.clone().into_owned())
}

fn pixels(value: &DeValue<'_>, (least, most): (u16, u16)) -> Option<u16> {
    let DeValue::String(text) = value else {
        return None;
    };
    let pixels: u16 = text.strip_suffix("px")?.parse().ok()?;
    (least..=most).contains(&pixels).then_some(pixels)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers let pass 0.9 to 900 only"
)]
fn whole(number: f64) -> u16 {
    number.round() as u16
}
