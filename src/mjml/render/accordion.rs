//! `mj-accordion`: titles that unfold their texts, without any script.

use crate::mjml::render::attributes::Attributes;
use crate::mjml::render::body::{Body, Context, Part};
use crate::mjml::render::head::raw_text;

/// What folds and unfolds.
pub const RULES: &str = "noinput.mj-accordion-checkbox { display:block!important; }
@media yahoo, only screen and (min-width:0) {
.mj-accordion-element { display:block; }
.mj-accordion-checkbox[type=\"checkbox\"], .mj-accordion-less { display:none!important; }
.mj-accordion-checkbox[type=\"checkbox\"] + * .mj-accordion-title { cursor:pointer; touch-action:manipulation; -webkit-user-select:none; -moz-user-select:none; user-select:none; }
.mj-accordion-checkbox[type=\"checkbox\"] + * .mj-accordion-content { overflow:hidden; display:none; }
.mj-accordion-checkbox[type=\"checkbox\"] + * .mj-accordion-more { display:block!important; }
.mj-accordion-checkbox:checked + * .mj-accordion-content { display:block; }
.mj-accordion-checkbox:checked + * .mj-accordion-more { display:none!important; }
.mj-accordion-checkbox:checked + * .mj-accordion-less { display:block!important; }
}
.moz-text-html input.mj-accordion-checkbox + * .mj-accordion-title { cursor:auto; touch-action:auto; -webkit-user-select:auto; -moz-user-select:auto; user-select:auto; }
.moz-text-html input.mj-accordion-checkbox + * .mj-accordion-content { overflow:hidden; display:block; }
.moz-text-html input.mj-accordion-checkbox + * .mj-accordion-ico { display:none; }
@goodbye { @gmail }
";

pub fn accordion(body: &mut Body<'_>, part: &Part<'_>) {
    body.needs_rules("mj-accordion");
    let at = &part.attributes;
    let table = body.html.open("table").set("cellspacing", "0");
    let css = table
        .set("cellpadding", "0")
        .set("class", "mj-accordion")
        .style();
    css.set("width", "100%")
        .set("border-collapse", "collapse")
        .take(at, &["border"])
        .set("border-bottom", "none")
        .take(at, &["font-family"])
        .done();
    body.html.raw("<tbody>");
    let context = Context {
        accordion_font: at.get("font-family"),
        ..part.context
    };
    body.each(part, context, &at.handed_down(), |body, child| {
        body.component(child);
    });
    body.html.raw("</tbody></table>");
}

pub fn element(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    body.html
        .open("tr")
        .may("class", at.get("css-class"))
        .done();
    let css = body.html.open("td").style().set("padding", "0px");
    css.take(at, &["background-color"]).done();
    let label = body.html.open("label").set("class", "mj-accordion-element");
    let css = label.style().set("font-size", "13px");
    css.take(at, &["font-family"]).done();
    body.html.raw(
        "<!--[if !mso | IE]><!--><input class=\"mj-accordion-checkbox\" type=\"checkbox\" \
         style=\"display:none;\" /><!--<![endif]-->",
    );
    body.html.open("div").done();
    let context = Context {
        element_font: at.get("font-family"),
        ..part.context
    };
    let handed = at.handed_down();
    let has = |kind: &str| part.element.elements().any(|child| child.name == kind);
    if !has("mj-accordion-title") {
        let missing = Attributes::of_missing(&body.head.cascade, "mj-accordion-title", &handed);
        write_title(body, &missing, font(None, &missing, &context), "");
    }
    body.each(part, context, &handed, |body, child| {
        body.component(child);
    });
    if !has("mj-accordion-text") {
        let missing = Attributes::of_missing(&body.head.cascade, "mj-accordion-text", &handed);
        write_text(body, &missing, font(None, &missing, &context), "");
    }
    body.html.raw("</div></label></td></tr>");
}

/// The element's own font, else that of the element around it, else that of the accordion.
fn font<'f>(
    part: Option<&Part<'_>>,
    at: &'f Attributes<'_>,
    context: &Context<'f>,
) -> Option<&'f str> {
    if part.is_some_and(|part| part.element.attribute("font-family").is_some()) {
        return at.get("font-family");
    }
    let filled = |font: &&str| !font.is_empty();
    let around = context.element_font.filter(filled);
    around.or(context.accordion_font.filter(filled))
}

pub fn title(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let font = font(Some(part), at, &part.context);
    write_title(body, at, font, raw_text(part.element));
}

fn write_title(body: &mut Body<'_>, at: &Attributes<'_>, font: Option<&str>, text: &str) {
    open_table(body, at, "mj-accordion-title");
    let right = at.is("icon-position", "right");
    if !right {
        icons(body, at);
    }
    let td = body.html.open("td").may("class", at.get("css-class"));
    td.style()
        .set("width", "100%")
        .take(at, &["background-color", "color", "font-size"])
        .may("font-family", font)
        .take(at, &["font-weight"])
        .padding(at, "")
        .done();
    body.html.raw(text);
    body.html.close("td");
    if right {
        icons(body, at);
    }
    body.html.raw("</tr></tbody></table></div>");
}

fn open_table(body: &mut Body<'_>, at: &Attributes<'_>, class: &str) {
    body.html.open("div").set("class", class).done();
    let table = body.html.open("table").set("cellspacing", "0");
    let css = table.set("cellpadding", "0").style().set("width", "100%");
    css.may("border-bottom", at.get("border")).done();
    body.html.raw("<tbody>");
    body.html.open("tr").done();
}

fn icons(body: &mut Body<'_>, at: &Attributes<'_>) {
    let icons = [
        ("mj-accordion-more", "icon-wrapped"),
        ("mj-accordion-less", "icon-unwrapped"),
    ];
    body.html.raw("<!--[if !mso | IE]><!-->");
    let td = body.html.open("td").set("class", "mj-accordion-ico");
    td.style()
        .set("padding", "16px")
        .may("background", at.get("background-color"))
        .may("vertical-align", at.get("icon-align"))
        .done();
    for (class, name) in icons {
        let alt = at.get(&format!("{name}-alt")).unwrap_or_default();
        let Some(source) = at.get(&format!("{name}-url")) else {
            // Nothing is fetched from other hosts: the sign itself stands for the icon.
            body.html
                .open("span")
                .set("class", class)
                .set("style", "display:none;font-size:24px;line-height:32px;")
                .done();
            body.html.raw(alt);
            body.html.close("span");
            continue;
        };
        let img = body.html.open("img").set("src", source).set("alt", alt);
        img.set("class", class)
            .style()
            .set("display", "none")
            .may("width", at.get("icon-width"))
            .may("height", at.get("icon-height"))
            .end()
            .void();
    }
    body.html.close("td");
    body.html.raw("<!--<![endif]-->");
}

pub fn text(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let font = font(Some(part), at, &part.context);
    write_text(body, at, font, raw_text(part.element));
}

fn write_text(body: &mut Body<'_>, at: &Attributes<'_>, font: Option<&str>, text: &str) {
    open_table(body, at, "mj-accordion-content");
    let td = body.html.open("td").may("class", at.get("css-class"));
    td.style()
        .may("background", at.get("background-color"))
        .take(at, &["font-size"])
        .may("font-family", font)
        .take(
            at,
            &["font-weight", "letter-spacing", "line-height", "color"],
        )
        .padding(at, "")
        .done();
    body.html.raw(text);
    body.html.raw("</td></tr></tbody></table></div>");
}
