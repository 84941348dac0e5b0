//! What a draft is made of before it is written: blocks whose words are Markdown already.

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    /// What was guessed about it.
    pub(super) guess: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The headline of an item; `number` is the author's own.
    Item {
        number: Option<usize>,
        text: String,
    },
    /// A headline within an item: 3 or 4.
    Heading {
        level: usize,
        text: String,
    },
    Paragraph(String),
    List(Vec<Entry>),
    Quote(Vec<Piece>),
    Code(String),
    Image {
        source: String,
        alt: String,
        caption: String,
        href: Option<String>,
    },
    /// Rows of cells; the first one is the head.
    Table(Vec<Vec<String>>),
    Rule,
    /// What could not be kept, at its place: its kind, its address and its words.
    LeftOut(String),
    /// A footnote; what mentions it is `[^label]`. Its paragraphs are parted by blank lines.
    Note {
        label: String,
        text: String,
    },
    /// Markdown of the author's that is passed on as it is.
    Verbatim(String),
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// 0 for the outermost list.
    pub(super) depth: usize,
    /// Its number in an ordered list.
    pub(super) number: Option<usize>,
    pub(super) text: String,
}

impl Piece {
    pub(super) fn of(kind: Kind) -> Piece {
        Piece { kind, guess: None }
    }

    pub(super) fn guessed(kind: Kind, what: impl Into<String>) -> Piece {
        Piece {
            kind,
            guess: Some(what.into()),
        }
    }
}

/// Plain words as Markdown: whatever Markdown or a slot would read as its own is escaped.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        let special = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' => true,
            // Within a word an underscore is only itself.
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            '~' => next == '~' || before == '~',
            '|' => true,
            '&' => next == '#' || next.is_ascii_alphabetic(),
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// Escaped words in which `**` stands in pairs around words, as people write it in plain text: bold.
pub(super) fn embolden(markdown: String) -> String {
    let marks = "\\*\\*";
    let mut bold = markdown.split(marks).skip(1).step_by(2);
    let paired = markdown.matches(marks).count().is_multiple_of(2);
    if paired && bold.all(|words| !words.is_empty() && words.trim() == words) {
        return markdown.replace(marks, "**");
    }
    markdown
}

/// Markdown of ours as plain words: without escapes, looks and targets.
pub(super) fn plain(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = rest.chars().next();
                out.extend(escaped);
                rest = &rest[escaped.map_or(0, char::len_utf8)..];
            }
            ']' => {
                let target = rest.strip_prefix('(').map(|target| {
                    let close = if target.starts_with('<') { ">)" } else { ")" };
                    (target, target.find(close).map(|end| end + close.len()))
                });
                if let Some((target, Some(end))) = target {
                    rest = &target[end..];
                }
            }
            '*' | '`' | '[' => {}
            other => out.push(other),
        }
    }
    out
}

/// A line of Markdown that begins a paragraph and nothing else.
pub(super) fn tame_start(line: &str) -> String {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let marker = |rest: &str| rest.starts_with(['.', ')']) && rest[1..].starts_with([' ', '\t']);
    if digits > 0 && digits < 10 && marker(&line[digits..]) {
        return format!("{}\\{}", &line[..digits], &line[digits..]);
    }
    let rule = line.len() >= 3 && line.chars().all(|c| matches!(c, '-' | '=' | ' '));
    let starts = ["#", ">", "+ ", "- ", ":::", "```", "~~~", "    "];
    if rule || starts.iter().any(|start| line.starts_with(start)) {
        return format!("\\{}", line.trim_start());
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{embolden, escape, plain, tame_start};

    #[test]
    fn plain_words_stay_plain_words() {
        assert_eq!(
            escape("a*b_c _d_ [e] <f> `g`"),
            "a\\*b_c \\_d\\_ \\[e\\] \\<f\\> \\`g\\`".replace("\\>", ">")
        );
        assert_eq!(escape("AT&T R&D a & b"), "AT\\&T R\\&D a & b");
        let bold = |text: &str| embolden(escape(text));
        assert_eq!(bold("a **b c** d **e**"), "a **b c** d **e**");
        assert_eq!(bold("2 ** 3 and 3 ** 2"), "2 \\*\\* 3 and 3 \\*\\* 2");
        assert_eq!(bold("**a"), "\\*\\*a");
        assert_eq!(tame_start("2026. A year"), "2026\\. A year");
        assert_eq!(tame_start("# no"), "\\# no");
        assert_eq!(tame_start("---"), "\\---");
        assert_eq!(tame_start("plain"), "plain");
        assert_eq!(plain(&escape("a*b [c] | d")), "a*b [c] | d");
        assert_eq!(
            plain("**a** [b](https://b.example) [c](<https://c.example/(x)>) d"),
            "a b c d"
        );
    }
}
