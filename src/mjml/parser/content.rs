//! The content of components that hold HTML or CSS: everything up to their closing tag, byte for byte.

use std::ops::Range;

use crate::mjml::lexer::{self, Mark, Step};
use crate::mjml::parser::{Walk, line_of, with_raw};
use crate::mjml::tree::Element;

/// Elements that show nothing, or show the page's source, from their tag to their closing tag. A page in
/// which one is never closed ends there for its readers.
const HIDING: [&str; 11] = [
    "title",
    "style",
    "script",
    "template",
    "textarea",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
];

/// Elements of which the page around a content is made: one that closes there what it did not open ends the page's.
const FRAME: [&str; 9] = [
    "div", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "center",
];
/// Elements around words.
const INLINE: [&str; 13] = [
    "a", "b", "code", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "u",
];

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What was met on the way to the end of a content.
#[derive(Default)]
struct Met {
    /// Quotes that are not closed.
    quotes: Vec<usize>,
    /// The name of the first component, which is none within a content.
    component: Option<Range<usize>>,
    /// Names of [`HIDING`] elements, and where the closing tag stands.
    hiding: Vec<(Range<usize>, Option<usize>)>,
    /// Names of elements that are open, of [`FRAME`] and [`INLINE`].
    open: Vec<Range<usize>>,
    /// Names of closing tags that close none of them.
    stray: Vec<Range<usize>>,
    /// The closing tag that was found last for each of [`HIDING`], so that many of them are one search.
    closings: [Option<Option<usize>>; HIDING.len()],
}

impl Met {
    /// Notes the element whose name stands at `range` and whose tag ends at `end`, if it hides something.
    /// Gives where its content ends, if that is text to the parser.
    fn hides(&mut self, text: &str, range: Range<usize>, end: usize) -> Option<usize> {
        let name = &text[range.clone()];
        let mut known = HIDING.iter().zip(&mut self.closings);
        let (_, last) = known.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let closing = match last {
            Some(None) => None,
            Some(Some(at)) if *at >= end => Some(*at),
            _ => *last.insert(lexer::closing(text, name, end)),
        };
        self.hiding.push((range, closing));
        closing.filter(|_| lexer::is_raw_text(name))
    }

    fn opens(&mut self, text: &str, name: &Range<usize>) {
        let open = &text[name.clone()];
        if is_one_of(&FRAME, open) || is_one_of(&INLINE, open) {
            self.open.push(name.clone());
        }
    }

    /// Closes the innermost element of this name with all that is open within, as browsers do. What was crossed has
    /// nothing left to close.
    fn closes(&mut self, text: &str, name: &Range<usize>) {
        let closed = &text[name.clone()];
        if !is_one_of(&FRAME, closed) && !is_one_of(&INLINE, closed) {
            return;
        }
        // Words end at the frame around them, and not the other way round.
        let frame = is_one_of(&FRAME, closed);
        let mut open = self.open.iter().rev();
        let mut open = open
            .by_ref()
            .take_while(|open| frame || !is_one_of(&FRAME, &text[(*open).clone()]));
        match open.position(|open| text[open.clone()].eq_ignore_ascii_case(closed)) {
            Some(depth) => self.open.truncate(self.open.len() - depth - 1),
            None => self.stray.push(name.clone()),
        }
    }
}

/// Where a content ends.
enum End {
    /// At the element's own closing tag: its `<` and what follows the tag.
    Closed { at: usize, after: usize },
    /// At a closing tag of an element around it.
    Outer { at: usize },
    /// Not before the text does.
    Text,
    /// A comment that is never closed.
    Comment { at: usize },
}

impl Walk<'_, '_> {
    /// Adds an element whose content begins at `from`; gives the offset after it.
    pub(super) fn ending(&mut self, element: Element, from: usize) -> usize {
        let name = element.name.clone();
        let mut met = Met::default();
        let end = self.find_end(&name, from, &mut met);
        let reach = match &end {
            End::Closed { at, .. } | End::Comment { at } => *at,
            End::Outer { .. } | End::Text => from,
        };
        for at in met.quotes.iter().copied().filter(|&at| at < reach) {
            let message = "a value lacks its closing quote";
            self.error(at..at + 1, "unclosed-quote", message);
        }
        if name != "mj-style" {
            self.strangers(&name, &met, reach);
        }
        match end {
            End::Closed { at, after } => {
                let content = self.raw(from..at);
                // Style sheets know no entities, and raw HTML is the author's own affair.
                if name != "mj-style" && name != "mj-raw" {
                    self.entities(from..at);
                }
                if self.text.as_bytes().get(after - 1) != Some(&b'>') {
                    let message = format!("the tag `</{name}` is not ended with `>`");
                    self.error(at..at + 2 + name.len(), "unended-tag", message);
                }
                self.push(with_raw(element, content));
                after
            }
            End::Outer { at } => {
                let line = line_of(self.text, at);
                let closing = lexer::mark(self.text, at);
                let outer = match closing {
                    Mark::Close { name, .. } => &self.text[name],
                    _ => "",
                };
                let message =
                    format!("`<{name}>` is not closed before `</{outer}>` in line {line}");
                self.cut(element, from, at, message)
            }
            End::Text => {
                let message = format!("`<{name}>` is never closed");
                self.cut(element, from, self.text.len(), message)
            }
            End::Comment { at } => {
                let content = self.raw(from..at);
                self.push(with_raw(element, content));
                self.unclosed_comment(at);
                self.text.len()
            }
        }
    }

    /// Tells what stands in the content of `holder` up to `reach` and is not what it seems to be.
    fn strangers(&mut self, holder: &str, met: &Met, reach: usize) {
        // The first speaks for all of them.
        if let Some(range) = met.component.as_ref().filter(|range| range.start < reach) {
            let name = &self.text[range.clone()];
            let message =
                format!("`{name}` within `{holder}` is no component, but a tag that nobody knows");
            let span = self.span(range.clone());
            let help = format!("close `{holder}` before it");
            let findings = &mut self.reading.findings;
            findings.warning_with_help(&span, "wrong-parent", message, help);
        }
        // Raw HTML may open in one place what it closes in another.
        let stray = met
            .stray
            .iter()
            .filter(|range| holder != "mj-raw" && range.start < reach);
        for range in stray {
            let name = &self.text[range.clone()];
            let message = format!("`</{name}>` closes nothing that is open within `{holder}`");
            if is_one_of(&FRAME, name) {
                let help = "take it out: it would end the frame around it, and all below would fall out of place";
                self.error_with_help(range.clone(), "stray-closing-tag", message, help.to_owned());
            } else {
                let span = self.span(range.clone());
                let help = format!("`<{name}>` was closed already, or another tag was meant");
                let findings = &mut self.reading.findings;
                findings.warning_with_help(&span, "stray-closing-tag", message, help);
            }
        }
        for (range, closing) in met.hiding.iter().filter(|(range, _)| range.start < reach) {
            if closing.is_some_and(|closing| closing < reach) {
                continue;
            }
            let name = &self.text[range.clone()];
            let message = format!("`<{name}>` is never closed, and hides all that follows");
            let help = format!("close it; where the word is meant, write `&lt;{name}&gt;`");
            self.error_with_help(range.clone(), "unclosed-element", message, help);
        }
    }

    /// An unclosed element ends before the next component, so that what follows is read as well.
    fn cut(&mut self, element: Element, from: usize, until: usize, message: String) -> usize {
        self.error(element.name_span.range.clone(), "unclosed-element", message);
        self.forced.push(element.name.clone());
        let bytes = &self.text.as_bytes()[from..until];
        let next = memchr::memmem::find(bytes, b"<mj-").map_or(until, |found| from + found);
        let content = self.raw(from..next);
        self.push(with_raw(element, content));
        next
    }

    /// Where the content of `name` ends.
    fn find_end(&self, name: &str, from: usize, met: &mut Met) -> End {
        let text = self.text;
        // Components that are open within; their closing tags are not the element's.
        let mut within: Vec<&str> = Vec::new();
        let mut at = from;
        while let Some(found) = memchr::memchr(b'<', &text.as_bytes()[at..]) {
            let here = at + found;
            at = match lexer::mark(text, here) {
                Mark::Stray => here + 1,
                Mark::Comment { closed: false, .. } => return End::Comment { at: here },
                Mark::Comment { end, .. } | Mark::Cdata { end, .. } => end,
                Mark::Declaration { end } => end,
                Mark::Open { name: range } => {
                    let (end, empty) = tag_end(text, range.end, &mut met.quotes);
                    let name = &text[range.clone()];
                    if is_component(name) {
                        met.component.get_or_insert(range.clone());
                        if !empty {
                            within.push(name);
                        }
                    }
                    if !empty {
                        met.opens(text, &range);
                    }
                    let raw = met.hides(text, range, end).filter(|_| !empty);
                    raw.unwrap_or(end)
                }
                Mark::Close { name: closed, end } => {
                    let range = closed.clone();
                    let closed = &text[closed];
                    let same = |open: &&str| open.eq_ignore_ascii_case(closed);
                    if let Some(index) = within.iter().rposition(same) {
                        within.truncate(index);
                    } else if closed.eq_ignore_ascii_case(name) {
                        return End::Closed {
                            at: here,
                            after: end,
                        };
                    } else if is_component(closed) && self.is_open(closed) {
                        return End::Outer { at: here };
                    } else {
                        met.closes(text, &range);
                    }
                    end
                }
            };
        }
        End::Text
    }

    fn is_open(&self, name: &str) -> bool {
        let mut open = self.open.iter();
        open.any(|(open, _)| open.name.eq_ignore_ascii_case(name))
    }
}

/// The offset after a tag whose name ends at `at`, and whether it ends in `/>`; quotes that are not closed
/// are added to `quotes`.
fn tag_end(text: &str, mut at: usize, quotes: &mut Vec<usize>) -> (usize, bool) {
    loop {
        let (step, next) = lexer::step(text, at);
        at = next;
        match step {
            Step::Attribute {
                value,
                unclosed: true,
                ..
            } => quotes.push(value.start - 1),
            Step::Attribute { .. } => {}
            Step::End { at, empty } => return (at, empty),
            Step::Unended { at } => return (at, false),
        }
    }
}

/// Whether a name is one of MJML's; of these only, closing tags tell where a content ends.
fn is_component(name: &str) -> bool {
    let start = name.get(..3).unwrap_or_default();
    start.eq_ignore_ascii_case("mj-") || name.eq_ignore_ascii_case("mjml")
}
