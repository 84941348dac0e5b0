//! How well a text is told from its ground: WCAG 2.2's contrast ratio.
//!
//! Promises: plain arithmetic on colours as CSS writes them; a ratio is between 1 and 21 and the same
//! whichever colour comes first. Leaves the choice of pairs to the theme's tokens.

use cssparser::color::parse_named_color;

/// WCAG 2.2, success criterion 1.4.3: what text needs at least.
pub const TEXT: f64 = 4.5;

/// An opaque colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
}

impl Colour {
    /// Reads `#abc`, `#aabbcc`, `rgb(1, 2, 3)`, `hsl(120, 50%, 50%)`, both with blanks too, and names.
    /// Nothing that is not opaque: what lies below decides how it looks.
    pub fn parse(text: &str) -> Option<Colour> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(digits) = text.strip_prefix('#') {
            return hexadecimal(digits);
        }
        if let Some(numbers) = text.strip_prefix("rgb(") {
            let numbers = numbers.strip_suffix(')')?;
            let mut parts = numbers
                .split([',', ' '])
                .filter(|part| !part.is_empty())
                .map(|part| part.parse::<u8>().ok());
            let colour = Colour {
                red: parts.next()??,
                green: parts.next()??,
                blue: parts.next()??,
            };
            return parts.next().is_none().then_some(colour);
        }
        if let Some(numbers) = text.strip_prefix("hsl(") {
            return hue(numbers.strip_suffix(')')?);
        }
        let (red, green, blue) = parse_named_color(&text).ok()?;
        Some(Colour { red, green, blue })
    }

    /// WCAG 2.2's relative luminance: 0 for black, 1 for white.
    pub fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            // sRGB's own curve (IEC 61966-2-1), which is a line near black.
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

/// WCAG 2.2's contrast ratio, from 1 (the same) to 21 (black and white).
pub fn ratio(one: Colour, other: Colour) -> f64 {
    let (one, other) = (one.luminance(), other.luminance());
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Hue in degrees, saturation and lightness in hundredths (CSS Color 4, section 7).
fn hue(numbers: &str) -> Option<Colour> {
    let mut parts = numbers.split([',', ' ']).filter(|part| !part.is_empty());
    let mut next = |unit: &str| parts.next()?.trim_end_matches(unit).parse::<f64>().ok();
    let (hue, saturation, lightness) = (next("deg")?, next("%")?, next("%")?);
    if parts.next().is_some() {
        return None;
    }
    let (saturation, lightness) = (saturation / 100.0, lightness / 100.0);
    let channel = |n: f64| {
        let k = (n + hue / 30.0).rem_euclid(12.0);
        let reach = saturation * lightness.min(1.0 - lightness);
        let value = lightness - reach * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        // Between 0 and 255 by the clamp.
        (value.clamp(0.0, 1.0) * 255.0).round() as u8
    };
    Some(Colour {
        red: channel(0.0),
        green: channel(8.0),
        blue: channel(4.0),
    })
}

fn hexadecimal(digits: &str) -> Option<Colour> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let channel = |at: usize| match digits.len() {
        3 => u8::from_str_radix(&digits[at..=at].repeat(2), 16).ok(),
        6 => u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok(),
        _ => None,
    };
    Some(Colour {
        red: channel(0)?,
        green: channel(1)?,
        blue: channel(2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Colour, ratio};

    fn between(one: &str, other: &str) -> f64 {
        let colour = |text: &str| Colour::parse(text).expect("a colour");
        ratio(colour(one), colour(other))
    }

    #[test]
    fn the_ratio_is_that_of_the_standard() {
        for (one, other, expected) in [
            ("#000", "#ffffff", 21.0),
            ("#fff", "white", 1.0),
            // The two greys around the limit of 4.5 on white, as WebAIM's and the W3C's tables have them.
            ("#767676", "#fff", 4.54),
            ("#777777", "#fff", 4.48),
            ("rgb(255, 0, 0)", "#fff", 4.00),
            ("#0000ff", "rgb(255 255 255)", 8.59),
            ("hsl(0, 100%, 50%)", "hsl(120deg 0% 100%)", 4.00),
            ("rebeccapurple", "hsl(240 100% 50%)", 1.02),
        ] {
            let found = between(one, other);
            assert!((found - expected).abs() < 0.005, "{one} {other}: {found}");
            assert!((found - between(other, one)).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn what_is_no_opaque_colour_is_none() {
        for text in [
            "",
            "#",
            "#ab",
            "#abcd",
            "#aabbccdd",
            "#ggg",
            "rgb(1,2)",
            "rgb(1,2,3,4)",
            "rgb(256,0,0)",
            "rgba(0,0,0,.5)",
            "hsl(1 2% 3% 4)",
            "transparent",
            "#\u{e4}b",
            "currentcolor",
        ] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }
}
