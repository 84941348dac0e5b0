//! Text, button, divider and spacer, as mrml's AST.
//!
//! Leaves their drawing to mrml, and corrects by what it is told what it draws unlike mjml.

use mrml::mj_body::MjBodyChild;
use mrml::mj_button::MjButton;
use mrml::mj_divider::MjDivider;
use mrml::mj_raw::MjRawChild;
use mrml::mj_spacer::MjSpacer;
use mrml::mj_text::MjText;
use mrml::text::Text;

use crate::mjml::render::ast::{self, Drawing};
use crate::mjml::render::body::{Body, Part};
use crate::mjml::render::head::raw_text;

pub fn text(body: &mut Body<'_>, part: &Part<'_>) {
    let mut attributes = ast::attributes(part);
    if part.attributes.truthy("height").is_none() {
        ast::change(&mut attributes, "height", None);
    }
    let content = MjRawChild::Text(Text::from(raw_text(part.element)));
    let text = MjText::new(attributes, vec![content]);
    body.html.hand_over(Drawing::of(MjBodyChild::MjText(text)));
}

pub fn button(body: &mut Body<'_>, part: &Part<'_>) {
    let at = &part.attributes;
    let mut attributes = ast::attributes(part);
    // Without a target it is no link, yet an empty `href` stands in it.
    let (tag, empty) = match at.truthy("href") {
        Some(_) => ("<a", None),
        None => ("<p", attributes.remove("href").flatten()),
    };
    // The same to CSS, but as the colour of a cell `none` is one to some programs.
    if at.is("background-color", "none") {
        let colour = Some("transparent".to_owned());
        ast::change(&mut attributes, "background-color", colour);
    }
    // mrml would take the inner padding off the width, and forget the border.
    let taken = at.sides("inner-padding") + at.borders("border");
    let taken = Some(format!("{taken}px"));
    ast::change(&mut attributes, "inner-padding-left", taken);
    ast::change(&mut attributes, "inner-padding-right", Some("0px".into()));
    let content = MjBodyChild::Text(Text::from(raw_text(part.element)));
    let button = MjButton::new(attributes, vec![content]);
    let drawing = Drawing::of(MjBodyChild::MjButton(button));
    let drawing = drawing.with(tag, "href", empty.as_deref());
    body.html
        .hand_over(drawing.with(tag, "title", at.get("title")));
}

pub fn divider(body: &mut Body<'_>, part: &Part<'_>) {
    let mut attributes = ast::attributes(part);
    // Its width in Outlook is a share of what the padding leaves of the room.
    let inner = part.context.width.trunc() - part.attributes.sides("padding");
    let rest = Some(format!("{}px", ast::ROOM - inner));
    ast::change(&mut attributes, "padding-left", rest);
    ast::change(&mut attributes, "padding-right", Some("0px".into()));
    let divider = MjDivider::new(attributes, ());
    body.html
        .hand_over(Drawing::of(MjBodyChild::MjDivider(divider)));
}

pub fn spacer(body: &mut Body<'_>, part: &Part<'_>) {
    let spacer = MjSpacer::new(ast::attributes(part), ());
    body.html
        .hand_over(Drawing::of(MjBodyChild::MjSpacer(spacer)));
}
