//! `mj-hero`: components over a background image, as high as told or as the image.

use crate::mjml::render::body::{Body, Context, Part};
use crate::mjml::render::column;
use crate::mjml::render::measure::{self, Side};

pub fn hero(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let width = part.context.width;
    let pixels = format!("{width}px");
    let html = &mut body.html;
    html.outlook();
    let table = html.open_table().set("align", "center");
    let css = table.set("width", width.trunc()).style();
    css.set("width", &pixels).done();
    html.raw("<tr><td style=\"line-height:0;font-size:0;mso-line-height-rule:exactly;\">");
    let image = html.open("v:image").style().set("border", "0");
    image
        .may("height", at.get("background-height"))
        .set("mso-position-horizontal", "center")
        .set("position", "absolute")
        .set("top", "0")
        .set("width", at.truthy("background-width").unwrap_or(&pixels))
        .set("z-index", "-3")
        .end()
        .may("src", at.get("background-url"))
        .set("xmlns:v", "urn:schemas-microsoft-com:vml")
        .void();
    html.outlook_end();
    let div = html.open("div").take(at, &["align"]);
    div.may("class", at.get("css-class"))
        .style()
        .set("margin", "0 auto")
        .set("max-width", &pixels)
        .done();
    html.open_table().set("style", "width:100%;").done();
    html.raw("<tbody>");
    html.open("tr").set("style", "vertical-align:top;").done();

    let ratio = fluid_ratio(part);
    if let Some(ratio) = ratio {
        edge(body, ratio);
    }
    let td = body.html.open("td");
    let td = td.may("background", at.get("background-url"));
    let height = match ratio {
        Some(_) => None,
        None => {
            let height = measure::int(at.get("height").unwrap_or_default());
            Some(height - at.side("padding", Side::Top) - at.side("padding", Side::Bottom))
        }
    };
    td.may("height", height)
        .style()
        .set("background", background(part))
        .take(at, &["background-position"])
        .set("background-repeat", "no-repeat")
        .take(at, &["border-radius"])
        .padding(at, "")
        .take(at, &["vertical-align"])
        .may("height", height.map(|height| format!("{height}px")))
        .done();
    content(body, part);
    body.html.close("td");
    if let Some(ratio) = ratio {
        edge(body, ratio);
    }
    body.html.raw("</tr></tbody></table></div>");
    body.html.for_outlook("</td></tr></table>");
}

/// The height of the image in percent of its width, where the hero follows it.
fn fluid_ratio(part: &Part<'_>) -> Option<f64> {
    let at = &part.attributes;
    if !at.is("mode", "fluid-height") {
        return None;
    }
    let side = |name| measure::int(at.get(name).unwrap_or_default());
    Some((side("background-height") / side("background-width") * 100.0).round())
}

/// A cell beside the content that keeps the height: padding in percent follows the width.
fn edge(body: &mut Body<'_>, ratio: f64) {
    let css = body.html.open("td").style().set("width", "0.01%");
    css.set("padding-bottom", format_args!("{ratio}%"))
        .set("mso-padding-bottom-alt", "0")
        .done();
    body.html.close("td");
}

fn background(part: &Part<'_>) -> String {
    let at = &part.attributes;
    let colour = at.truthy("background-color").map(str::to_owned);
    let image = at.truthy("background-url").map(|url| {
        let position = at.get("background-position").unwrap_or_default();
        format!("url('{url}') no-repeat {position} / cover")
    });
    let both: Vec<String> = colour.into_iter().chain(image).collect();
    both.join(" ")
}

fn content(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let inner = part.context.width - at.sides("padding");
    let html = &mut body.html;
    html.outlook();
    let table = html.open("table").take(at, &["align"]);
    let css = table
        .set("border", "0")
        .set("cellpadding", "0")
        .set("cellspacing", "0")
        .set("width", inner.trunc())
        .style();
    css.set("width", format_args!("{inner}px")).done();
    html.raw("<tr>");
    let css = html.open("td").style();
    css.may("background-color", at.get("inner-background-color"))
        .padding(at, "inner-")
        .done();
    html.outlook_end();
    let div = html.open("div").take(at, &["align"]);
    div.set("class", "mj-hero-content")
        .style()
        .may("background-color", at.get("inner-background-color"))
        .may("float", at.get("align"))
        .set("margin", "0px auto")
        .take(at, &["width"])
        .padding(at, "inner-")
        .done();
    for opening in ["<tbody><tr><td>", "<tbody>"] {
        let css = html.open_table().style().set("width", "100%");
        css.set("margin", "0px").done();
        html.raw(opening);
    }
    let context = Context {
        width: inner,
        ..part.context
    };
    body.each(part, context, &[], |body, child| {
        column::row(body, child, true);
    });
    body.html
        .raw("</tbody></table></td></tr></tbody></table></div>");
    body.html.for_outlook("</td></tr></table>");
}
