//! An issue for readers who want nothing counted: the same words with direct links and without the pixel.

use crate::compile::{Compiled, Segment, Slot, Template};

impl Compiled {
    /// The issue without its pixel, and with links that lead straight to their targets.
    pub fn untracked(mut self) -> Compiled {
        let urls: Vec<String> = self.links.iter().map(|link| link.url.clone()).collect();
        self.html = without_pixel(direct(self.html, &urls, escaped));
        self.text = direct(self.text, &urls, |url| url.to_owned());
        self
    }
}

fn direct(template: Template, urls: &[String], write: impl Fn(&str) -> String) -> Template {
    let each = template.0.into_iter().map(|segment| match segment {
        Segment::Slot(Slot::Click(link)) => {
            let url = urls.get(link as usize).map_or("", String::as_str);
            Segment::Literal(write(url))
        }
        other => other,
    });
    Template(each.collect())
}

/// Cuts each image whose source is the pixel out of the HTML, from its `<` to its `>`.
fn without_pixel(template: Template) -> Template {
    let mut kept: Vec<Segment> = Vec::with_capacity(template.0.len());
    let mut cutting = false;
    for segment in template.0 {
        match segment {
            Segment::Slot(Slot::Open) => {
                if let Some(Segment::Literal(before)) = kept.last_mut() {
                    let start = before.rfind("<img").unwrap_or(before.len());
                    before.truncate(start);
                }
                cutting = true;
            }
            Segment::Literal(text) if cutting => {
                let rest = text.split_once('>').map_or("", |(_, rest)| rest);
                kept.push(Segment::Literal(rest.to_owned()));
                cutting = false;
            }
            other => kept.push(other),
        }
    }
    Template(kept)
}

/// As it may stand in a double-quoted attribute.
fn escaped(url: &str) -> String {
    url.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use crate::compile::{Compiled, Link, Segment, Slot, Template};

    #[test]
    fn an_untracked_issue_has_direct_links_and_no_pixel() {
        let literal = |text: &str| Segment::Literal(text.into());
        let compiled = Compiled {
            slug: "week".into(),
            title: "Week".into(),
            subject: Template::default(),
            preheader: Template::default(),
            html: Template(vec![
                literal("<img src=\"a.png\"><a href=\""),
                Segment::Slot(Slot::Click(0)),
                literal("\">x</a><img src=\""),
                Segment::Slot(Slot::Open),
                literal("\" alt=\"\"><p>"),
                Segment::Slot(Slot::Unsubscribe),
            ]),
            text: Template(vec![literal("x: "), Segment::Slot(Slot::Click(0))]),
            links: vec![Link {
                url: "https://x.example/?a=1&b=2".into(),
                name: "1".into(),
            }],
            images: Vec::new(),
            only: Vec::new(),
        };
        let plain = compiled.untracked();
        assert_eq!(
            plain.html.0,
            [
                literal("<img src=\"a.png\"><a href=\""),
                literal("https://x.example/?a=1&amp;b=2"),
                literal("\">x</a>"),
                literal("<p>"),
                Segment::Slot(Slot::Unsubscribe),
            ]
        );
        assert_eq!(plain.text.0[1], literal("https://x.example/?a=1&b=2"));
    }
}
