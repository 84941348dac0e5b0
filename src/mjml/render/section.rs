//! `mj-section` and `mj-wrapper`: a band of the page, with the background that Outlook needs VML for.

use crate::mjml::render::body::{Body, Context, Part};
use crate::mjml::render::column;

pub fn section(body: &mut Body<'_>, part: &Part<'_>) {
    let section = Section::of(part);
    if section.full_width {
        section.full(body);
    } else {
        section.before(body);
        section.with_background(body, |body| section.band(body));
        section.after(body);
    }
}

struct Section<'s, 'p> {
    part: &'s Part<'p>,
    full_width: bool,
    background_url: Option<&'s str>,
    /// Horizontal and vertical.
    position: (&'s str, &'s str),
    /// Space above, unless it is the first one.
    gap: Option<&'s str>,
}

impl<'s, 'p> Section<'s, 'p> {
    fn of(part: &'s Part<'p>) -> Section<'s, 'p> {
        let at = &part.attributes;
        let position = position(at.get("background-position").unwrap_or_default());
        Section {
            part,
            full_width: at.is("full-width", "full-width"),
            background_url: at.get("background-url"),
            position: (
                at.truthy("background-position-x").unwrap_or(position.0),
                at.truthy("background-position-y").unwrap_or(position.1),
            ),
            gap: part.context.gap.filter(|_| part.place.index > 0),
        }
    }

    /// The declarations of the background.
    fn background(&self) -> Vec<(&'static str, String)> {
        let at = &self.part.attributes;
        let colour = at.get("background-color");
        let Some(url) = self.background_url.filter(|url| !url.is_empty()) else {
            let colour = colour.into_iter();
            let both = |colour: &str| {
                let names = ["background", "background-color"];
                names.map(|name| (name, colour.to_owned()))
            };
            return colour.flat_map(both).collect();
        };
        let position = format!("{} {}", self.position.0, self.position.1);
        let size = at.get("background-size").unwrap_or_default();
        let repeat = at.get("background-repeat").unwrap_or_default();
        let mut all = format!("url('{url}') {position} / {size} {repeat}");
        if let Some(colour) = colour.filter(|colour| !colour.is_empty()) {
            all.insert_str(0, &format!("{colour} "));
        }
        vec![
            ("background", all),
            ("background-position", position),
            ("background-repeat", repeat.to_owned()),
            ("background-size", size.to_owned()),
        ]
    }

    /// A table over the whole width of the window.
    fn full(&self, body: &mut Body<'_>) {
        let table = body
            .html
            .open_table()
            .set("align", "center")
            .may("class", self.part.attributes.get("css-class"))
            .may("background", self.background_url);
        let mut css = table.style();
        for (name, value) in self.background() {
            css = css.set(name, value);
        }
        css.set("width", "100%").done();
        body.html.raw("<tbody><tr><td>");
        self.with_background(body, |body| {
            self.before(body);
            self.band(body);
            self.after(body);
        });
        body.html.raw("</td></tr></tbody></table>");
    }

    fn before(&self, body: &mut Body<'_>) {
        let at = &self.part.attributes;
        let width = self.part.context.width;
        let colour = at.truthy("background-color");
        let colour = colour.filter(|_| self.part.context.gap.is_none_or(str::is_empty));
        body.html.outlook();
        let table = body
            .html
            .open_table()
            .set("align", "center")
            .may("class", at.classes_with("outlook"))
            .set("width", width.trunc())
            .may("bgcolor", colour);
        table
            .style()
            .set("width", format_args!("{width}px"))
            .may("padding-top", self.gap)
            .done();
        body.html
            .raw("<tr><td style=\"line-height:0px;font-size:0px;mso-line-height-rule:exactly;\">");
        body.html.outlook_end();
    }

    fn after(&self, body: &mut Body<'_>) {
        body.html.for_outlook("</td></tr></table>");
    }

    /// The band itself, as wide as the page.
    fn band(&self, body: &mut Body<'_>) {
        let at = &self.part.attributes;
        let radius = at.truthy("border-radius");
        let background = match self.full_width {
            true => Vec::new(),
            false => self.background(),
        };
        let class = at.get("css-class").filter(|_| !self.full_width);
        let mut css = body.html.open("div").may("class", class).style();
        for (name, value) in &background {
            css = css.set(name, value);
        }
        css.set("margin", "0px auto")
            .set("max-width", format_args!("{}px", self.part.context.width))
            .take(at, &["border-radius"])
            .may("overflow", radius.map(|_| "hidden"))
            .may("margin-top", self.gap)
            .done();
        if self.background_url.is_some() {
            let inner = body.html.open("div").style();
            inner.set("line-height", "0").set("font-size", "0").done();
        }
        let table = body.html.open_table().set("align", "center").may(
            "background",
            self.background_url.filter(|_| !self.full_width),
        );
        let mut css = table.style();
        for (name, value) in &background {
            css = css.set(name, value);
        }
        css.set("width", "100%")
            .may("border-collapse", radius.map(|_| "separate"))
            .done();
        body.html.raw("<tbody>");
        body.html.open("tr").done();
        let css = body.html.open("td").style();
        css.take(
            at,
            &[
                "border",
                "border-bottom",
                "border-left",
                "border-right",
                "border-top",
                "border-radius",
                "direction",
            ],
        )
        .set("font-size", "0px")
        .padding(at, "")
        .take(at, &["text-align"])
        .done();
        body.html.outlook();
        body.html.open_table().done();
        body.html.outlook_end();
        self.children(body);
        body.html.for_outlook("</table>");
        body.html.raw("</td></tr></tbody></table>");
        if self.background_url.is_some() {
            body.html.close("div");
        }
        body.html.close("div");
    }

    fn children(&self, body: &mut Body<'_>) {
        let at = &self.part.attributes;
        let outer = self.part.context.width.trunc();
        let context = Context {
            width: outer - at.sides("padding") - at.borders("border"),
            gap: at.get("gap"),
            gutter: at.get("gutter"),
            from_right: at.is("direction", "rtl"),
            ..self.part.context
        };
        if self.part.element.name == "mj-wrapper" {
            let width = format!("{}px", self.part.context.width);
            body.each(self.part, context, &[], |body, child| {
                body.html.outlook();
                body.html.raw("<tr>");
                let td = body.html.open("td").take(&child.attributes, &["align"]);
                td.may("class", child.attributes.classes_with("outlook"))
                    .set("width", &width)
                    .done();
                body.html.outlook_end();
                body.component(child);
                body.html.for_outlook("</td></tr>");
            });
            return;
        }
        body.html.for_outlook("<tr>");
        body.each(self.part, context, &[], |body, child| {
            body.html.outlook();
            let td = body.html.open("td").take(&child.attributes, &["align"]);
            let td = td.may("class", child.attributes.classes_with("outlook"));
            column::outlook_cell(child, td.style()).done();
            body.html.outlook_end();
            body.component(child);
            body.html.for_outlook("</td>");
        });
        body.html.for_outlook("</tr>");
    }

    /// Puts VML with the background image around `content`, where there is one.
    fn with_background(&self, body: &mut Body<'_>, content: impl FnOnce(&mut Body<'_>)) {
        let Some(url) = self.background_url else {
            return content(body);
        };
        let at = &self.part.attributes;
        let vml = Vml::of(self);
        body.html.outlook();
        let rect = body.html.open("v:rect").style();
        let rect = match self.full_width {
            true => rect.set("mso-width-percent", "1000"),
            false => rect.set("width", format_args!("{}px", self.part.context.width)),
        };
        rect.end()
            .set("xmlns:v", "urn:schemas-microsoft-com:vml")
            .set("fill", "true")
            .set("stroke", "false")
            .done();
        let fill = body.html.open("v:fill").set("origin", &vml.place);
        fill.set("position", &vml.place)
            .set("src", url)
            .may("color", at.get("background-color"))
            .set("type", vml.kind)
            .may("size", vml.size)
            .may("aspect", vml.aspect)
            .void();
        body.html
            .raw("<v:textbox style=\"mso-fit-shape-to-text:true\" inset=\"0,0,0,0\">");
        body.html.outlook_end();
        content(body);
        body.html.for_outlook("</v:textbox></v:rect>");
    }
}

/// How Outlook is told about a background.
struct Vml {
    place: String,
    kind: &'static str,
    size: Option<String>,
    aspect: Option<&'static str>,
}

impl Vml {
    fn of(section: &Section<'_, '_>) -> Vml {
        let at = &section.part.attributes;
        let size = at.get("background-size").unwrap_or_default();
        let repeat = at.get("background-repeat");
        let (size, aspect) = match size {
            // The old way: Outlook cannot use the image's own size with a frame.
            "auto" => {
                return Vml {
                    place: "0.5, 0".into(),
                    kind: "tile",
                    size: None,
                    aspect: None,
                };
            }
            "cover" => ("1,1".to_owned(), Some("atleast")),
            "contain" => ("1,1".to_owned(), Some("atmost")),
            other if other.contains(' ') => (other.replace(' ', ","), None),
            other => (other.to_owned(), Some("atmost")),
        };
        let coordinate = |value: &str, otherwise: f64| {
            let percent = match value {
                "left" | "top" => 0.0,
                "center" => 50.0,
                "right" | "bottom" => 100.0,
                _ => percent(value).unwrap_or(otherwise),
            };
            match repeat {
                Some("repeat") => percent / 100.0,
                _ => (percent - 50.0) / 100.0,
            }
        };
        Vml {
            place: format!(
                "{}, {}",
                coordinate(section.position.0, 50.0),
                coordinate(section.position.1, 0.0)
            ),
            kind: match repeat {
                Some("no-repeat") => "frame",
                _ => "tile",
            },
            size: Some(size),
            aspect,
        }
    }
}

fn percent(value: &str) -> Option<f64> {
    let number = value.strip_suffix('%')?;
    number.parse::<f64>().ok().map(f64::trunc)
}

/// Horizontal and vertical, in whichever order they were written.
fn position(value: &str) -> (&str, &str) {
    let words: Vec<&str> = value.split(' ').collect();
    let vertical = |word: &str| matches!(word, "top" | "bottom");
    match words[..] {
        [one] if vertical(one) => ("center", one),
        [one] => (one, "center"),
        [first, second]
            if vertical(first) || (first == "center" && matches!(second, "left" | "right")) =>
        {
            (second, first)
        }
        [first, second] => (first, second),
        _ => ("center", "top"),
    }
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn a_background_position_is_read_in_either_order() {
        assert_eq!(position("top center"), ("center", "top"));
        assert_eq!(position("left bottom"), ("left", "bottom"));
        assert_eq!(position("center right"), ("right", "center"));
        assert_eq!(position("top"), ("center", "top"));
        assert_eq!(position("20%"), ("20%", "center"));
        assert_eq!(position("a b c"), ("center", "top"));
    }
}
