//! `mj-carousel`: images behind radio buttons, with thumbnails and arrows, without any script.

use crate::mjml::render::body::{Body, Context, Part};
use crate::mjml::render::carousel::rules::rules;
use crate::mjml::render::html::Html;
use crate::mjml::render::measure;

mod rules;

/// Which carousel of the document, and how many images it has.
#[derive(Clone, Copy)]
struct Wheel {
    id: u32,
    images: usize,
}

pub fn carousel(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let images = part.element.elements();
    let wheel = Wheel {
        id: body.id(),
        images: images
            .filter(|child| child.name == "mj-carousel-image")
            .count(),
    };
    if wheel.images > 0 {
        let rules = rules(part, wheel);
        body.rules.push_str(&rules);
    }
    let context = Context {
        thumbnails: at.get("thumbnails"),
        ..part.context
    };
    body.html.raw("\n<!--[if !mso]><!-->");
    body.html.open("div").set("class", "mj-carousel").done();
    each(body, part, context, |body, _, number| {
        radio(&mut body.html, wheel, number);
    });
    let id = wheel.id;
    let content = format!("mj-carousel-content mj-carousel-{id}-content");
    let css = body.html.open("div").set("class", content).style();
    css.set("display", "table")
        .set("width", "100%")
        .set("table-layout", "fixed")
        .set("text-align", "center")
        .set("font-size", "0px")
        .done();
    if matches!(at.get("thumbnails"), Some("visible" | "supported")) {
        each(body, part, context, |body, child, number| {
            thumbnail(body, part, child, wheel, number);
        });
    }
    let table = body.html.open_table().set("width", "100%");
    let css = table.set("class", "mj-carousel-main").style();
    css.set("caption-side", "top")
        .set("display", "table-caption")
        .set("table-layout", "fixed")
        .set("width", "100%")
        .done();
    body.html.raw("<tbody>");
    body.html.open("tr").done();
    arrows(body, part, wheel, "previous");
    let td = body.html.open("td").set("style", "padding:0px;");
    td.done();
    let div = body.html.open("div");
    div.set("class", "mj-carousel-images").done();
    each(body, part, context, |body, child, number| {
        picture(body, child, number);
    });
    body.html.raw("</div></td>");
    arrows(body, part, wheel, "next");
    body.html.raw("</tr></tbody></table></div></div>");
    body.html.raw("<!--<![endif]-->");

    body.html.raw("\n<!--[if mso]>");
    each(body, part, context, |body, child, number| {
        if number == 1 {
            picture(body, child, number);
        }
    });
    body.html.raw("<![endif]-->");
}

/// Goes over the images, numbered from 1. What is raw has no place among them.
fn each<'a>(
    body: &mut Body<'a>,
    part: &Part<'_>,
    context: Context<'_>,
    mut write: impl FnMut(&mut Body<'a>, &Part<'_>, usize),
) {
    let mut number = 0;
    let handed = part.attributes.handed_down();
    body.each(part, context, &handed, |body, child| {
        if child.element.name == "mj-carousel-image" {
            number += 1;
            write(body, child, number);
        }
    });
}

/// An image outside a carousel has nothing to be chosen by: it is the first of one.
pub fn image(body: &mut Body<'_>, part: &Part<'_>) {
    picture(body, part, part.place.index + 1);
}

fn radio(html: &mut Html, wheel: Wheel, number: usize) {
    let id = wheel.id;
    let class = format!("mj-carousel-radio mj-carousel-{id}-radio mj-carousel-{id}-radio-{number}");
    let checked = (number == 1).then_some("checked");
    html.open("input")
        .set("class", class)
        .may("checked", checked)
        .set("type", "radio")
        .set("name", format_args!("mj-carousel-radio-{id}"))
        .set("id", format_args!("mj-carousel-{id}-radio-{number}"))
        .set("style", "display:none;mso-hide:all;")
        .void();
}

fn thumbnail(body: &mut Body<'_>, part: &Part<'_>, child: &Part<'_>, wheel: Wheel, number: usize) {
    let own = &child.attributes;
    let id = wheel.id;
    let width = own.get("tb-width").or(part.attributes.truthy("tb-width"));
    let width = width.unwrap_or("110px");
    let thumbnails = own.truthy("thumbnails").or(child.context.thumbnails);
    let display = match thumbnails {
        Some("supported") => "none",
        _ => "inline-block",
    };
    let class = own.classes_with("thumbnail").unwrap_or_default();
    let tag = body
        .html
        .open("a")
        .set("href", format_args!("#{number}"))
        .take(own, &["target"])
        .set(
            "class",
            format_args!(
                "mj-carousel-thumbnail mj-carousel-{id}-thumbnail \
                 mj-carousel-{id}-thumbnail-{number} {class}"
            ),
        );
    tag.style()
        .may("border", own.get("tb-border"))
        .may("border-radius", own.get("tb-border-radius"))
        .set("display", display)
        .set("overflow", "hidden")
        .set("width", width)
        .done();
    let label = body.html.open("label");
    label
        .set("for", format_args!("mj-carousel-{id}-radio-{number}"))
        .done();
    let source = own.truthy("thumbnails-src").or(own.get("src"));
    let img = body.html.open("img").may("src", source);
    img.may("alt", own.get("alt"))
        .set("width", measure::int(width))
        .set("style", "display:block;width:100%;height:auto;")
        .void();
    body.html.raw("</label></a>");
}

fn arrows(body: &mut Body<'_>, part: &Part<'_>, wheel: Wheel, direction: &str) {
    let at = &part.attributes;
    let (icon, sign) = match direction {
        "previous" => ("left-icon", "&#8249;"),
        _ => ("right-icon", "&#8250;"),
    };
    let width = at.get("icon-width").unwrap_or_default();
    let html = &mut body.html;
    let td = html
        .open("td")
        .set("class", format_args!("mj-carousel-{}-icons-cell", wheel.id));
    td.set(
        "style",
        "font-size:0px;display:none;mso-hide:all;padding:0px;",
    )
    .done();
    html.open("div")
        .set("class", format_args!("mj-carousel-{direction}-icons"))
        .set("style", "display:none;mso-hide:all;")
        .done();
    for number in 1..=wheel.images {
        let label = html.open("label").set(
            "for",
            format_args!("mj-carousel-{}-radio-{number}", wheel.id),
        );
        let class = format!("mj-carousel-{direction} mj-carousel-{direction}-{number}");
        label.set("class", class).done();
        match at.get(icon) {
            Some(source) => {
                let img = html.open("img").set("src", source).set("alt", direction);
                img.set("width", measure::int(width))
                    .style()
                    .set("display", "block")
                    .set("width", width)
                    .set("height", "auto")
                    .end()
                    .void();
            }
            // Nothing is fetched from other hosts: a sign stands for the icon.
            None => {
                let span = html.open("span").style().set("display", "block");
                span.set("width", width).set("font-size", "36px").done();
                html.raw(sign);
                html.close("span");
            }
        }
        html.close("label");
    }
    html.raw("</div></td>");
}

fn picture(body: &mut Body<'_>, child: &Part<'_>, number: usize) {
    let own = &child.attributes;
    let class = own.get("css-class").unwrap_or_default();
    let class = format!("mj-carousel-image mj-carousel-image-{number} {class}");
    let hidden = (number > 1).then_some("display:none;mso-hide:all;");
    let html = &mut body.html;
    let div = html.open("div").set("class", class);
    div.may("style", hidden).done();
    let href = own.truthy("href");
    if let Some(href) = href {
        let a = html.open("a").set("href", href).take(own, &["rel"]);
        a.set("target", "_blank").done();
    }
    let width = child.context.width;
    let img = html.open("img").take(own, &["title", "src", "alt"]);
    let css = img.set("width", width.trunc()).set("border", "0").style();
    css.take(own, &["border-radius"])
        .set("display", "block")
        .set("width", format_args!("{width}px"))
        .set("max-width", "100%")
        .set("height", "auto")
        .end()
        .void();
    if href.is_some() {
        html.close("a");
    }
    html.close("div");
}
