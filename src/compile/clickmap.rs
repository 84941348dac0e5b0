//! An issue's HTML with a badge on each of its links, for its author to see where readers pressed.
//!
//! Promises: pure; nothing personal and no working link is left in it: fields show their defaults, links lead to
//! nowhere, the pixel is gone. Badges are text and escaped.

use crate::compile::escape::escape_html;
use crate::compile::{Compiled, Segment, Slot};

/// Set small and high, in colours that are read on any ground.
const STYLE: &str = "display:inline-block;background:#b00020;color:#ffffff;font:bold 11px/16px sans-serif;\
    padding:0 5px;margin:0 3px;border-radius:8px;vertical-align:top;text-decoration:none";

/// The HTML part with what `badge` says of each link of the table, where it says anything.
pub fn annotated(compiled: &Compiled, mut badge: impl FnMut(u32) -> Option<String>) -> String {
    let mut out = String::new();
    // The badge of a link whose tag is still open, and the quote that its attribute is in.
    let mut waiting: Option<String> = None;
    let mut quote = None;
    for segment in &compiled.html.0 {
        match segment {
            Segment::Literal(text) => {
                let mut rest = text.as_str();
                if waiting.is_some()
                    && let Some(end) = tag_end(rest, &mut quote)
                {
                    let (tag, behind) = rest.split_at(end);
                    out.push_str(tag);
                    out.push_str(&waiting.take().unwrap_or_default());
                    rest = behind;
                }
                out.push_str(rest);
            }
            Segment::Slot(Slot::Click(link)) => {
                // Components of the author's own may have them in single quotes.
                quote = out
                    .chars()
                    .next_back()
                    .filter(|last| matches!(last, '"' | '\''));
                out.push('#');
                waiting = badge(*link)
                    .map(|text| format!("<span style=\"{STYLE}\">{}</span>", escape_html(&text)));
            }
            Segment::Slot(Slot::Field {
                default, context, ..
            }) => out.push_str(&context.escape(default)),
            Segment::Slot(Slot::Open) => out.push_str("data:,"),
            Segment::Slot(_) => out.push('#'),
            // The author sees every part.
            Segment::Only(_) | Segment::End => {}
        }
    }
    out
}

/// The offset behind the `>` that ends the open tag, if it is in `text`; `quote` is the one that is open.
fn tag_end(text: &str, quote: &mut Option<char>) -> Option<usize> {
    for (at, letter) in text.char_indices() {
        match (*quote, letter) {
            (Some(open), _) if open == letter => *quote = None,
            (None, '"' | '\'') => *quote = Some(letter),
            (None, '>') => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::annotated;
    use crate::compile::{Compiled, Context, Segment, Slot, Template};

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.to_owned())
    }

    #[test]
    fn each_link_gets_its_badge_behind_its_tag_and_leads_nowhere() {
        let compiled = Compiled {
            slug: "week-1".into(),
            title: "Week 1".into(),
            subject: Template::default(),
            preheader: Template::default(),
            text: Template::default(),
            links: Vec::new(),
            images: Vec::new(),
            only: Vec::new(),
            html: Template(vec![
                literal("<p>Dear "),
                Segment::Slot(Slot::Field {
                    name: "first_name".into(),
                    default: "<reader>".into(),
                    context: Context::Html,
                    notation: None,
                }),
                literal("<a href=\""),
                Segment::Slot(Slot::Click(0)),
                literal("\" title=\"a > b\">one</a> <a href=\""),
                Segment::Slot(Slot::Click(1)),
                literal("\">two</a> <a href='"),
                Segment::Slot(Slot::Click(2)),
                literal("' title=\"it's\">three</a><a href=\""),
                Segment::Slot(Slot::Unsubscribe),
                literal("\">leave</a><img src=\""),
                Segment::Slot(Slot::Open),
                literal("\">"),
            ]),
        };
        let html = annotated(&compiled, |link| (link != 1).then(|| "12 % <b>".to_owned()));
        assert!(
            html.starts_with("<p>Dear &lt;reader&gt;<a href=\"#\" title=\"a > b\"><span style="),
            "{html}"
        );
        assert!(
            html.contains(">12 % &lt;b&gt;</span>one</a> <a href=\"#\">two</a>"),
            "{html}"
        );
        assert!(
            html.contains("<a href='#' title=\"it's\"><span style="),
            "{html}"
        );
        assert!(
            html.ends_with("<a href=\"#\">leave</a><img src=\"data:,\">"),
            "{html}"
        );
    }
}
