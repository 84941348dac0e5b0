//! What a line of plain text looks like, by itself.

/// A line by its first characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Blank,
    /// A drawn line, as it stands there.
    Rule(&'a str),
    Bullet {
        depth: usize,
        text: &'a str,
    },
    Numbered {
        number: usize,
        text: &'a str,
    },
    Quote(&'a str),
    Text(&'a str),
}

/// Looks at one line.
pub(super) fn classify(line: &str) -> Line<'_> {
    let text = line.trim();
    let indent = line
        .chars()
        .take_while(|c| c.is_whitespace())
        .map(|c| if c == '\t' { 4 } else { 1 })
        .sum::<usize>();
    if text.is_empty() {
        return Line::Blank;
    }
    let drawn = |c: char| {
        matches!(
            c,
            '-' | '*' | '_' | '=' | '~' | '\u{2014}' | '\u{2500}' | '\u{2022}' | ' '
        )
    };
    // Two hyphens stand before a signature (RFC 3676, section 4.3).
    if text == "--" || text.chars().count() >= 3 && text.chars().all(drawn) {
        return Line::Rule(text);
    }
    let mut rest = text.chars();
    let first = rest.next().unwrap_or_default();
    let after = rest.as_str();
    let level = match first {
        '\u{2022}' | '\u{25cf}' | '\u{2023}' | '\u{25b8}' | '\u{2043}' | '\u{27a4}'
        | '\u{2714}' | '\u{2713}' => Some(0),
        '\u{25e6}' | '\u{25cb}' | '\u{25aa}' | '\u{25ab}' | '\u{25a0}' => Some(1),
        '-' | '*' | '+' | '\u{2013}' | '\u{b7}' if after.starts_with([' ', '\t']) => Some(0),
        'o' if indent > 0 && after.starts_with(['\t', ' ']) && after.trim_start() != after => {
            Some(1)
        }
        _ => None,
    };
    if let Some(level) = level.filter(|_| !after.trim().is_empty()) {
        let depth = (indent / 2).min(4).max(level);
        let text = after.trim();
        // Stars on both sides are drawn around words.
        let text = text
            .strip_suffix(" *")
            .filter(|_| first == '*')
            .unwrap_or(text);
        return Line::Bullet { depth, text };
    }
    if let Some(quoted) = text.strip_prefix('>') {
        return Line::Quote(quoted.trim());
    }
    // Mailchimp's plain text has this before what is a headline or a link in the HTML.
    let text = text.strip_prefix("** ").map_or(text, |text| {
        text.strip_suffix(" **").unwrap_or(text).trim_start()
    });
    match numbered(text) {
        Some((number, text)) => Line::Numbered { number, text },
        None => Line::Text(text),
    }
}

/// `3. text`, `3) text`, `3: text`, `3/ text`, `#3 text` and the keycap digits.
fn numbered(text: &str) -> Option<(usize, &str)> {
    let hashed = text.strip_prefix('#');
    let bare = hashed.unwrap_or(text);
    let digits = bare.len() - bare.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits == 0 || digits > 3 {
        return None;
    }
    let number = bare[..digits].parse().ok()?;
    let rest = &bare[digits..];
    let rest = rest
        .strip_prefix("\u{fe0f}\u{20e3}")
        .or_else(|| rest.strip_prefix(". "))
        .or_else(|| rest.strip_prefix(".\t"))
        .or_else(|| rest.strip_prefix(") "))
        .or_else(|| rest.strip_prefix(": "))
        .or_else(|| rest.strip_prefix("/ "))
        .or_else(|| rest.strip_prefix(" - "))
        .or_else(|| rest.strip_prefix(" \u{2013} "))
        .or_else(|| rest.strip_prefix(" \u{2014} "))
        .or_else(|| hashed.and_then(|_| rest.strip_prefix(' ')))?;
    let rest = rest.trim();
    (!rest.is_empty()).then_some((number, rest))
}
