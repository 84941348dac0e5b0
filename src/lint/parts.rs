//! The two parts of the mail: the size of the HTML, and whether the text can stand alone.

use crate::compile::{Compiled, HTML_LIMIT, HTML_WARNING};
use crate::issue::block::Target;
use crate::lint::{Desk, filled};

/// Characters of a line of words in the text part; what is longer is scrolled sideways.
const LINE: usize = 120;

pub(super) fn check(desk: &mut Desk<'_>) {
    if let Some(compiled) = desk.inputs.compiled {
        size(desk, compiled);
        text(desk, compiled);
    }
}

fn size(desk: &mut Desk<'_>, compiled: &Compiled) {
    let size = compiled.html_size_estimate(desk.inputs.public_url);
    let shown = |octets: usize| format!("{}.{} KiB", octets / 1024, octets % 1024 * 10 / 1024);
    let (limit, size_shown) = (shown(HTML_LIMIT), shown(size));
    let help = "split the issue, or link what is long; tables and `:::mjml` weigh most";
    if size > HTML_LIMIT {
        let message = format!(
            "the HTML has {size_shown} with its links in place; Gmail cuts it off at {limit}, and the \
             link to unsubscribe with it"
        );
        desk.say_about("clipped", message, help);
    } else if size > HTML_WARNING {
        let message = format!(
            "the HTML has {size_shown} with its links in place; Gmail cuts a message off at {limit}"
        );
        desk.say_about("size", message, help);
    }
}

fn text(desk: &mut Desk<'_>, compiled: &Compiled) {
    let html = filled(compiled, &compiled.html);
    let text = filled(compiled, &compiled.text);
    let (seen, read) = (words(&visible(&html)), words(&text));
    if read == 0 {
        let help = "who reads mail as text sees nothing, and filters distrust such mail";
        desk.say_about("text-part", "the plain-text part is empty".into(), help);
        return;
    }
    if read * 2 < seen {
        let message = format!("the plain-text part has {read} words, the HTML {seen}");
        let help =
            "what stands in `:::mjml` or in the theme only is missing there; write it in Markdown";
        desk.say_about("text-part", message, help);
    }
    let issue = desk.inputs.issue;
    let tags = [
        "</p>", "</div>", "</td>", "</a>", "</span>", "<br>", "<br/>", "&nbsp;",
    ];
    if let Some(tag) = tags
        .iter()
        .find(|tag| text.contains(**tag) && !issue.text.contains(**tag))
    {
        let message = format!("the plain-text part holds markup: `{tag}`");
        desk.say_about("text-part", message, "write words there, not HTML");
    }
    let long = |line: &&str| line.chars().count() > LINE && longest(line) < LINE / 2;
    if let Some(line) = text.lines().find(long) {
        let start: String = line.chars().take(40).collect();
        let message = format!(
            "a line of the plain-text part has {} characters: `{start}...`",
            line.chars().count()
        );
        desk.say_about("text-part", message, "break it after 72 characters");
    }
    missing_links(desk, &html, &text);
}

/// Links that stand in the HTML alone.
fn missing_links(desk: &mut Desk<'_>, html: &str, text: &str) {
    let public = desk.inputs.public_url;
    let mut told = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find("href=\"http") {
        let from = &rest[at + "href=\"".len()..];
        let end = from.find('"').unwrap_or(from.len());
        let url = from[..end].replace("&amp;", "&");
        rest = &from[end..];
        // Clicks on our own pages are slots, which are empty here.
        let ours = url.starts_with(public);
        if !ours && !text.contains(&url) && !told.contains(&url) {
            told.push(url);
        }
    }
    for url in told {
        let message = format!("`{url}` stands in the HTML and not in the plain-text part");
        let help = "link it in Markdown as well";
        let issue = desk.inputs.issue;
        let same = |target: &Target| matches!(target, Target::Web(known) if *known == url);
        match issue.links.iter().find(|link| same(&link.target)) {
            Some(link) => desk.say("text-part", (link.offset, 1), message, help),
            None => desk.say_about("text-part", message, help),
        }
    }
}

/// What of a page is shown: no head, no tags, no conditional comments.
fn visible(html: &str) -> String {
    let body = html.find("<body").map_or(html, |at| &html[at..]);
    let mut out = String::new();
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        out.push(' ');
        let from = &rest[start..];
        let (closing, length) = if from.starts_with("<!--") {
            ("-->", 3)
        } else if from.starts_with("<style") {
            ("</style>", 8)
        } else {
            (">", 1)
        };
        let end = from.find(closing).map_or(from.len(), |end| end + length);
        rest = &from[end..];
    }
    out.push_str(rest);
    out
}

/// Words with a letter or a digit in them: rules and fillers are none.
fn words(text: &str) -> usize {
    let word = |word: &&str| word.chars().any(char::is_alphanumeric) && !word.starts_with('&');
    text.split_whitespace().filter(word).count()
}

fn longest(line: &str) -> usize {
    let words = line.split_whitespace().map(|word| word.chars().count());
    words.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{visible, words};

    #[test]
    fn what_is_shown_of_a_page() {
        let html = "<head><title>x</title></head><body class=\"a\"><style>b{}</style><p>One <b>two</b></p>\
                    <!--[if mso]><p>three</p><![endif]-->&nbsp;&#847;</body>";
        assert_eq!(words(&visible(html)), 2);
    }
}
