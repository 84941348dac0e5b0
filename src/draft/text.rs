//! Plain text, as it is pasted from a mail: what its lines are.
//!
//! Promises: each line goes somewhere, or a note says that it was left out. Whether the text was wrapped
//! at some width is measured first; it decides whether a line is a paragraph or part of one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::draft::Found;
use crate::draft::head::{head, is_address, says_hello, teaser};
use crate::draft::line::{Line, classify};
use crate::draft::links::{asks, is_phrase, lost, points};
use crate::draft::mailbox::promises;
use crate::draft::outro::says_goodbye;
use crate::draft::piece::{Entry, Kind, Piece, embolden, escape, tame_start};
use crate::draft::text::references::{noted, notes, taken};
use crate::draft::text::shape::{
    HEADLINE, bold, ends_early, hashed, item_lines, shouts, underlines, width, without_pictures,
};

mod references;
mod shape;

/// What is told of a sentence that speaks of a link and holds none.
const LOST: &str = "a link may be lost, because a sentence ends with where it was";
/// Characters of a line that may have lost its bullet.
const BARE_ENTRY: usize = 140;
/// Characters of a line of verse.
const VERSE: usize = 45;
/// Characters of the line with which a letter is signed.
const SIGNING: usize = 60;

/// Reads a pasted newsletter.
pub(super) fn read(text: &str, masthead: &str) -> Found {
    let mut found = Found::default();
    let text = unquoted(text);
    let lines = head(&text, masthead, &mut found);
    let (lines, references) = taken(lines);
    let (lines, notes) = notes(lines);
    let lines: Vec<Line<'_>> = lines.into_iter().map(classify).collect();
    let items = item_lines(&lines);
    let mut walk = Walk {
        title: found.title.as_deref().unwrap_or_default(),
        references,
        notes: &notes,
        width: width(&lines),
        sections: items.values().filter(|number| **number == 1).count() > 1,
        items,
        lines: &lines,
        at: 0,
        pieces: Vec::new(),
        begun: false,
        divided: false,
    };
    walk.run();
    let notes = notes.iter().map(|(number, words)| {
        Piece::of(Kind::Note {
            label: number.to_string(),
            text: walk.linked(words),
        })
    });
    let notes: Vec<Piece> = notes.collect();
    found.pieces = walk.pieces;
    found.pieces.extend(notes);
    teaser(&mut found);
    found
}

struct Walk<'a> {
    title: &'a str,
    /// Where the numbers among the words lead.
    references: BTreeMap<usize, &'a str>,
    /// What stands below for other numbers.
    notes: &'a [(usize, String)],
    lines: &'a [Line<'a>],
    /// At which the lines are wrapped, if they are.
    width: Option<usize>,
    /// Headlines by their line, with their numbers.
    items: BTreeMap<usize, usize>,
    /// Each section counts its items anew.
    sections: bool,
    at: usize,
    pieces: Vec<Piece>,
    /// An item was begun.
    begun: bool,
    /// An item with a number has headlines within.
    divided: bool,
}

impl<'a> Walk<'a> {
    fn run(&mut self) {
        while let Some(line) = self.lines.get(self.at) {
            match line {
                Line::Blank => self.at += 1,
                Line::Rule(_) => {
                    self.at += 1;
                    // Between two items a line divides, which the theme does anyway.
                    if self.after_items() {
                        self.pieces.push(Piece::of(Kind::Rule));
                    }
                }
                Line::Numbered { text, .. } if self.items.contains_key(&self.at) => {
                    let number = self.items.get(&self.at).copied();
                    let phrase = is_phrase(text);
                    let text = match phrase {
                        true => escape(text),
                        false => self.linked(text),
                    };
                    self.at += 1;
                    if matches!(self.lines.get(self.at), Some(Line::Rule(drawn)) if underlines(drawn))
                    {
                        self.at += 1;
                    }
                    self.begun = true;
                    let mut item = Piece::of(Kind::Item { number, text });
                    item.guess = phrase.then(|| "a headline, though it may be a link".into());
                    self.pieces.push(item);
                }
                Line::Numbered { .. } | Line::Bullet { .. } => self.list(),
                Line::Quote(_) => self.quote(),
                Line::Text(text) => self.text(text),
            }
        }
    }

    fn text(&mut self, text: &'a str) {
        if self.begun && self.ends_item() && asks(text) {
            self.at += 1;
            let what =
                "a link that lost its target, because the line ends an item and asks for something";
            self.pieces
                .push(Piece::guessed(Kind::Paragraph(lost(text)), what));
            return;
        }
        if points(text) {
            self.at += 1;
            let what = "a link that lost its target, because an arrow points at it";
            self.pieces
                .push(Piece::guessed(Kind::Paragraph(lost(text)), what));
            return;
        }
        if let Some(headline) = self.headline(text) {
            self.pieces.extend(headline);
            return;
        }
        if text.ends_with(':') && self.width.is_none() {
            let bare = self.bare_entries();
            if bare.len() > 1 {
                self.at += 1;
                self.paragraph(&[text]);
                self.at += bare.len();
                let entries = bare.into_iter().map(|text| Entry {
                    depth: 0,
                    number: None,
                    text: self.linked(text),
                });
                let list = Kind::List(entries.collect());
                let what = "a list, because short lines follow a colon; look where it ends";
                return self.pieces.push(Piece::guessed(list, what));
            }
        }
        if let Some(verse) = self.verse() {
            self.at += verse.len();
            return self.paragraph(&verse);
        }
        self.at += 1;
        let mut lines = vec![text.to_owned()];
        let mut joined = false;
        while let Some(Line::Text(more)) = self.lines.get(self.at) {
            if hashed(more).is_some() {
                break;
            }
            let last = lines.last_mut().expect("it never is empty");
            let signs = last.ends_with(',')
                && last.chars().count().max(more.chars().count()) <= SIGNING
                && says_goodbye(last);
            match self.width {
                Some(width) if !ends_early(last, more, width) => {
                    last.push(' ');
                    last.push_str(more);
                }
                Some(_) => lines.push((*more).to_owned()),
                None if signs => lines.push((*more).to_owned()),
                None if goes_on(last, more) => {
                    last.push(' ');
                    last.push_str(more);
                    joined = true;
                }
                None => break,
            }
            self.at += 1;
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.paragraph(&lines);
        if let Some(piece) = self.pieces.last_mut().filter(|_| joined) {
            piece.guess = Some("one paragraph, because its lines go on in small letters".into());
        }
    }

    /// Short lines between two blank ones, whose ends the author meant: verse, an address.
    fn verse(&self) -> Option<Vec<&'a str>> {
        if self.at > 0 && self.lines[self.at - 1] != Line::Blank {
            return None;
        }
        let rest = self.lines[self.at..].iter();
        let lines = rest.map_while(|line| match line {
            Line::Text(text) => Some(*text),
            _ => None,
        });
        let lines: Vec<&str> = lines.collect();
        let below = self.lines.get(self.at + lines.len());
        let alone = below.is_none_or(|below| *below == Line::Blank);
        let short = |line: &&str| {
            line.chars().count() <= VERSE
                && !line.contains("://")
                && !is_phrase(line)
                && !points(line)
        };
        (alone && lines.len() > 1 && lines.iter().all(short)).then_some(lines)
    }

    /// Words with their links, as Markdown.
    fn linked(&self, text: &str) -> String {
        let markdown = references::linked(text, &self.references);
        noted(embolden(markdown), self.notes)
    }

    /// One paragraph, of lines that the author ended.
    fn paragraph(&mut self, lines: &[&str]) {
        let written: Vec<String> = lines.iter().map(|line| self.linked(line)).collect();
        let lost = written
            .iter()
            .zip(lines)
            .any(|(markdown, line)| promises(line, markdown));
        let words = written.iter().map(|line| tame_start(line));
        let words = words.collect::<Vec<_>>().join("  \n");
        let mut piece = Piece::of(Kind::Paragraph(words));
        piece.guess = lost.then(|| LOST.into());
        self.pieces.push(piece);
    }

    /// Whether nothing of the present item stands below this line.
    fn ends_item(&self) -> bool {
        let mut below = self.lines.iter().enumerate().skip(self.at + 1);
        match below.find(|(_, line)| **line != Line::Blank) {
            None | Some((_, Line::Rule(_))) => true,
            Some((at, Line::Text(text))) => self.lines[at - 1] == Line::Blank && says_goodbye(text),
            Some((at, _)) => self.items.contains_key(&at),
        }
    }

    /// The short lines right below the present one.
    fn bare_entries(&self) -> Vec<&'a str> {
        let below = self.lines[self.at + 1..].iter();
        let entries = below.map_while(|line| match line {
            Line::Text(text)
                if text.chars().count() <= BARE_ENTRY
                    && !text.ends_with(':')
                    && !is_phrase(text) =>
            {
                Some(*text)
            }
            _ => None,
        });
        entries.collect()
    }

    /// A line that stands alone like a headline, or that is underlined; nothing of it where it says the title
    /// again.
    fn headline(&mut self, text: &'a str) -> Option<Option<Piece>> {
        let above = self.at == 0 || self.lines[self.at - 1] == Line::Blank;
        let next = self.lines.get(self.at + 1);
        let underline = match next {
            Some(Line::Rule(drawn)) if above && underlines(drawn) => Some(*drawn),
            _ => None,
        };
        let underline = underline.filter(|_| text.chars().count() <= HEADLINE);
        let shouts = above && shouts(text) && next.is_some();
        let alone = shouts || above && matches!(next, Some(Line::Blank));
        let body = self.lines[self.at + 1..]
            .iter()
            .find(|line| **line != Line::Blank);
        let hashed = hashed(text);
        let bold = bold(text).filter(|_| above);
        let text = hashed.or(bold).unwrap_or(text);
        let opens = self.opens_section();
        let leads = matches!(body, Some(Line::Text(body)) if body.chars().count() > text.chars().count())
            || matches!(body, Some(Line::Bullet { .. }))
            || shouts && body.is_some()
            || opens;
        let looks = text.chars().count() <= HEADLINE
            && text.split_whitespace().count() <= 12
            && !without_pictures(text).ends_with(['.', ',', ':', ';', '!', ')', '\u{2026}'])
            && !text.starts_with(char::is_lowercase)
            && !is_phrase(text)
            && !says_hello(text)
            && !says_goodbye(text)
            && !self.signs(text)
            && !text.contains("://");
        let marked = underline.is_some() || bold.is_some() || hashed.is_some();
        if !(marked || alone && looks && leads) {
            return None;
        }
        self.at += if underline.is_some() { 2 } else { 1 };
        if underline.is_some_and(|drawn| self.is_letterhead(text, drawn)) {
            return Some(None);
        }
        let text = self.linked(text);
        let within = self.begun && !opens && !self.is_section();
        let kind = match (self.items.is_empty(), within) {
            (true, _) => Kind::Item { number: None, text },
            (false, true) => {
                self.divided |= !self.after_items();
                Kind::Heading { level: 3, text }
            }
            (false, false) => Kind::Item {
                number: None,
                text: format!("{text} {{.plain}}"),
            },
        };
        self.begun |= matches!(kind, Kind::Item { .. });
        let why = match bold {
            Some(_) => "a headline, because the line is short and bold",
            None => "a headline, because the line is short and stands alone",
        };
        Some(Some(match underline.or(hashed) {
            Some(_) => Piece::of(kind),
            None => Piece::guessed(kind, why),
        }))
    }

    /// Whether a headline behind the last numbered item begins something of its own: those before had none
    /// within.
    fn is_section(&self) -> bool {
        self.after_items() && !self.divided
    }

    /// Whether the next line begins to count, in a text that does so in each section.
    fn opens_section(&self) -> bool {
        let below = self.lines.iter().enumerate().skip(self.at + 1);
        let mut below = below.filter(|(_, line)| **line != Line::Blank);
        let next = below.next().and_then(|(at, _)| self.items.get(&at));
        self.sections && next == Some(&1)
    }

    /// Whether a line is the name below closing words or a comma, as a letter ends.
    fn signs(&self, text: &str) -> bool {
        let mut above = self.lines[..self.at].iter().rev();
        let above = above.find(|line| **line != Line::Blank);
        let Some(Line::Text(above)) = above else {
            return false;
        };
        let closes = says_goodbye(above) || above.ends_with(',') && !says_hello(above);
        let name = text.split(' ').count() <= 4 && text.starts_with(char::is_uppercase);
        above.chars().count() <= SIGNING && closes && name
    }

    /// The newsletter's name above its text, which is in the title, too.
    fn is_letterhead(&self, text: &str, drawn: &str) -> bool {
        let title = self.title.to_lowercase();
        !self.begun && drawn.starts_with('=') && title.contains(&text.to_lowercase())
    }

    fn list(&mut self) {
        let mut entries: Vec<Entry> = Vec::new();
        let mut guess = None;
        while let Some(line) = self.lines.get(self.at) {
            match line {
                _ if self.items.contains_key(&self.at) => break,
                Line::Bullet { depth, text } => entries.push(Entry {
                    depth: *depth,
                    number: None,
                    text: self.linked(text),
                }),
                Line::Numbered { number, text } => {
                    entries.push(Entry {
                        depth: 0,
                        number: Some(*number),
                        text: self.linked(text),
                    });
                }
                Line::Text(text)
                    if self.width.is_some()
                        || is_address(text)
                        || entries.last().is_some_and(|last| goes_on(&last.text, text)) =>
                {
                    if let Some(last) = entries.last_mut() {
                        last.text = format!("{} {}", last.text, self.linked(text));
                    }
                }
                Line::Blank => {
                    let below = &self.lines[self.at..];
                    let next = below.iter().position(|line| *line != Line::Blank);
                    match next.map(|next| (next, &below[next])) {
                        Some((blank, Line::Bullet { .. })) => self.at += blank,
                        _ => break,
                    }
                    continue;
                }
                Line::Text(_) => {
                    guess = Some("the list is taken to end before the line without a bullet");
                    break;
                }
                Line::Quote(_) | Line::Rule(_) => break,
            }
            self.at += 1;
        }
        // A list that is set in as a whole is as deep as any other.
        let least = entries.iter().map(|entry| entry.depth).min();
        for entry in &mut entries {
            entry.depth -= least.unwrap_or_default();
        }
        let lost = entries
            .iter()
            .any(|entry| promises(&entry.text, &entry.text));
        let guess = guess.or(lost.then_some(LOST));
        let list = Kind::List(entries);
        self.pieces.push(match guess {
            Some(what) => Piece::guessed(list, what),
            None => Piece::of(list),
        });
    }

    fn quote(&mut self) {
        let mut words = Vec::new();
        while let Some(Line::Quote(text)) = self.lines.get(self.at) {
            words.push(*text);
            self.at += 1;
        }
        let paragraphs = words
            .split(|line| line.is_empty())
            .filter(|lines| !lines.is_empty());
        let paragraphs = paragraphs
            .map(|lines| Piece::of(Kind::Paragraph(tame_start(&self.linked(&lines.join(" "))))));
        self.pieces
            .push(Piece::of(Kind::Quote(paragraphs.collect())));
    }

    /// Whether all headlines with numbers stand above this line.
    fn after_items(&self) -> bool {
        let last = self.items.keys().next_back();
        last.is_none_or(|last| *last < self.at)
    }
}

/// A text of which all is quoted, as some programs pass a mail on, without the marks.
fn unquoted(text: &str) -> Cow<'_, str> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let quoted = lines.clone().filter(|line| line.starts_with('>')).count();
    if quoted * 10 < lines.count() * 9 || quoted == 0 {
        return Cow::Borrowed(text);
    }
    let bare = |line: &str| {
        let rest = line.strip_prefix('>').unwrap_or(line);
        format!("{}\n", rest.strip_prefix(' ').unwrap_or(rest))
    };
    Cow::Owned(text.lines().map(bare).collect())
}

/// Whether a sentence goes on in the next line, of a text that is not wrapped as a whole.
fn goes_on(line: &str, next: &str) -> bool {
    let ended = line.ends_with(['.', '!', '?', ':', ';', ')', '\u{2026}']);
    let words = next.contains(' ') && next.starts_with(char::is_lowercase);
    words && !ended && !is_phrase(next) && !asks(next) && !next.contains("://")
}
