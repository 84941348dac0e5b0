//! An issue as anyone may read it: nobody's values, nobody's links, nothing counted.
//!
//! Promises: slots hold their defaults; links lead straight to their targets; what is a reader's own in a
//! mail (to leave, to choose, to read in the browser) leads where anyone may go. Leaves to `feed` what of a
//! page stands in a feed.

use crate::compile::escape::escape_html;
use crate::compile::impersonal::{HERS, VIEW, Ways, without_reader};
use crate::compile::{Compiled, Slot, Template};

/// Where the links lead that are a reader's own in a mail.
#[derive(Clone, Copy, Debug)]
pub struct Doors<'a> {
    /// Instead of the copy in the browser.
    pub view: &'a str,
    /// Instead of leaving, choosing and confirming.
    pub subscribe: &'a str,
}

/// What is put into the page of an issue around the mail itself.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// HTML before the end of the head.
    pub head: &'a str,
    /// HTML at the beginning of the body.
    pub bar: &'a str,
}

impl Compiled {
    /// The HTML part for anyone. `corrected` gives the target of a link that was corrected since.
    pub fn for_anyone(&self, corrected: &[(u32, String)], doors: Doors<'_>) -> String {
        let mut open = self.clone();
        for (link, url) in corrected {
            if let Some(link) = open.links.get_mut(*link as usize) {
                link.url.clone_from(url);
            }
        }
        open.untracked().html.fill(|slot| match slot {
            Slot::View => escape_html(doors.view),
            Slot::Unsubscribe | Slot::Preferences | Slot::Confirm => escape_html(doors.subscribe),
            Slot::Field { .. } | Slot::Click(_) | Slot::Open => String::new(),
        })
    }

    /// The same as a page of its own: without the links that are a reader's and the words around them.
    pub fn page_for_anyone(&self, corrected: &[(u32, String)], ways: &Ways<'_>) -> String {
        let doors = Doors {
            view: VIEW,
            subscribe: HERS,
        };
        let text = self.text.fill(|_| String::new());
        without_reader(&self.for_anyone(corrected, doors), &text, ways)
    }

    /// What an inbox shows beside the subject, for anyone.
    pub fn impersonal_preheader(&self) -> String {
        impersonal(&self.preheader)
    }
}

fn impersonal(template: &Template) -> String {
    template.fill(|_| String::new())
}

impl Frame<'_> {
    /// Puts the frame around a page, and makes the mail its main part for those who have it read to them.
    pub fn around(&self, page: &str) -> String {
        let head = page.find("</head>").unwrap_or(0);
        let body = page[head..].find("<body").map(|at| head + at);
        let body = body.and_then(|at| page[at..].find('>').map(|end| at + end + 1));
        let body = body.unwrap_or(head);
        let mut out = String::with_capacity(page.len() + self.head.len() + self.bar.len());
        out.push_str(&page[..head]);
        out.push_str(self.head);
        out.push_str(&page[head..body]);
        out.push_str(self.bar);
        let end = page.rfind("</body>").filter(|end| *end >= body);
        let end = end.unwrap_or(page.len());
        out.push_str("<main>");
        out.push_str(&page[body..end]);
        out.push_str("</main>");
        out.push_str(&page[end..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Doors, Frame};
    use crate::compile::{Compiled, Context, Link, Segment, Slot, Template};

    #[test]
    fn anyones_page_holds_defaults_and_true_targets_alone() {
        let literal = |text: &str| Segment::Literal(text.into());
        let name = Slot::Field {
            name: "first_name".into(),
            default: "a & b".into(),
            context: Context::Html,
            notation: None,
        };
        let compiled = Compiled {
            slug: "week".into(),
            title: "Week".into(),
            subject: Template::default(),
            preheader: Template::default(),
            html: Template(vec![
                literal("Hello "),
                Segment::Slot(name),
                literal(" <a href=\""),
                Segment::Slot(Slot::Click(0)),
                literal("\">x</a><a href=\""),
                Segment::Slot(Slot::Click(1)),
                literal("\">y</a><img src=\""),
                Segment::Slot(Slot::Open),
                literal("\"><a href=\""),
                Segment::Slot(Slot::Unsubscribe),
                literal("\">leave</a><a href=\""),
                Segment::Slot(Slot::View),
                literal("\">view</a>"),
            ]),
            text: Template::default(),
            only: Vec::new(),
            links: ["https://one.example/?a=1&b=2", "https://wrong.example/"]
                .map(|url| Link {
                    url: url.into(),
                    name: "1".into(),
                })
                .into(),
            images: Vec::new(),
        };
        let doors = Doors {
            view: "https://n.example/archive/week",
            subscribe: "https://n.example/",
        };
        let corrected = [(1, "https://right.example/".to_owned())];
        assert_eq!(
            compiled.for_anyone(&corrected, doors),
            "Hello a &amp; b <a href=\"https://one.example/?a=1&amp;b=2\">x</a>\
             <a href=\"https://right.example/\">y</a><a href=\"https://n.example/\">leave</a>\
             <a href=\"https://n.example/archive/week\">view</a>"
        );
    }

    #[test]
    fn a_frame_stands_in_the_head_and_before_the_first_words() {
        let frame = Frame {
            head: "<meta>",
            bar: "<nav></nav>",
        };
        assert_eq!(
            frame.around("<html><head><title>a</title></head><body class=\"x\"><p>b"),
            "<html><head><title>a</title><meta></head><body class=\"x\"><nav></nav><main><p>b</main>"
        );
        // A layout of an author's own may be no whole page.
        assert_eq!(frame.around("<p>b"), "<meta><nav></nav><main><p>b</main>");
    }
}
