//! `mj-image`: never wider than its column.

use crate::mjml::render::body::{Body, Part};
use crate::mjml::render::measure;

/// What phones need for `fluid-on-mobile`.
pub fn rules(breakpoint: &str) -> String {
    format!(
        "@media only screen and (max-width:{}) {{ table.mj-full-width-mobile {{ width: 100% !important; }} \
         td.mj-full-width-mobile {{ width: auto !important; }} }}\n",
        measure::just_below(breakpoint)
    )
}

pub fn image(body: &mut Body<'_>, part: &Part<'_>) {
    body.needs_rules("mj-image");
    let at = &part.attributes;
    let width = content_width(part);
    let full = at.is("full-width", "full-width").then_some("100%");
    let pixels = format!("{}px", width.trunc());
    let class = at.truthy("fluid-on-mobile").map(|_| "mj-full-width-mobile");

    let html = &mut body.html;
    let css = html.open_table().may("class", class).style();
    css.may("min-width", full)
        .may("max-width", full)
        .may("width", full.map(|_| &pixels))
        .set("border-collapse", "collapse")
        .set("border-spacing", "0px")
        .done();
    html.raw("<tbody>");
    html.open("tr").done();
    let css = html.open("td").may("class", class).style();
    match full {
        None => css.set("width", &pixels).done(),
        Some(_) => css.done(),
    }
    let linked = at.truthy("href").is_some();
    if linked {
        html.open("a")
            .take(at, &["href", "target", "rel", "name", "title"])
            .done();
    }
    let height = at.truthy("height").map(|height| match height {
        "auto" => height.to_owned(),
        _ => measure::int(height).to_string(),
    });
    let img = html
        .open("img")
        .take(at, &["alt", "src", "srcset", "sizes", "title"])
        .set("width", width)
        .take(at, &["usemap"])
        .may("height", height);
    img.style()
        .take(
            at,
            &[
                "border",
                "border-left",
                "border-right",
                "border-top",
                "border-bottom",
                "border-radius",
            ],
        )
        .set("display", "block")
        .set("outline", "none")
        .set("text-decoration", "none")
        .take(at, &["height", "max-height"])
        .may("min-width", full)
        .set("width", "100%")
        .may("max-width", full)
        .take(at, &["font-size"])
        .end()
        .void();
    if linked {
        html.close("a");
    }
    html.raw("</td></tr></tbody></table>");
}

fn content_width(part: &Part<'_>) -> f64 {
    let at = &part.attributes;
    let inner = part.context.width.trunc() - at.sides("padding") - at.borders("border");
    match at.truthy("width").map(measure::int) {
        Some(width) if width < inner => width,
        _ => inner,
    }
}
