//! Style sheets and style attributes, one declaration at a time.

use cssparser::color::parse_named_color;

/// A chunk of CSS and what ends it: `{`, `}`, `;` or the end.
fn chunks(css: &str) -> Vec<(&str, Option<char>)> {
    let mut chunks = Vec::new();
    let (mut start, mut depth, mut quote, mut comment) = (0, 0usize, None, false);
    let mut before = ' ';
    for (at, c) in css.char_indices() {
        match c {
            '/' if comment => comment = before != '*',
            _ if comment => {}
            '*' if before == '/' && quote.is_none() => comment = true,
            '"' | '\'' if quote.is_none() => quote = Some(c),
            // A line end closes a broken string, as in browsers.
            _ if quote.is_some() && (quote == Some(c) && before != '\\' || c == '\n') => {
                quote = None;
            }
            _ if quote.is_some() => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '{' | '}' => {
                chunks.push((&css[start..at], Some(c)));
                (start, depth) = (at + 1, 0);
            }
            ';' if depth == 0 => {
                chunks.push((&css[start..at], Some(c)));
                start = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    chunks.push((&css[start..], None));
    chunks
}

/// Gives every declaration, in a sheet or in a style attribute, to `edit` as property (lower case) and
/// value, and puts what it gives in the value's place; `None` takes the declaration out.
pub(super) fn declarations(
    css: &str,
    edit: &mut dyn FnMut(&str, &str) -> Option<String>,
) -> String {
    let mut out = String::with_capacity(css.len());
    for (chunk, end) in chunks(css) {
        let is_declaration = end != Some('{') && !chunk.trim_start().starts_with('@');
        let parts = chunk.split_once(':').filter(|_| is_declaration);
        let kept = match parts {
            None => Some(chunk.to_owned()),
            Some((name, value)) => {
                let property = name.rsplit("*/").next().unwrap_or(name);
                let property = property.trim().to_ascii_lowercase();
                edit(&property, value.trim()).map(|value| format!("{name}:{value}"))
            }
        };
        if let Some(kept) = &kept {
            out.push_str(kept);
        }
        if let Some(end) = end.filter(|end| kept.is_some() || *end != ';') {
            out.push(end);
        }
    }
    out
}

/// Takes out the rules that open with one of `names` (such as `@media`), blocks and all.
pub(super) fn without_rules(css: &str, names: &[&str]) -> String {
    let mut out = String::with_capacity(css.len());
    let mut skipped = 0usize;
    for (chunk, end) in chunks(css) {
        let head = chunk.trim_start().to_ascii_lowercase();
        let opens = names.iter().any(|name| head.starts_with(name));
        match (skipped, end) {
            (0, Some('{')) if opens => skipped = 1,
            (0, Some(';')) if opens => {}
            (0, end) => {
                out.push_str(chunk);
                out.extend(end);
            }
            (_, Some('{')) => skipped += 1,
            (_, Some('}')) => skipped -= 1,
            _ => {}
        }
    }
    out
}

/// A colour and how far it covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour {
    pub(super) red: f32,
    pub(super) green: f32,
    pub(super) blue: f32,
    alpha: f32,
}

impl Colour {
    fn write(self) -> String {
        let octet = |part: f32| (part.clamp(0.0, 1.0) * 255.0).round() as u8;
        let (red, green, blue) = (octet(self.red), octet(self.green), octet(self.blue));
        if self.alpha >= 1.0 {
            format!("#{red:02x}{green:02x}{blue:02x}")
        } else {
            format!("rgba({red},{green},{blue},{})", self.alpha)
        }
    }

    /// The same hue with its lightness turned round: white becomes nearly black, black white.
    pub(super) fn inverted(self) -> Colour {
        let (red, green, blue) = (self.red, self.green, self.blue);
        let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
        let light = (most + least) / 2.0;
        // Programs that invert leave the ground a little lighter than black.
        let wanted = 1.0 - 0.91 * light;
        let span = 1.0 - (2.0 * light - 1.0).abs();
        let saturation = if span > 0.0 {
            (most - least) / span
        } else {
            0.0
        };
        let chroma = saturation * (1.0 - (2.0 * wanted - 1.0).abs());
        let scale = if most > least {
            chroma / (most - least)
        } else {
            0.0
        };
        let part = |part: f32| wanted + (part - light) * scale;
        Colour {
            red: part(red),
            green: part(green),
            blue: part(blue),
            ..self
        }
    }
}

/// Changes each colour in a value, also in a `bgcolor`; addresses and strings are left alone.
pub(super) fn colours(value: &str, change: impl Fn(Colour) -> Colour) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '#');
        let length = if c == '"' || c == '\'' {
            rest[1..].find(c).map_or(rest.len(), |at| at + 2)
        } else if word(c) {
            let end = rest.find(|c: char| !word(c)).unwrap_or(rest.len());
            let opens = rest[end..].starts_with('(');
            let close = rest[end..].find(')').map_or(rest.len(), |at| end + at + 1);
            if opens { close } else { end }
        } else {
            c.len_utf8()
        };
        let token = &rest[..length];
        match colour(token) {
            Some(colour) => out.push_str(&change(colour).write()),
            None => out.push_str(token),
        }
        rest = &rest[length..];
    }
    out
}

fn colour(token: &str) -> Option<Colour> {
    let solid = |(red, green, blue): (u8, u8, u8), alpha| Colour {
        red: f32::from(red) / 255.0,
        green: f32::from(green) / 255.0,
        blue: f32::from(blue) / 255.0,
        alpha,
    };
    if let Some(hex) = token.strip_prefix('#') {
        let digits: Option<Vec<u8>> = hex
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        return match *digits?.as_slice() {
            [r, g, b] => Some(solid((r * 17, g * 17, b * 17), 1.0)),
            [r, g, b, a] => Some(solid((r * 17, g * 17, b * 17), f32::from(a * 17) / 255.0)),
            [r, s, g, h, b, c] => Some(solid((r * 16 + s, g * 16 + h, b * 16 + c), 1.0)),
            [r, s, g, h, b, c, a, e] => {
                let alpha = f32::from(a * 16 + e) / 255.0;
                Some(solid((r * 16 + s, g * 16 + h, b * 16 + c), alpha))
            }
            _ => None,
        };
    }
    let lower = token.to_ascii_lowercase();
    let inner = lower.strip_prefix("rgba(").or(lower.strip_prefix("rgb("));
    let Some(inner) = inner.and_then(|inner| inner.strip_suffix(')')) else {
        return parse_named_color(&lower).ok().map(|rgb| solid(rgb, 1.0));
    };
    let number = |text: &str, whole: f32| match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f32>().ok().map(|value| value / 100.0),
        None => text.parse::<f32>().ok().map(|value| value / whole),
    };
    let separators = [',', '/', ' '];
    let mut parts = inner.split(separators).filter(|part| !part.is_empty());
    Some(Colour {
        red: number(parts.next()?, 255.0)?,
        green: number(parts.next()?, 255.0)?,
        blue: number(parts.next()?, 255.0)?,
        alpha: parts.next().map_or(Some(1.0), |part| number(part, 1.0))?,
    })
}
