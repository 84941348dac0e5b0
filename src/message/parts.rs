//! The body: two parts, quoted-printable (RFC 2045, section 6.7), with holes for a copy's values.
//!
//! A soft break stands on both sides of every hole, so that the lengths of the lines around it do not
//! depend on what fills it. Promises what `message` promises of the body.

use std::borrow::Cow;
use std::sync::Arc;

use anyhow::ensure;

use crate::compile::notation::Notation;
use crate::compile::{Compiled, Context, Segment, Slot, Template, only};
use crate::message::Links;
use crate::octets::Octets;
use crate::token::{Claim, Purpose};

/// RFC 2045, section 6.7, rule 5: 76 characters, of which the last may be the `=` of a soft break.
const LINE: usize = 75;

/// The body of a run's messages.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// What all copies share: the literals, one behind the other.
    shared: Arc<[u8]>,
    pieces: Vec<Piece>,
    /// Each different hole once, however often it stands in the body.
    slots: Vec<Filler>,
}

#[derive(Clone, Debug)]
enum Piece {
    /// Where it stands in what is shared.
    Literal(usize, usize),
    Slot(usize),
    /// For the readers of a segment; for others the copy goes on with the piece `behind`.
    Only {
        segment: u32,
        behind: usize,
    },
}

#[derive(Clone, Debug)]
enum Filler {
    Field {
        name: String,
        default: String,
        context: Context,
        notation: Option<Notation>,
    },
    /// A link: where it begins, and what its token claims.
    Link { base: String, kind: Kind },
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Click(u32),
    Open,
    Unsubscribe,
    Manage,
    View,
    Confirm,
}

impl Parts {
    /// Encodes the literals of `compiled` for links below `public_url`.
    pub(super) fn new(
        compiled: &Compiled,
        public_url: &str,
        boundary: &str,
    ) -> anyhow::Result<Parts> {
        let filled = |template: &Template| {
            template.0.iter().any(|segment| match segment {
                Segment::Literal(text) => !text.trim().is_empty(),
                Segment::Slot(_) => true,
                Segment::Only(_) | Segment::End => false,
            })
        };
        let nested = |template: &Template| template.is_nested(compiled.only.len());
        ensure!(
            nested(&compiled.text) && nested(&compiled.html),
            "the parts for segments do not stand within each other"
        );
        ensure!(filled(&compiled.text), "the text part is empty");
        ensure!(filled(&compiled.html), "the HTML part is empty");
        let mut builder = Builder {
            public_url,
            pieces: Vec::new(),
            kinds: Vec::new(),
            slots: Vec::new(),
            shared: Vec::new(),
            begun: 0,
            open: Vec::new(),
        };
        // RFC 2046, section 5.1.4: the richest part last.
        for (media_type, template) in [("plain", &compiled.text), ("html", &compiled.html)] {
            let head = format!(
                "--{boundary}\r\n\
                 Content-Type: text/{media_type}; charset=utf-8\r\n\
                 Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            );
            builder.shared.extend_from_slice(head.as_bytes());
            builder.part(template);
        }
        let end = format!("--{boundary}--\r\n");
        builder.shared.extend_from_slice(end.as_bytes());
        builder.close();
        Ok(Parts {
            shared: builder.shared.into(),
            pieces: builder.pieces,
            slots: builder.slots,
        })
    }

    /// What the copies share.
    pub(super) fn shared(&self) -> &Arc<[u8]> {
        &self.shared
    }

    /// Appends the body of one copy to `out`, which was begun with [`Parts::shared`].
    pub(super) fn write(&self, links: &Links<'_>, out: &mut Octets) {
        // A value that stands in several places is made once and copied from its first place.
        let mut made: Vec<Option<(usize, usize)>> = vec![None; self.slots.len()];
        let mut next = 0;
        while let Some(piece) = self.pieces.get(next) {
            next += 1;
            match piece {
                Piece::Literal(start, end) => out.share(*start, *end),
                Piece::Only { segment, behind } => {
                    if !only::gets(links.copy.segments, *segment) {
                        next = *behind;
                    }
                }
                Piece::Slot(slot) => {
                    if let Some((start, end)) = made[*slot] {
                        out.again(start, end);
                        continue;
                    }
                    let start = out.mark();
                    out.write(|own| self.slots[*slot].write(links, own));
                    made[*slot] = Some((start, out.mark()));
                }
            }
        }
    }
}

impl Filler {
    fn new(slot: &Slot, public_url: &str) -> Filler {
        let (path, kind) = match slot {
            Slot::Field {
                name,
                default,
                context,
                notation,
            } => {
                return Filler::Field {
                    name: name.clone(),
                    default: default.clone(),
                    context: *context,
                    notation: notation.clone(),
                };
            }
            Slot::Click(link) => ("c", Kind::Click(*link)),
            Slot::Open => ("o", Kind::Open),
            Slot::Unsubscribe => ("u", Kind::Unsubscribe),
            Slot::Preferences => ("preferences", Kind::Manage),
            Slot::View => ("view", Kind::View),
            Slot::Confirm => ("confirm", Kind::Confirm),
        };
        Filler::Link {
            base: format!("{public_url}/{path}/"),
            kind,
        }
    }

    /// The value as it stands in the decoded part: escaped for its place.
    fn text(&self, links: &Links<'_>) -> String {
        match self {
            Filler::Field {
                name,
                default,
                context,
                notation,
            } => {
                let given = match (name.as_str(), context) {
                    // To programs, an address is what stands in the envelope.
                    ("email", Context::Url) => links.copy.to.as_str().into(),
                    _ => links.copy.value(name, default, notation.as_ref()),
                };
                context.escape(&given).into_owned()
            }
            Filler::Link { base, kind } => {
                let token = links.sign(&kind.claim(links));
                format!("{base}{token}")
            }
        }
    }

    /// Appends the value on lines of its own, with the soft break behind it.
    fn write(&self, links: &Links<'_>, out: &mut Vec<u8>) {
        match self {
            Filler::Link { base, kind } if base.len() + kind.purpose().length() <= LINE => {
                // Letters that stand for themselves, on one line.
                out.extend_from_slice(base.as_bytes());
                links.append(&kind.claim(links), out);
                out.extend_from_slice(b"=\r\n");
            }
            _ => encode(&self.text(links), out),
        }
    }
}

impl Kind {
    fn purpose(self) -> Purpose {
        match self {
            Kind::Click(_) => Purpose::Click,
            Kind::Open => Purpose::Open,
            Kind::Unsubscribe => Purpose::Unsubscribe,
            Kind::Manage => Purpose::Manage,
            Kind::View => Purpose::View,
            Kind::Confirm => Purpose::Confirm,
        }
    }

    fn claim(self, links: &Links<'_>) -> Claim {
        let subscription = links.subscription();
        match self {
            Kind::Click(link) => Claim::Click(links.key, link),
            Kind::Open => Claim::Open(links.key),
            Kind::Unsubscribe => Claim::Unsubscribe(subscription, links.key),
            Kind::Manage => Claim::Manage(links.copy.manage.unwrap_or(subscription)),
            Kind::View => Claim::View(links.key),
            Kind::Confirm => Claim::Confirm(subscription, links.copy.confirm_second()),
        }
    }
}

/// One part of one copy, decoded: for a browser.
pub(super) fn decoded(template: &Template, public_url: &str, links: &Links<'_>) -> String {
    let each = template.shown_to(links.copy.segments);
    let each = each.map(|segment| match segment {
        Segment::Only(_) | Segment::End => Cow::Borrowed(""),
        Segment::Literal(text) => Cow::Borrowed(text.as_str()),
        Segment::Slot(slot) => Cow::Owned(Filler::new(slot, public_url).text(links)),
    });
    each.collect()
}

struct Builder<'a> {
    public_url: &'a str,
    pieces: Vec<Piece>,
    kinds: Vec<Slot>,
    slots: Vec<Filler>,
    shared: Vec<u8>,
    /// Where the literal begins that is not ended yet.
    begun: usize,
    /// Pieces that begin parts for a segment and have no end yet.
    open: Vec<usize>,
}

impl Builder<'_> {
    fn part(&mut self, template: &Template) {
        let mut column = 0;
        for segment in &template.0 {
            match segment {
                Segment::Literal(text) => column = quote(text, column, &mut self.shared),
                Segment::Slot(slot) => {
                    self.cut(&mut column);
                    self.slot(slot);
                }
                // A part begins and ends at the start of a line as a slot does: the lines of a copy are the
                // same whether it is there or not.
                Segment::Only(segment) => {
                    self.cut(&mut column);
                    self.open.push(self.pieces.len());
                    self.pieces.push(Piece::Only {
                        segment: *segment,
                        behind: 0,
                    });
                }
                Segment::End => {
                    self.cut(&mut column);
                    let end = self.pieces.len();
                    if let Some(Piece::Only { behind, .. }) =
                        self.open.pop().and_then(|open| self.pieces.get_mut(open))
                    {
                        *behind = end;
                    }
                }
            }
        }
        if self.shared[self.begun..].ends_with(b" ") {
            self.shared.extend_from_slice(b"=\r\n");
        }
        // RFC 2046, section 5.1.1: this line end belongs to the delimiter, not to the part.
        self.shared.extend_from_slice(b"\r\n");
    }

    /// Ends the literal with the start of a line.
    fn cut(&mut self, column: &mut usize) {
        if *column > 0 {
            self.shared.extend_from_slice(b"=\r\n");
        }
        *column = 0;
        self.close();
    }

    fn slot(&mut self, slot: &Slot) {
        let known = self.kinds.iter().position(|kind| kind == slot);
        let place = known.unwrap_or_else(|| {
            self.kinds.push(slot.clone());
            self.slots.push(Filler::new(slot, self.public_url));
            self.slots.len() - 1
        });
        self.pieces.push(Piece::Slot(place));
    }

    fn close(&mut self) {
        let end = self.shared.len();
        if self.begun < end {
            self.pieces.push(Piece::Literal(self.begun, end));
            self.begun = end;
        }
    }
}

/// Appends a value that begins a line, and the soft break behind it; nothing when it is empty.
fn encode(value: &str, out: &mut Vec<u8>) {
    if quote(value, 0, out) > 0 {
        out.extend_from_slice(b"=\r\n");
    }
}

/// Appends `text` in quoted-printable, beginning in `column`; returns the column behind it. A blank at
/// its end stands as it is: a soft break must follow.
fn quote(text: &str, mut column: usize, out: &mut Vec<u8>) -> usize {
    let mut rest = text;
    let mut blank = false;
    while let Some(c) = rest.chars().next() {
        let here = rest;
        // Most of a text: letters that stand for themselves wherever they stand.
        let line = here.bytes().take(LINE - column);
        let plain = line.take_while(|&octet| octet.is_ascii_alphanumeric() && octet != b'F');
        let plain = plain.count();
        if plain > 0 {
            out.extend_from_slice(&here.as_bytes()[..plain]);
            (column, blank) = (column + plain, false);
            rest = &here[plain..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if c == '\r' || c == '\n' {
            rest = if c == '\r' {
                rest.strip_prefix('\n').unwrap_or(rest)
            } else {
                rest
            };
            out.extend_from_slice(b"\r\n");
            (column, blank) = (0, false);
            continue;
        }
        // Whole characters stay on one line, for readers that decode line by line.
        let mut width = if is_literal(here, column, blank) {
            1
        } else {
            3 * c.len_utf8()
        };
        if column + width > LINE {
            out.extend_from_slice(b"=\r\n");
            column = 0;
            width = if is_literal(here, 0, false) {
                1
            } else {
                3 * c.len_utf8()
            };
        }
        if width == 1 {
            out.push(here.as_bytes()[0]);
        } else {
            for &octet in c.encode_utf8(&mut [0; 4]).as_bytes() {
                let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
                out.extend([b'=', digit(octet >> 4), digit(octet & 15)]);
            }
        }
        blank = width == 1 && c == ' ';
        column += width;
    }
    column
}

/// Whether the first character of `rest` may stand for itself, in `column`, after a `blank` or not.
fn is_literal(rest: &str, column: usize, blank: bool) -> bool {
    let after = rest.as_bytes().get(1);
    match rest.as_bytes()[0] {
        // A blank never ends a line, and never follows another: the body is its own relaxed form.
        b' ' => !blank && after.is_none_or(|next| !b"\r\n".contains(next)),
        b'=' => false,
        // RFC 5321, section 4.5.2: with no dot at the start of a line, none is ever stuffed.
        b'.' => column > 0,
        // Mailbox files put a `>` before this word at the start of a line, which breaks signatures.
        b'F' => column > 0 || !rest.starts_with("From "),
        octet => octet.is_ascii_graphic(),
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    fn quoted(text: &str) -> String {
        let mut out = Vec::new();
        quote(text, 0, &mut out);
        String::from_utf8(out).expect("quoted-printable is ASCII")
    }

    #[test]
    fn text_is_encoded_by_the_rules_of_the_rfc_and_our_own() {
        for (text, expected) in [
            ("plain, 1+1=2", "plain, 1+1=3D2"),
            ("a\nb\r\nc\rd", "a\r\nb\r\nc\r\nd"),
            ("ü 🤖", "=C3=BC =F0=9F=A4=96"),
            ("a  b   c", "a =20b =20 c"),
            ("end \nend\t\nlast ", "end=20\r\nend=09\r\nlast "),
            (".\n..\na.b", "=2E\r\n=2E.\r\na.b"),
            ("From me\nFrom\nxFrom me", "=46rom me\r\nFrom\r\nxFrom me"),
            ("a\u{0}b\u{85}", "a=00b=C2=85"),
        ] {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_full_line_is_broken_before_a_character_and_the_next_begins_like_any_line() {
        let text = format!("{}.b", "a".repeat(75));
        assert_eq!(quoted(&text), format!("{}=\r\n=2Eb", "a".repeat(75)));
        let text = format!("{}ü", "a".repeat(70));
        assert_eq!(quoted(&text), format!("{}=\r\n=C3=BC", "a".repeat(70)));
        let text = format!("{} From x", "a".repeat(74));
        assert_eq!(quoted(&text), format!("{} =\r\n=46rom x", "a".repeat(74)));
    }
}
