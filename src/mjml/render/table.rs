//! `mj-table`: a table of the author's.

use crate::mjml::render::body::{Body, Part};
use crate::mjml::render::head::raw_text;
use crate::mjml::render::measure::{self, Unit, Width};

pub fn table(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let width = at.get("width").unwrap_or_default();
    let parsed = Width::of(width);
    let width = match parsed.unit {
        _ if width == "auto" => width.to_owned(),
        Unit::Percent => width.to_owned(),
        Unit::Pixel | Unit::Other => parsed.value.to_string(),
    };
    let spacing = at.get("cellspacing").unwrap_or_default();
    let digits: String = spacing
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let spaced = measure::float(&digits) > 0.0;
    let html = &mut body.html;
    let tag = html
        .open("table")
        .take(at, &["cellpadding", "cellspacing", "role"])
        .set("width", width)
        .set("border", "0");
    tag.style()
        .take(
            at,
            &[
                "color",
                "font-family",
                "font-size",
                "line-height",
                "table-layout",
                "width",
                "border",
            ],
        )
        .may("border-collapse", spaced.then_some("separate"))
        .done();
    html.raw(raw_text(part.element));
    html.close("table");
}
