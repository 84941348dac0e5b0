//! `mj-navbar`: links in a row; on phones behind a button, if asked.

use crate::mjml::render::body::{Body, Part};
use crate::mjml::render::head::raw_text;
use crate::mjml::render::measure;

/// What opens and closes the menu on phones, without any script.
pub fn rules(breakpoint: &str) -> String {
    let below = measure::just_below(breakpoint);
    let box_ = ".mj-menu-checkbox[type=\"checkbox\"]";
    format!(
        "noinput.mj-menu-checkbox {{ display:block!important; max-height:none!important; visibility:visible!important; }}\n\
         @media only screen and (max-width:{below}) {{\n\
         {box_} ~ .mj-inline-links {{ display:none!important; }}\n\
         {box_}:checked ~ .mj-inline-links, {box_} ~ .mj-menu-trigger \
         {{ display:block!important; max-width:none!important; max-height:none!important; font-size:inherit!important; }}\n\
         {box_} ~ .mj-inline-links > a {{ display:block!important; }}\n\
         {box_}:checked ~ .mj-menu-trigger .mj-menu-icon-close {{ display:block!important; }}\n\
         {box_}:checked ~ .mj-menu-trigger .mj-menu-icon-open {{ display:none!important; }}\n\
         }}\n"
    )
}

pub fn navbar(body: &mut Body<'_>, part: &Part<'_>) {
    body.needs_rules("mj-navbar");
    let at = &part.attributes;
    if at.is("hamburger", "hamburger") {
        hamburger(body, part);
    }
    let html = &mut body.html;
    html.open("div").set("class", "mj-inline-links").done();
    html.outlook();
    html.open_table().take(at, &["align"]).done();
    html.raw("<tr>");
    html.outlook_end();
    let base = at.truthy("base-url").unwrap_or_default();
    let handed = [("navbarBaseUrl", base)];
    body.each(part, part.context, &handed, |body, child| {
        body.component(child);
    });
    body.html.for_outlook("</tr></table>");
    body.html.close("div");
}

fn hamburger(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let id = format!("mj-menu-{}", body.id());
    let html = &mut body.html;
    html.raw("\n<!--[if !mso]><!-->");
    html.open("input")
        .set("type", "checkbox")
        .set("id", &id)
        .set("class", "mj-menu-checkbox")
        .set(
            "style",
            "display:none !important; max-height:0; visibility:hidden;",
        )
        .void();
    html.raw("<!--<![endif]-->");
    html.open("div")
        .set("class", "mj-menu-trigger")
        .set(
            "style",
            "display:none;max-height:0px;max-width:0px;font-size:0px;overflow:hidden;",
        )
        .done();
    let label = html
        .open("label")
        .set("for", &id)
        .set("class", "mj-menu-label")
        .may("align", at.get("ico-align"));
    label
        .style()
        .set("display", "block")
        .set("cursor", "pointer")
        .set("mso-hide", "all")
        .set("-moz-user-select", "none")
        .set("user-select", "none")
        .may("color", at.get("ico-color"))
        .may("font-size", at.get("ico-font-size"))
        .may("font-family", at.get("ico-font-family"))
        .may("text-transform", at.get("ico-text-transform"))
        .may("text-decoration", at.get("ico-text-decoration"))
        .may("line-height", at.get("ico-line-height"))
        .padding(at, "ico-")
        .done();
    for (class, style, icon) in [
        ("mj-menu-icon-open", "mso-hide:all;", "ico-open"),
        (
            "mj-menu-icon-close",
            "display:none;mso-hide:all;",
            "ico-close",
        ),
    ] {
        html.open("span")
            .set("class", class)
            .set("style", style)
            .done();
        html.raw(at.get(icon).unwrap_or_default());
        html.close("span");
    }
    html.raw("</label></div>");
}

pub fn link(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let html = &mut body.html;
    html.outlook();
    let td = html.open("td").may("class", at.classes_with("outlook"));
    td.style().padding(at, "").done();
    html.outlook_end();
    let class = match at.truthy("css-class") {
        Some(own) => format!("mj-link {own}"),
        None => "mj-link".to_owned(),
    };
    let base = at.get("navbarBaseUrl").unwrap_or_default();
    let href = at.get("href").map(|href| format!("{base}{href}"));
    html.raw("\n");
    let tag = html.open("a").set("class", class).may("href", href);
    tag.take(at, &["rel", "target", "name"])
        .style()
        .set("display", "inline-block")
        .take(
            at,
            &[
                "color",
                "font-family",
                "font-size",
                "font-style",
                "font-weight",
                "letter-spacing",
                "line-height",
                "text-decoration",
                "text-transform",
            ],
        )
        .padding(at, "")
        .done();
    html.raw(raw_text(part.element));
    html.close("a");
    html.for_outlook("</td>");
}
