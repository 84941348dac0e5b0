//! Reading measures as mjml does: whole pixels where it cuts, percent with fractions, NaN where it has NaN.
//!
//! Leaves it to the validator to refuse what is no measure.

/// The whole number at the start of a text; NaN where there is none.
pub fn int(text: &str) -> f64 {
    let text = text.trim_start();
    let unsigned = text.trim_start_matches(['+', '-']);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    number(&text[..text.len() - unsigned.len() + digits])
}

/// The number at the start of a text; NaN where there is none.
pub fn float(text: &str) -> f64 {
    let text = text.trim_start();
    let unsigned = text.trim_start_matches(['+', '-']);
    let mut dots = 0;
    let length = unsigned
        .bytes()
        .take_while(|octet| {
            dots += usize::from(*octet == b'.');
            octet.is_ascii_digit() || (*octet == b'.' && dots == 1)
        })
        .count();
    number(&text[..text.len() - unsigned.len() + length])
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Pixel,
    Percent,
    Other,
}

/// A width with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Width {
    pub value: f64,
    pub unit: Unit,
}

impl Width {
    /// Pixels are cut to whole ones, percent are not.
    pub fn of(text: &str) -> Width {
        let digits = text
            .bytes()
            .rposition(|octet| octet.is_ascii_digit())
            .map_or(0, |at| at + 1);
        let (value, unit) = match text[digits..].trim_start_matches(['.', ',']) {
            "" | "px" => (int(text), Unit::Pixel),
            "%" => (float(text), Unit::Percent),
            _ => (int(text), Unit::Other),
        };
        Width { value, unit }
    }

    pub fn suffix(self) -> &'static str {
        match self.unit {
            Unit::Percent => "%",
            Unit::Pixel | Unit::Other => "px",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Top,
    Right,
    Bottom,
    Left,
}

/// Shorthands with their four sides, as [`Side`] has them.
const SHORTHANDS: [(&str, [&str; 4]); 4] = [
    (
        "padding",
        [
            "padding-top",
            "padding-right",
            "padding-bottom",
            "padding-left",
        ],
    ),
    (
        "border",
        ["border-top", "border-right", "border-bottom", "border-left"],
    ),
    (
        "inner-padding",
        [
            "inner-padding-top",
            "inner-padding-right",
            "inner-padding-bottom",
            "inner-padding-left",
        ],
    ),
    (
        "inner-border",
        [
            "inner-border-top",
            "inner-border-right",
            "inner-border-bottom",
            "inner-border-left",
        ],
    ),
];

impl Side {
    pub const ALL: [Side; 4] = [Side::Top, Side::Right, Side::Bottom, Side::Left];

    /// The attribute that gives this side of a shorthand alone; no other shorthand has sides.
    pub fn of(self, shorthand: &str) -> &'static str {
        let mut known = SHORTHANDS.iter();
        let known = known.find(|(name, _)| *name == shorthand);
        known.map_or("", |(_, sides)| sides[self as usize])
    }
}

/// One side of a shorthand like `10px 25px`.
pub fn side(shorthand: &str, side: Side) -> f64 {
    let values: Vec<&str> = shorthand.split_whitespace().take(4).collect();
    let at = match (values.len(), side) {
        (0 | 1, _) => return int(shorthand),
        (_, Side::Top) => 0,
        (2, Side::Bottom) => 0,
        (2 | 3, Side::Left | Side::Right) | (_, Side::Right) => 1,
        (_, Side::Bottom) => 2,
        (_, Side::Left) => 3,
    };
    int(values[at])
}

/// The width in a border like `1px solid red`: the first word that begins with a digit.
pub fn border(value: &str) -> f64 {
    let width = value.split(' ').map(int).find(|width| *width >= 0.0);
    width.unwrap_or(0.0)
}

/// Six digits after the point, as mjml keeps them of computed percent.
pub fn six_digits(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// One pixel below a breakpoint.
pub fn just_below(breakpoint: &str) -> String {
    let digits = breakpoint.trim_start_matches(|c: char| !c.is_ascii_digit());
    let pixels = int(digits);
    if pixels.is_nan() {
        return breakpoint.to_owned();
    }
    format!("{}px", pixels - 1.0)
}

#[cfg(test)]
mod tests {
    use super::{Side, Unit, Width, border, float, int, just_below, side};

    #[test]
    fn numbers_are_read_from_the_start_of_a_text() {
        assert_eq!(int(" 12.7px"), 12.0);
        assert_eq!(int("-3px"), -3.0);
        assert!(int("auto").is_nan());
        assert_eq!(float("33.33%"), 33.33);
        assert_eq!(float("1.2.3"), 1.2);
    }

    #[test]
    fn pixels_are_cut_and_percent_are_not() {
        let third = Width::of("33.3%");
        assert_eq!((third.value, third.unit), (33.3, Unit::Percent));
        let pixels = Width::of("33.9px");
        assert_eq!((pixels.value, pixels.unit), (33.0, Unit::Pixel));
        assert_eq!(Width::of("20").unit, Unit::Pixel);
        assert_eq!(Width::of("auto").unit, Unit::Other);
    }

    #[test]
    fn a_shorthand_of_one_to_four_values_has_four_sides() {
        let four = "1px 2px 3px 4px";
        assert_eq!(side("7px", Side::Left), 7.0);
        assert_eq!(side("1px 2px", Side::Bottom), 1.0);
        assert_eq!(side("1px 2px 3px", Side::Left), 2.0);
        assert_eq!(side("1px 2px 3px", Side::Bottom), 3.0);
        assert_eq!(side(four, Side::Right), 2.0);
        assert_eq!(side(four, Side::Left), 4.0);
    }

    #[test]
    fn a_border_is_as_wide_as_its_first_number() {
        assert_eq!(border("solid 2px #000"), 2.0);
        assert_eq!(border("none"), 0.0);
    }

    #[test]
    fn a_phone_ends_one_pixel_below_the_breakpoint() {
        assert_eq!(just_below("480px"), "479px");
        assert_eq!(just_below("none"), "none");
    }
}
