//! `mj-image`, as mrml's AST: never wider than its column.

use mrml::mj_body::MjBodyChild;
use mrml::mj_image::MjImage;

use crate::mjml::render::ast::{self, Drawing};
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
    let mut attributes = ast::attributes(part);
    // The one default that mrml has not.
    if !attributes.contains_key("alt") {
        ast::change(&mut attributes, "alt", Some(String::new()));
    }
    let width = Some(format!("{}px", content_width(part).trunc()));
    ast::change(&mut attributes, "width", width);
    let fluid = at.truthy("fluid-on-mobile").map(|_| "true".to_owned());
    ast::change(&mut attributes, "fluid-on-mobile", fluid);
    // No attribute of mjml's table, but mjml looks for it.
    if at.is("full-width", "full-width") {
        ast::change(&mut attributes, "full-width", Some("full-width".into()));
    }
    // mrml looks for the sides of the border under these names.
    for (name, side) in [
        ("left", "border-left"),
        ("right", "border-right"),
        ("top", "border-top"),
        ("bottom", "border-bottom"),
    ] {
        let border = attributes.remove(side).flatten();
        ast::change(&mut attributes, name, border);
    }
    let link = at.truthy("href").is_some();
    if !link {
        ast::change(&mut attributes, "href", None);
    }
    let image = MjImage::new(attributes, ());
    let drawing = Drawing::of(MjBodyChild::MjImage(image));
    let title = at.get("title").filter(|_| link);
    let drawing = drawing.with("<a", "title", title);
    body.html
        .hand_over(drawing.with("<img", "sizes", at.get("sizes")));
}

fn content_width(part: &Part<'_>) -> f64 {
    let at = &part.attributes;
    let inner = part.context.width.trunc() - at.sides("padding") - at.borders("border");
    match at.truthy("width").map(measure::int) {
        Some(width) if width < inner => width,
        _ => inner,
    }
}
