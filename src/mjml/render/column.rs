//! `mj-column` and `mj-group`: how wide they are, on a wide window, on a phone, and in Outlook.

use crate::mjml::render::body::{Body, Context, Part};
use crate::mjml::render::html::{Css, Tag};
use crate::mjml::render::measure::{Side, Unit, Width, six_digits};

const BOX: [&str; 7] = [
    "background-color",
    "border",
    "border-bottom",
    "border-left",
    "border-radius",
    "border-right",
    "border-top",
];

/// Declares the cell that stands around a column or a group in Outlook.
pub fn outlook_cell<'h>(part: &Part<'_>, css: Css<'h>) -> Tag<'h> {
    match part.element.name.as_str() {
        "mj-column" => {
            let css = css.take(&part.attributes, &["vertical-align"]);
            css.set("width", format_args!("{}px", pixels(part).round()))
                .may("padding", Gutter::of(part).map(|g| g.wide(Unit::Pixel)))
                .end()
        }
        "mj-group" => {
            let css = css.take(&part.attributes, &["vertical-align"]);
            css.set("width", format_args!("{}px", pixels(part))).end()
        }
        _ => css.end(),
    }
}

/// The width it was given, or its share of the row.
fn width(part: &Part<'_>) -> Width {
    match part.attributes.truthy("width") {
        Some(width) => Width::of(width),
        None => Width {
            value: 100.0 / part.place.flowing as f64,
            unit: Unit::Percent,
        },
    }
}

fn pixels(part: &Part<'_>) -> f64 {
    let width = width(part);
    match width.unit {
        Unit::Percent => part.context.width * width.value / 100.0,
        Unit::Pixel | Unit::Other => width.value,
    }
}

/// What a column or group leaves to what stands in it.
fn inner_width(part: &Part<'_>, taken: f64) -> f64 {
    let outer = part.context.width;
    match part.attributes.truthy("width").map(Width::of) {
        Some(width) if width.unit == Unit::Percent => outer * width.value / 100.0 - taken,
        Some(width) => width.value - taken,
        None => (outer / part.place.flowing as f64).trunc() - taken,
    }
}

pub fn column(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let gutter = Gutter::of(part);
    let mut classes = column_class(body, part, gutter.as_ref());
    classes.push_str(" mj-outlook-group-fix");
    if let Some(own) = at.truthy("css-class") {
        classes.push(' ');
        classes.push_str(own);
    }
    let css = body.html.open("div").set("class", classes).style();
    css.set("font-size", "0px")
        .set("text-align", "left")
        .take(at, &["direction"])
        .set("display", "inline-block")
        .take(at, &["vertical-align"])
        .set("width", phone_width(part, gutter.as_ref()))
        .may("padding", gutter.map(|gutter| gutter.inline()))
        .done();

    let mut sides = Side::ALL.iter();
    let padded =
        at.get("padding").is_some() || sides.any(|side| at.get(side.of("padding")).is_some());
    let radius = at.truthy("border-radius").map(|_| "separate");
    if padded {
        let table = body.html.open_table().set("width", "100%").style();
        table.may("border-collapse", radius).done();
        body.html.raw("<tbody>");
        body.html.open("tr").done();
        let css = body.html.open("td").style().take(at, &BOX);
        css.take(at, &["vertical-align"])
            .may("border-collapse", radius)
            .padding(at, "")
            .done();
    }
    let mut css = body.html.open_table().set("width", "100%").style();
    if padded {
        for name in BOX {
            css = css.may(name, at.get(&format!("inner-{name}")));
        }
    } else {
        css = css.take(at, &BOX).take(at, &["vertical-align"]);
    }
    let inner_radius = at.truthy("inner-border-radius").map(|_| "separate");
    let radius = inner_radius.or(radius.filter(|_| !padded));
    css.may("border-collapse", radius).done();
    body.html.raw("<tbody>");
    let taken = at.sides("padding") + at.borders("border") + at.borders("inner-border");
    let context = Context {
        width: inner_width(part, taken),
        ..part.context
    };
    body.each(part, context, &[], |body, child| row(body, child, false));
    body.html.raw("</tbody></table>");
    if padded {
        body.html.raw("</td></tr></tbody></table>");
    }
    body.html.close("div");
}

/// A component as a row of its column, or of a hero (which says its background twice).
pub fn row(body: &mut Body<'_>, part: &Part<'_>, in_hero: bool) {
    let at = &part.attributes;
    body.html.open("tr").done();
    let background = at.get("container-background-color");
    let td = body
        .html
        .open("td")
        .take(at, &["align"])
        .may("background", background.filter(|_| in_hero))
        .may("class", at.get("css-class"));
    td.style()
        .may("background", background)
        .set("font-size", "0px")
        .padding(at, "")
        .set("word-break", "break-word")
        .done();
    body.component(part);
    body.html.raw("</td></tr>");
}

/// The class that gives the column its width above the breakpoint.
fn column_class(body: &mut Body<'_>, part: &Part<'_>, gutter: Option<&Gutter<'_>>) -> String {
    let mut width = gutter.map_or_else(|| width(part), Gutter::column_width);
    if width.unit != Unit::Percent {
        width.value = width.value.round();
    }
    let number = width.value.to_string().replace('.', "-");
    let mut class = match width.unit {
        Unit::Percent => format!("mj-column-per-{number}"),
        Unit::Pixel | Unit::Other => format!("mj-column-px-{number}"),
    };
    declare(body, &class, width);
    if let Some(gutter) = gutter {
        let own = gutter.class();
        if !part.context.in_group {
            let padding = gutter.wide(width.unit);
            body.above_breakpoint(&own, format!("padding: {padding} !important;"));
        }
        class.push(' ');
        class.push_str(&own);
    }
    class
}

fn declare(body: &mut Body<'_>, class: &str, width: Width) {
    let (value, unit) = (width.value, width.suffix());
    let rule = format!("width:{value}{unit} !important; max-width: {value}{unit};");
    body.above_breakpoint(class, rule);
}

/// On a phone columns stand under each other, but not those of a group.
fn phone_width(part: &Part<'_>, gutter: Option<&Gutter<'_>>) -> String {
    let at = &part.attributes;
    if !at.is("mobileWidth", "mobileWidth") {
        return "100%".to_owned();
    }
    let outer = part.context.width.trunc();
    let share = |pixels: f64| six_digits(pixels / outer * 100.0);
    if let Some(gutter) = gutter.filter(|_| part.context.in_group) {
        let width = gutter.column_width();
        return match width.unit {
            Unit::Percent => format!("{}%", width.value),
            Unit::Pixel | Unit::Other => format!("{}%", share(width.value)),
        };
    }
    match at.get("width") {
        None => format!("{}%", (100.0 / part.place.flowing as f64).trunc()),
        Some(text) => match Width::of(text) {
            width if width.unit == Unit::Percent => text.to_owned(),
            width => format!("{}%", share(width.value)),
        },
    }
}

/// The space between the columns of a section (mjml 5).
struct Gutter<'p> {
    part: &'p Part<'p>,
    text: &'p str,
}

impl<'p> Gutter<'p> {
    fn of(part: &'p Part<'p>) -> Option<Gutter<'p>> {
        let text = part.context.gutter.filter(|text| !text.is_empty())?;
        Some(Gutter { part, text })
    }

    fn in_unit(&self, unit: Unit) -> f64 {
        let width = Width::of(self.text);
        match (width.unit, unit) {
            (Unit::Pixel, Unit::Percent) => width.value / self.part.context.width * 100.0,
            (Unit::Percent, Unit::Pixel) => self.part.context.width * width.value / 100.0,
            _ => width.value,
        }
    }

    /// The column's width without its part of the gutters.
    fn column_width(&self) -> Width {
        let width = width(self.part);
        let siblings = self.part.place.siblings as f64;
        let less = self.in_unit(width.unit) * (siblings - 1.0) / siblings;
        let value = six_digits(width.value - less).max(0.0);
        let value = match width.unit {
            Unit::Percent => value,
            // Whole pixels: the first columns take what is left over.
            Unit::Pixel | Unit::Other => {
                let extra = (siblings * value.fract()).round();
                let one = (self.part.place.index as f64) < extra;
                value.floor() + f64::from(u8::from(one))
            }
        };
        Width { value, ..width }
    }

    /// The padding where columns stand beside each other.
    fn wide(&self, unit: Unit) -> String {
        let place = self.part.place;
        let (first, last) = (place.index == 0, place.index + 1 == place.siblings);
        let mut gutter = self.in_unit(unit);
        let (mut leading, mut trailing) = (gutter / 2.0, gutter / 2.0);
        if unit != Unit::Percent {
            gutter = gutter.round();
            (leading, trailing) = ((gutter / 2.0).ceil(), (gutter / 2.0).floor());
        }
        let or_none = |edge: bool, value: f64| if edge { 0.0 } else { value };
        let (right, left) = match self.part.context.from_right {
            true => (or_none(first, trailing), or_none(last, leading)),
            false => (or_none(last, leading), or_none(first, trailing)),
        };
        padding([0.0, right, 0.0, left], unit)
    }

    /// The padding in the element itself: as phones show it.
    fn inline(&self) -> String {
        let place = self.part.place;
        if self.part.context.in_group {
            return self.wide(width(self.part).unit);
        }
        let half = self.in_unit(Unit::Percent) / 2.0;
        let above = if place.index == 0 { 0.0 } else { half };
        let last = place.index + 1 == place.siblings;
        let below = if last { 0.0 } else { half };
        padding([above, 0.0, below, 0.0], Unit::Percent)
    }

    fn class(&self) -> String {
        let place = self.part.place;
        let unit = width(self.part).unit;
        let gutter = self.in_unit(unit);
        let (token, gutter) = match unit {
            Unit::Percent => ("per", six_digits(gutter)),
            Unit::Pixel | Unit::Other => ("px", gutter.round()),
        };
        format!(
            "mj-column-gutter-{}-{}-{token}-{}{}",
            place.siblings,
            place.index + 1,
            gutter.to_string().replace('.', "-"),
            if self.part.context.from_right {
                "-rtl"
            } else {
                ""
            }
        )
    }
}

fn padding(sides: [f64; 4], unit: Unit) -> String {
    let sides = sides.map(|side| match unit {
        Unit::Percent => format!("{}%", six_digits(side)),
        Unit::Pixel | Unit::Other => format!("{}px", side.round()),
    });
    sides.join(" ")
}

pub fn group(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let width = width(part);
    let kind = match width.unit {
        Unit::Percent => "per",
        Unit::Pixel | Unit::Other => "px",
    };
    let mut class = format!("mj-column-{kind}-{}", width.value.trunc());
    declare(body, &class, width);
    class.push_str(" mj-outlook-group-fix");
    if let Some(own) = at.truthy("css-class") {
        class.push(' ');
        class.push_str(own);
    }
    let css = body.html.open("div").set("class", class).style();
    css.set("font-size", "0")
        .set("line-height", "0")
        .set("text-align", "left")
        .set("display", "inline-block")
        .set("width", "100%")
        .take(at, &["direction", "vertical-align", "background-color"])
        .done();
    body.html.outlook();
    let colour = at.get("background-color");
    let table = body.html.open_table();
    let colour = colour.filter(|colour| *colour != "none");
    table.may("bgcolor", colour).done();
    body.html.raw("<tr>");
    body.html.outlook_end();
    let context = Context {
        width: inner_width(part, at.sides("padding")),
        in_group: true,
        from_right: at.is("direction", "rtl"),
        ..part.context
    };
    let handed = [("mobileWidth", "mobileWidth")];
    body.each(part, context, &handed, |body, child| {
        body.html.outlook();
        let css = body.html.open("td").style();
        css.may("align", child.attributes.get("align"))
            .take(&child.attributes, &["vertical-align"])
            .set("width", format_args!("{}px", pixels(child).round()))
            .done();
        body.html.outlook_end();
        body.component(child);
        body.html.for_outlook("</td>");
    });
    body.html.for_outlook("</tr></table>");
    body.html.close("div");
}
