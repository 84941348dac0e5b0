//! What the value of an attribute may be.
//!
//! Promises: the same answer as MJML's own check, oddities included: a value that MJML takes is good
//! here, and one that MJML refuses is not. Values are judged as written, with their entities.

mod colors;

use crate::diagnostic::nearest;
use crate::mjml::values::colors::COLORS;

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Any text.
    Text,
    /// A colour: a name, `#rgb`, `#rrggbb`, `rgb()` or `rgba()`.
    Color,
    /// One of these words; an empty one among them allows an empty value.
    Enum(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    Integer,
    Unit(Unit),
}

/// One or several lengths, separated by one blank each. A plain `0` needs no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The units it may have; an empty one stands for a plain number.
    units: &'static [&'static str],
    /// How many lengths at most; one at least.
    most: usize,
    negative: bool,
    auto: bool,
}

pub const TEXT: Type = Type::Text;
pub const COLOR: Type = Type::Color;
pub const BOOLEAN: Type = Type::Boolean;
pub const INTEGER: Type = Type::Integer;

pub const PIXELS: Type = unit(&["px"]);
pub const LENGTH: Type = unit(&["px", "%"]);
pub const LINE_HEIGHT: Type = unit(&["px", "%", ""]);
/// One to four: top, right, bottom, left.
pub const LENGTHS: Type = Type::Unit(Unit {
    units: &["px", "%"],
    most: 4,
    negative: false,
    auto: false,
});
/// Between letters; may be negative.
pub const SPACING: Type = Type::Unit(Unit {
    units: &["px", "em"],
    most: 1,
    negative: true,
    auto: false,
});
pub const PIXELS_OR_AUTO: Type = Type::Unit(Unit {
    units: &["px"],
    most: 1,
    negative: false,
    auto: true,
});
pub const LENGTH_OR_AUTO: Type = Type::Unit(Unit {
    units: &["px", "%"],
    most: 1,
    negative: false,
    auto: true,
});

pub const ALIGN: Type = Type::Enum(&["left", "center", "right"]);
pub const DIRECTION: Type = Type::Enum(&["ltr", "rtl"]);
pub const FULL_WIDTH: Type = Type::Enum(&["full-width", "false", ""]);
pub const LAYOUT: Type = Type::Enum(&["auto", "fixed"]);
pub const MODE: Type = Type::Enum(&["horizontal", "vertical"]);
pub const POSITION: Type = Type::Enum(&["file-start"]);
pub const REPEAT: Type = Type::Enum(&["repeat", "no-repeat"]);
pub const ROLE: Type = Type::Enum(&["none", "presentation"]);
pub const SIDE: Type = Type::Enum(&["left", "right"]);
pub const TABLE_LAYOUT: Type = Type::Enum(&["auto", "fixed", "initial", "inherit"]);
pub const TEXT_ALIGN: Type = Type::Enum(&["left", "right", "center", "justify"]);
pub const THUMBNAILS: Type = Type::Enum(&["visible", "hidden", "supported"]);
pub const VERTICAL: Type = Type::Enum(&["top", "middle", "bottom"]);

impl Type {
    /// Whether MJML takes the value.
    pub fn takes(&self, value: &str) -> bool {
        match self {
            Type::Text => true,
            Type::Color => is_color(value),
            Type::Enum(words) => words.contains(&value),
            Type::Boolean => matches!(value, "true" | "false"),
            Type::Integer => value.bytes().any(|octet| octet.is_ascii_digit()),
            Type::Unit(unit) => unit.takes(value),
        }
    }

    /// What the value should have been, for an author; `attribute` is its name.
    pub fn expected(&self, attribute: &str) -> String {
        match self {
            Type::Text => "expected a text".into(),
            Type::Color => {
                "expected a colour such as `#1a2b3c`, `navy` or `rgba(0, 0, 0, 0.5)`".into()
            }
            Type::Enum(words) => {
                let words = words.iter().filter(|word| !word.is_empty());
                format!("expected {}", either(words.copied()))
            }
            Type::Boolean => "expected `true` or `false`".into(),
            Type::Integer => "expected a whole number such as `4`".into(),
            Type::Unit(unit) => unit.expected(attribute),
        }
    }

    /// A value nearby that MJML takes, if one is likely meant.
    pub fn meant(&self, value: &str) -> Option<String> {
        let tidy = value.trim().to_ascii_lowercase();
        let good = |candidate: String| {
            let better = candidate != value && self.takes(&candidate);
            (better && !candidate.is_empty()).then_some(candidate)
        };
        let near = match self {
            Type::Color => color_meant(&tidy),
            Type::Enum(words) => word_meant(&tidy, words).map(str::to_owned),
            Type::Boolean => nearest(&tidy, ["true", "false"]).map(str::to_owned),
            Type::Unit(unit) => Some(unit.meant(&tidy)),
            Type::Text | Type::Integer => None,
        };
        good(tidy).or_else(|| near.and_then(good))
    }
}

impl Unit {
    fn takes(&self, value: &str) -> bool {
        let mut rest = value;
        let mut count = 0;
        while !rest.is_empty() || count == 0 {
            let Some((lengths, after)) = self.one(rest) else {
                return false;
            };
            count += lengths;
            rest = after.strip_prefix(' ').unwrap_or(after);
        }
        count <= self.most
    }

    /// The length at the start of a text, as a count (zeros may stand close together), and what
    /// follows it.
    fn one<'a>(&self, text: &'a str) -> Option<(usize, &'a str)> {
        if self.auto
            && let Some(after) = text.strip_prefix("auto")
        {
            return Some((1, after));
        }
        let numeric =
            |c: char| c.is_ascii_digit() || matches!(c, '.' | ',') || (self.negative && c == '-');
        let after = text.trim_start_matches(numeric);
        let number = &text[..text.len() - after.len()];
        if number.is_empty() {
            return None;
        }
        for unit in self.units {
            if let Some(after) = after.strip_prefix(unit) {
                return Some((1, after));
            }
        }
        let zeros = number.bytes().all(|octet| octet == b'0');
        zeros.then_some((number.len(), after))
    }

    fn expected(&self, attribute: &str) -> String {
        let noun = ["width", "height", "size", "padding", "spacing"]
            .into_iter()
            .find(|noun| {
                attribute.ends_with(noun) || (attribute.contains(noun) && *noun == "padding")
            })
            .unwrap_or("length");
        if self.most > 1 {
            return "expected one to four lengths such as `10px`, `10px 25px` or `5%`".into();
        }
        let examples = match (noun, self.units, self.negative) {
            (_, [_, _, ""], _) => vec!["22px", "150%", "1.5"],
            (_, _, true) => vec!["1px", "-0.5em"],
            ("width", ["px", "%"], _) => vec!["600px", "50%"],
            ("width", _, _) => vec!["600px"],
            (_, ["px", "%"], _) => vec!["20px", "5%"],
            _ => vec!["20px"],
        };
        let auto = self.auto.then_some("auto");
        format!(
            "expected a {noun} such as {}",
            either(examples.into_iter().chain(auto))
        )
    }

    /// The lengths with one blank between them and pixels where no unit stands.
    fn meant(&self, value: &str) -> String {
        let lengths = value.split_whitespace().map(|length| {
            let plain = !length.is_empty()
                && length
                    .bytes()
                    .all(|octet| octet.is_ascii_digit() || octet == b'.');
            if plain {
                format!("{length}px")
            } else {
                length.to_owned()
            }
        });
        lengths.collect::<Vec<_>>().join(" ")
    }
}

const fn unit(units: &'static [&'static str]) -> Type {
    Type::Unit(Unit {
        units,
        most: 1,
        negative: false,
        auto: false,
    })
}

/// The words in backticks, with an "or" before the last one.
pub fn either<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    let last = quoted.pop().unwrap_or_default();
    if quoted.is_empty() {
        return last;
    }
    format!("{} or {last}", quoted.join(", "))
}

fn is_color(value: &str) -> bool {
    if let Some(digits) = value.strip_prefix('#') {
        let hex = digits.bytes().all(|octet| octet.is_ascii_hexdigit());
        if hex && matches!(digits.len(), 3 | 6) {
            return true;
        }
    }
    COLORS.binary_search(&value).is_ok() || has_function(value)
}

/// Whether `rgb()` or `rgba()` stands anywhere in a value: MJML looks no closer.
fn has_function(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    lower.match_indices("rgb").any(|(at, _)| {
        let after = &lower[at + 3..];
        match after.strip_prefix("a(") {
            Some(numbers) => takes_numbers(numbers, true),
            None => after
                .strip_prefix('(')
                .is_some_and(|numbers| takes_numbers(numbers, false)),
        }
    })
}

/// Three numbers of at most three digits, with an opacity after them or not, and `)`.
fn takes_numbers(text: &str, opacity: bool) -> bool {
    let mut rest = text;
    for position in 0..3 {
        if position > 0 {
            let Some(after) = comma(rest) else {
                return false;
            };
            rest = after;
        }
        let Some(after) = digits(rest, 3) else {
            return false;
        };
        rest = after;
    }
    if opacity {
        let Some(after) = comma(rest).and_then(|after| digits(after, 1)) else {
            return false;
        };
        rest = match after.strip_prefix('.') {
            Some(fraction) => match digits(fraction, 3) {
                Some(after) => after,
                None => return false,
            },
            None => after,
        };
    }
    rest.starts_with(')')
}

/// What follows a comma and one blank after it.
fn comma(text: &str) -> Option<&str> {
    let after = text.strip_prefix(',')?;
    Some(after.strip_prefix(char::is_whitespace).unwrap_or(after))
}

/// What follows one to `most` digits.
fn digits(text: &str, most: usize) -> Option<&str> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    (count > 0).then(|| &text[count..])
}

/// The word that is likely meant by a text in lower case.
fn word_meant(value: &str, words: &[&'static str]) -> Option<&'static str> {
    // Across it is `center`, down it is `middle`, and people take the one for the other.
    let twin = match value {
        "middle" => "center",
        "center" | "centre" => "middle",
        _ => "",
    };
    let near = nearest(value, words.iter().copied());
    near.or_else(|| words.iter().copied().find(|word| *word == twin))
}

/// The colour that is likely meant by a text in lower case.
fn color_meant(value: &str) -> Option<String> {
    let hex = value.trim_start_matches('#');
    if !hex.is_empty() && hex.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        let kept = match hex.len() {
            4 => 3,
            8 => 6,
            length => length,
        };
        return Some(format!("#{}", &hex[..kept]));
    }
    let compact: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    let leading = compact.replace(",.", ",0.");
    if is_color(&leading) {
        return Some(leading.replace(',', ", "));
    }
    nearest(value, COLORS.iter().copied()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
