//! The text part as a page: escaped, with its addresses as links.

use crate::compile::escape::escape_html;

/// `text` as HTML for a `<pre>`; every `https://` and `http://` address is a link that opens elsewhere.
pub fn linked(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(at) = address(rest) {
        let (before, from) = rest.split_at(at);
        out.push_str(&escape_html(before));
        let end = from
            .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'))
            .unwrap_or(from.len());
        // A sentence's own mark is not the address's; a bracket that was opened within it is.
        let mut url = from[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
        if url.ends_with(')') && !url.contains('(') {
            url = &url[..url.len() - 1];
        }
        let shown = escape_html(url);
        out.push_str(&format!(
            "<a href=\"{shown}\" target=\"_blank\" rel=\"noreferrer\">{shown}</a>"
        ));
        rest = &from[url.len()..];
    }
    out.push_str(&escape_html(rest));
    out
}

fn address(text: &str) -> Option<usize> {
    let starts = ["https://", "http://"].map(|scheme| text.find(scheme));
    starts.into_iter().flatten().min()
}
