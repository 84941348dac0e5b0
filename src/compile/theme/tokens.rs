//! A theme's tokens: its colours in both schemes, its type and its spaces, each at one place.
//!
//! Promises: a colour is opaque and `#rgb` or `#rrggbb`, a size is whole pixels within sane bounds, so that
//! a token can stand in any attribute and any rule; both schemes have the same colours. Layouts and the
//! `[style]` table read `colors.accent`, `colors.dark.accent`, `type.body.size`, `space.gutter`.

use std::collections::BTreeMap;

use minijinja::value::Value;

use crate::lint::contrast::Colour;

/// The colours that a theme may have, and what each is for.
pub const COLOURS: [(&str, &str); 15] = [
    ("background", "around the sheet"),
    ("card", "the sheet that the text stands on"),
    ("text", "running text"),
    ("muted", "dates, captions, the footer"),
    ("heading", "the title and the headlines"),
    ("accent", "links and small emphasis"),
    ("button", "the ground of a button"),
    ("button_text", "the words on a button"),
    ("line", "thin lines"),
    ("border", "stronger lines: quotes, the head of a table"),
    ("code", "the ground of code"),
    ("promo", "the ground of a promo"),
    ("band", "the ground of a coloured band"),
    ("band_text", "the words on a band"),
    ("band_muted", "quieter words on a band"),
];

/// What is read on what: words, ground.
pub const PAIRS: [(&str, &str); 15] = [
    ("text", "card"),
    ("heading", "card"),
    ("muted", "card"),
    ("accent", "card"),
    ("muted", "background"),
    ("text", "background"),
    ("text", "promo"),
    ("accent", "promo"),
    ("muted", "promo"),
    ("text", "code"),
    ("heading", "code"),
    ("button_text", "button"),
    ("band_text", "band"),
    ("band_muted", "band"),
    ("accent", "background"),
];

/// The texts that `[type]` describes.
pub const ROLES: [&str; 7] = [
    "body", "lead", "title", "headline", "subhead", "small", "code",
];
/// What it says of each.
pub const KINDS: [&str; 4] = ["family", "size", "line_height", "weight"];
/// The lengths of `[space]`, with the least and the most pixels of each.
pub const SPACES: [(&str, u16, u16); 7] = [
    ("width", 320, 800),
    ("gutter", 0, 120),
    ("phone_gutter", 0, 60),
    ("paragraph", 0, 60),
    ("radius", 0, 60),
    ("button_radius", 0, 60),
    ("rule", 0, 120),
];
/// The least and the most pixels of a letter.
pub const LETTER: (u16, u16) = (8, 96);

/// A value and where it stands in `theme.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    pub value: T,
    pub offset: usize,
}

/// The colours of one scheme by name.
pub type Colours = BTreeMap<&'static str, Placed<Colour>>;

/// All tokens of a theme. One that is not set is not given to templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    pub light: Colours,
    pub dark: Colours,
    /// By role and kind, such as `body` and `size`.
    pub kinds: BTreeMap<(&'static str, &'static str), Measure>,
    /// Pixels.
    pub spaces: BTreeMap<&'static str, u16>,
}

/// One value of `[type]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Font families as CSS lists them.
    Family(String),
    Pixels(u16),
    /// In hundredths of the size.
    Line(u16),
    Weight(u16),
}

impl Tokens {
    /// `colors`, `type` and `space` as templates see them, with `start` and `end` for `left` and `right`
    /// in the direction of the language.
    pub(crate) fn values(&self, rtl: bool) -> Value {
        let mut colours = colours_map(&self.light);
        colours.insert("dark".into(), Value::from_object(colours_map(&self.dark)));
        let mut kinds = Map::new();
        for role in ROLES {
            let own = self.kinds.iter().filter(|((of, _), _)| *of == role);
            let own = own.map(|((_, kind), measure)| ((*kind).to_owned(), measure.value()));
            kinds.insert(role.into(), Value::from_object(own.collect::<Map>()));
        }
        let shown = |(name, pixels): (&&str, &u16)| ((*name).to_owned(), pixels_value(*pixels));
        let mut spaces: Map = self.spaces.iter().map(shown).collect();
        if let (Some(width), Some(gutter)) = (self.spaces.get("width"), self.spaces.get("gutter")) {
            let text = i64::from(*width) - 2 * i64::from(*gutter);
            spaces.insert("text_width".into(), Value::from(text));
        }
        let (start, end) = if rtl {
            ("right", "left")
        } else {
            ("left", "right")
        };
        Value::from_object(Map::from([
            ("colors".into(), Value::from_object(colours)),
            ("type".into(), Value::from_object(kinds)),
            ("space".into(), Value::from_object(spaces)),
            ("start".into(), Value::from(start)),
            ("end".into(), Value::from(end)),
        ]))
    }

    /// Every name that a template may read, such as `colors.dark.accent`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let light = self.light.keys().map(|name| format!("colors.{name}"));
        let dark = self.dark.keys().map(|name| format!("colors.dark.{name}"));
        let kinds = self.kinds.keys();
        let kinds = kinds.map(|(role, kind)| format!("type.{role}.{kind}"));
        let spaces = self.spaces.keys().map(|name| format!("space.{name}"));
        let mut paths: Vec<String> = light.chain(dark).chain(kinds).chain(spaces).collect();
        paths.extend(["start".into(), "end".into(), "space.text_width".into()]);
        paths
    }

    /// The colour token that is this colour in the light scheme, or in the dark one.
    pub(crate) fn named(&self, colour: Colour) -> Option<String> {
        let find = |colours: &Colours, prefix: &str| {
            let mut same = colours.iter().filter(|(_, own)| own.value == colour);
            same.next().map(|(name, _)| format!("{prefix}.{name}"))
        };
        find(&self.light, "colors").or_else(|| find(&self.dark, "colors.dark"))
    }
}

impl Measure {
    fn value(&self) -> Value {
        match self {
            // It holds nothing that an attribute or a rule would have to escape.
            Measure::Family(family) => Value::from_safe_string(family.clone()),
            Measure::Pixels(pixels) => pixels_value(*pixels),
            Measure::Line(hundredths) => {
                let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
                Value::from(text.trim_end_matches('0').trim_end_matches('.'))
            }
            Measure::Weight(weight) => Value::from(*weight),
        }
    }
}

type Map = BTreeMap<String, Value>;

fn colours_map(colours: &Colours) -> Map {
    let shown = |(name, colour): (&&str, &Placed<Colour>)| {
        ((*name).to_owned(), Value::from(hex(colour.value)))
    };
    colours.iter().map(shown).collect()
}

fn pixels_value(pixels: u16) -> Value {
    Value::from(format!("{pixels}px"))
}

/// A colour as every mail program reads it.
pub fn hex(colour: Colour) -> String {
    let Colour { red, green, blue } = colour;
    format!("#{red:02x}{green:02x}{blue:02x}")
}
