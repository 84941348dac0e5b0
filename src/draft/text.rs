//! Plain text, as it is pasted from a mail: what its lines are.
//!
//! Promises: each line goes somewhere, or a note says that it was left out. Whether the text was wrapped
//! at some width is measured first; it decides whether a line is a paragraph or part of one.

use std::collections::BTreeMap;

use crate::draft::line::{Line, classify};
use crate::draft::links::{is_phrase, linked};
use crate::draft::piece::{Entry, Kind, Piece, tame_start};
use crate::draft::{Found, dates, is_footer};

/// Characters of a headline at most; a longer line is a sentence.
const HEADLINE: usize = 90;
/// Characters of a teaser at most.
const TEASER: usize = 280;
/// Characters of a line that may have lost its bullet.
const BARE_ENTRY: usize = 140;

/// Reads a pasted newsletter.
pub(super) fn read(text: &str) -> Found {
    let mut found = Found::default();
    let lines = head(text, &mut found);
    let lines: Vec<Line<'_>> = lines.into_iter().map(classify).collect();
    let mut walk = Walk {
        wrapped: is_wrapped(&lines),
        items: item_lines(&lines),
        lines: &lines,
        at: 0,
        pieces: Vec::new(),
        begun: false,
    };
    walk.run();
    found.pieces = walk.pieces;
    teaser(&mut found);
    found
}

/// Takes title and date off the top, and what every newsletter ends with off the text.
fn head<'a>(text: &'a str, found: &mut Found) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut heading = true;
    let mut left_out = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if heading && !trimmed.is_empty() {
            let field = trimmed
                .split_once(": ")
                .map(|(key, value)| (key.to_ascii_lowercase(), value));
            match field.as_ref().map(|(key, value)| (key.as_str(), *value)) {
                Some(("subject" | "title", value)) if found.title.is_none() => {
                    found.title = Some(value.trim().to_owned());
                    continue;
                }
                Some(("date" | "dates" | "sent", value))
                    if dates::line(date_of_mail(value)).is_some() =>
                {
                    found.dates = dates::line(date_of_mail(value));
                    continue;
                }
                Some(("from" | "to" | "reply-to" | "cc", _)) => continue,
                _ => {}
            }
            if let Some(dates) = dates::line(trimmed) {
                found.dates = Some(dates);
                continue;
            }
            if found.title.is_none() && classify(line) == Line::Text(trimmed) {
                let title = trimmed.trim_start_matches('#').trim();
                found.title = Some(title.to_owned());
                if title.chars().count() > 2 * HEADLINE {
                    found
                        .notes
                        .push("the title is the first line, which is long for a title".into());
                }
                continue;
            }
            heading = false;
        }
        if is_footer(trimmed) {
            left_out.push(trimmed);
            continue;
        }
        kept.push(line);
    }
    if !left_out.is_empty() {
        let shown: Vec<String> = left_out
            .iter()
            .map(|line| format!("`{}`", short(line)))
            .collect();
        found.notes.push(format!(
            "left out, because the theme says it: {}",
            shown.join(", ")
        ));
    }
    kept
}

/// The day of a mail's Date, without time and zone.
fn date_of_mail(value: &str) -> &str {
    let end = value.find(':').map_or(value.len(), |colon| {
        value[..colon].rfind(' ').unwrap_or(colon)
    });
    value[..end].trim_end_matches(" at").trim()
}

fn short(line: &str) -> String {
    let mut shown: String = line.chars().take(40).collect();
    if shown.len() < line.len() {
        shown.push('\u{2026}');
    }
    shown
}

/// Whether neighbouring lines are parts of one paragraph.
fn is_wrapped(lines: &[Line<'_>]) -> bool {
    let text = |line: &Line<'_>| match line {
        Line::Text(text) => Some(text.chars().count()),
        _ => None,
    };
    let pairs = lines
        .windows(2)
        .filter_map(|pair| text(&pair[0]).zip(text(&pair[1])));
    let (mut full, mut all) = (0, 0);
    for (first, _) in pairs {
        all += 1;
        full += usize::from((50..=100).contains(&first));
    }
    let longest = lines.iter().filter_map(text).max().unwrap_or_default();
    all > 0 && full * 3 >= all * 2 && longest <= 110
}

/// Numbered lines that are headlines: 1, 2, 3 and so on, most of them with text of their own below.
fn item_lines(lines: &[Line<'_>]) -> BTreeMap<usize, usize> {
    let numbered = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| match line {
            Line::Numbered { number, text } if text.chars().count() <= 2 * HEADLINE => {
                Some((at, *number))
            }
            _ => None,
        });
    let mut items: Vec<(usize, usize)> = Vec::new();
    for (at, number) in numbered {
        let expected = items.last().map_or(1, |(_, last)| last + 1);
        let follows = number == expected || (items.is_empty() && number <= 1);
        if follows && has_text_below(lines, at) {
            items.push((at, number));
        }
    }
    if items.len() < 2 {
        items.clear();
    }
    items.into_iter().collect()
}

/// Whether a paragraph stands between this line and the next numbered one.
fn has_text_below(lines: &[Line<'_>], at: usize) -> bool {
    let below = &lines[at + 1..];
    let mut block = below
        .iter()
        .take_while(|line| !matches!(line, Line::Numbered { .. }));
    block.any(|line| matches!(line, Line::Text(_) | Line::Bullet { .. } | Line::Quote(_)))
}

struct Walk<'a> {
    lines: &'a [Line<'a>],
    wrapped: bool,
    /// Headlines by their line, with their numbers.
    items: BTreeMap<usize, usize>,
    at: usize,
    pieces: Vec<Piece>,
    /// An item was begun.
    begun: bool,
}

impl<'a> Walk<'a> {
    fn run(&mut self) {
        while let Some(line) = self.lines.get(self.at) {
            match line {
                Line::Blank => self.at += 1,
                Line::Rule => {
                    self.at += 1;
                    let last = self
                        .items
                        .keys()
                        .next_back()
                        .is_none_or(|last| *last < self.at);
                    // Between two items a line divides, which the theme does anyway.
                    if self.begun && last {
                        self.pieces.push(Piece::of(Kind::Rule));
                    }
                }
                Line::Numbered { text, .. } if self.items.contains_key(&self.at) => {
                    let number = self.items.get(&self.at).copied();
                    let text = linked(text).0;
                    self.at += 1;
                    self.begun = true;
                    self.pieces.push(Piece::of(Kind::Item { number, text }));
                }
                Line::Numbered { .. } | Line::Bullet { .. } => self.list(),
                Line::Quote(_) => self.quote(),
                Line::Text(text) => self.text(text),
            }
        }
    }

    fn text(&mut self, text: &'a str) {
        if let Some(headline) = self.headline(text) {
            return self.pieces.push(headline);
        }
        if self.begun && says_goodbye(text) && self.after_items() && !self.has_rule() {
            self.pieces.push(Piece::guessed(
                Kind::Rule,
                "the last item is taken to end here",
            ));
        }
        if text.ends_with(':') && !self.wrapped {
            let bare = self.bare_entries();
            if bare.len() > 1 {
                self.paragraph(text);
                let count = bare.len();
                let entries = bare.into_iter().map(|text| Entry {
                    depth: 0,
                    number: None,
                    text: linked(text).0,
                });
                let list = Kind::List(entries.collect());
                self.at += count;
                let what = "a list, because short lines follow a colon; look where it ends";
                return self.pieces.push(Piece::guessed(list, what));
            }
        }
        self.at += 1;
        let mut words = text.to_owned();
        while self.wrapped
            && let Some(Line::Text(more)) = self.lines.get(self.at)
        {
            words.push(' ');
            words.push_str(more);
            self.at += 1;
        }
        self.push_paragraph(&words);
    }

    fn paragraph(&mut self, text: &str) {
        self.at += 1;
        self.push_paragraph(text);
    }

    fn push_paragraph(&mut self, text: &str) {
        let (words, _) = linked(text);
        self.pieces
            .push(Piece::of(Kind::Paragraph(tame_start(&words))));
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

    /// A line that stands alone like a headline, or that is underlined.
    fn headline(&mut self, text: &'a str) -> Option<Piece> {
        let above = self.at == 0 || self.lines[self.at - 1] == Line::Blank;
        let next = self.lines.get(self.at + 1);
        let underlined = next == Some(&Line::Rule) && text.chars().count() <= HEADLINE && above;
        let alone = above && matches!(next, Some(Line::Blank));
        let body = self.lines[self.at + 1..]
            .iter()
            .find(|line| **line != Line::Blank);
        let leads = matches!(body, Some(Line::Text(body)) if body.chars().count() > text.chars().count())
            || matches!(body, Some(Line::Bullet { .. }));
        let looks = text.chars().count() <= HEADLINE
            && text.split_whitespace().count() <= 12
            && !text.ends_with(['.', ',', ':', ';', '!', ')', '\u{2026}'])
            && !text.starts_with(char::is_lowercase)
            && !is_phrase(text)
            && !text.contains("://");
        if !(underlined || (alone && looks && leads)) {
            return None;
        }
        let text = linked(text).0;
        self.at += if underlined { 2 } else { 1 };
        let kind = match (self.items.is_empty(), self.begun) {
            (true, _) => Kind::Item { number: None, text },
            (false, true) => Kind::Heading { level: 3, text },
            (false, false) => Kind::Item {
                number: None,
                text: format!("{text} {{.plain}}"),
            },
        };
        self.begun |= matches!(kind, Kind::Item { .. });
        Some(match underlined {
            true => Piece::of(kind),
            false => Piece::guessed(
                kind,
                "a headline, because the line is short and stands alone",
            ),
        })
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
                    text: linked(text).0,
                }),
                Line::Numbered { number, text } => {
                    entries.push(Entry {
                        depth: 0,
                        number: Some(*number),
                        text: linked(text).0,
                    });
                }
                Line::Text(text) if self.wrapped => {
                    if let Some(last) = entries.last_mut() {
                        last.text = format!("{} {}", last.text, linked(text).0);
                    }
                }
                Line::Blank => {
                    let next = self.lines[self.at..]
                        .iter()
                        .find(|line| **line != Line::Blank);
                    if !matches!(next, Some(Line::Bullet { .. })) {
                        break;
                    }
                }
                Line::Text(_) => {
                    guess = Some("the list is taken to end before the line without a bullet");
                    break;
                }
                Line::Quote(_) | Line::Rule => break,
            }
            self.at += 1;
        }
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
            .map(|lines| Piece::of(Kind::Paragraph(tame_start(&linked(&lines.join(" ")).0))));
        self.pieces
            .push(Piece::of(Kind::Quote(paragraphs.collect())));
    }

    fn after_items(&self) -> bool {
        self.items
            .keys()
            .next_back()
            .is_none_or(|last| *last < self.at)
    }

    fn has_rule(&self) -> bool {
        self.pieces.iter().any(|piece| piece.kind == Kind::Rule)
    }
}

fn says_goodbye(text: &str) -> bool {
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    let starts = [
        "that's all",
        "that's it",
        "see you next",
        "until next",
        "thanks for reading",
        "thank you for reading",
        "happy reading",
        "have a great week",
        "enjoyed this",
        "best,",
        "cheers,",
        "yours,",
    ];
    starts.iter().any(|start| lower.starts_with(start))
}

fn is_greeting(text: &str) -> bool {
    let first = text
        .split([' ', ',', '!'])
        .next()
        .unwrap_or_default()
        .to_lowercase();
    matches!(
        first.as_str(),
        "hello" | "hi" | "hey" | "dear" | "good" | "welcome"
    )
}

/// The first short paragraph is the teaser when more follows before the first item.
pub(super) fn teaser(found: &mut Found) {
    if found.teaser.is_some() {
        return;
    }
    let [first, next, ..] = found.pieces.as_slice() else {
        return;
    };
    let Kind::Paragraph(text) = &first.kind else {
        return;
    };
    let length = text.chars().count();
    let more = matches!(&next.kind, Kind::Paragraph(_));
    if is_greeting(text)
        || text.contains("](")
        || text.contains("<http")
        || length > TEASER
        || !(more || length <= 140)
    {
        return;
    }
    found.teaser = Some(text.replace('\\', ""));
    found.pieces.remove(0);
    found.notes.push("the teaser is the first paragraph".into());
}
