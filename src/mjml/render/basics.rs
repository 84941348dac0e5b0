//! Text, button, divider, spacer and table.

use crate::mjml::render::body::{Body, Part};
use crate::mjml::render::head::raw_text;
use crate::mjml::render::measure::{self, Unit, Width};

pub fn text(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let height = at.truthy("height");
    if let Some(height) = height {
        body.html.outlook();
        body.html.open_table().done();
        body.html.open("tr").done();
        let td = body.html.open("td").set("height", height);
        td.style()
            .set("vertical-align", "top")
            .set("height", height)
            .done();
        body.html.outlook_end();
    }
    let css = body.html.open("div").style();
    css.take(
        at,
        &[
            "font-family",
            "font-size",
            "font-style",
            "font-weight",
            "letter-spacing",
            "line-height",
        ],
    )
    .may("text-align", at.get("align"))
    .take(
        at,
        &["text-decoration", "text-transform", "color", "height"],
    )
    .done();
    body.html.raw(raw_text(part.element));
    body.html.close("div");
    if height.is_some() {
        body.html.for_outlook("</td></tr></table>");
    }
}

pub fn button(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let html = &mut body.html;
    let css = html.open_table().style().set("border-collapse", "separate");
    css.take(at, &["width"]).set("line-height", "100%").done();
    html.raw("<tbody>");
    html.open("tr").done();
    let background = at.get("background-color");
    let td = html
        .open("td")
        .set("align", "center")
        .may("bgcolor", background.filter(|colour| *colour != "none"))
        .set("role", "presentation")
        .may("valign", at.get("vertical-align"));
    td.style()
        .take(
            at,
            &[
                "border",
                "border-bottom",
                "border-left",
                "border-radius",
                "border-right",
                "border-top",
            ],
        )
        .set("cursor", "auto")
        .take(at, &["font-style", "height"])
        .may("mso-padding-alt", at.get("inner-padding"))
        .take(at, &["text-align"])
        .may("background", background)
        .done();
    let link = at.truthy("href").is_some();
    let name = if link { "a" } else { "p" };
    let tag = html
        .open(name)
        .take(at, &["href", "name", "rel", "title"])
        .may("target", at.get("target").filter(|_| link));
    tag.style()
        .set("display", "inline-block")
        .may("width", inner_width(part))
        .may("background", background)
        .take(
            at,
            &[
                "color",
                "font-family",
                "font-size",
                "font-style",
                "font-weight",
                "line-height",
                "letter-spacing",
            ],
        )
        .set("margin", "0")
        .take(at, &["text-decoration", "text-transform"])
        .may("padding", at.get("inner-padding"))
        .set("mso-padding-alt", "0px")
        .take(at, &["border-radius"])
        .done();
    html.raw(raw_text(part.element));
    html.close(name);
    html.raw("</td></tr></tbody></table>");
}

/// A button's width in pixels without its border and inner padding; percent cannot be told.
fn inner_width(part: &Part<'_>) -> Option<String> {
    let at = &part.attributes;
    let width = Width::of(at.truthy("width")?);
    let inner = width.value - at.sides("inner-padding") - at.borders("border");
    (width.unit == Unit::Pixel).then(|| format!("{inner}px"))
}

pub fn divider(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let margin = match at.get("align") {
        Some("left") => "0px",
        Some("right") => "0px 0px 0px auto",
        _ => "0px auto",
    };
    let line = ["border-style", "border-width", "border-color"];
    let line = line.map(|name| at.get(name).unwrap_or_default()).join(" ");
    let html = &mut body.html;
    let css = html.open("p").style().set("border-top", &line);
    css.set("font-size", "1px")
        .set("margin", margin)
        .take(at, &["width"])
        .done();
    html.close("p");

    let width = at.get("width").unwrap_or_default();
    let inner = part.context.width.trunc() - at.sides("padding");
    let parsed = Width::of(width);
    let width = match parsed.unit {
        Unit::Percent => format!("{}px", inner * (parsed.value.trunc() / 100.0)),
        Unit::Pixel => width.to_owned(),
        Unit::Other => format!("{inner}px"),
    };
    html.outlook();
    let table = html
        .open_table()
        .take(at, &["align"])
        .set("width", &width)
        .style();
    table
        .set("border-top", &line)
        .set("font-size", "1px")
        .set("margin", margin)
        .set("width", &width)
        .done();
    html.raw("<tr><td style=\"height:0;line-height:0;\">&nbsp;</td></tr></table>");
    html.outlook_end();
}

pub fn spacer(body: &mut Body<'_>, part: &Part<'_>) {
    let height = part.attributes.get("height");
    let css = body.html.open("div").style().may("height", height);
    css.may("line-height", height).done();
    // A hair space: some programs drop a block without any text.
    body.html.raw("&#8202;");
    body.html.close("div");
}

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
