//! Tag lists (RFC 6376, section 3.2), as DKIM signatures, DKIM keys and DMARC records are written.

/// The tags of `text` in their order: `name=value`, blanks around both dropped. `None` when a piece is no
/// tag, or a name stands twice.
pub fn parse(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut tags: Vec<(&str, &str)> = Vec::new();
    let mut pieces = text.split(';').peekable();
    while let Some(piece) = pieces.next() {
        if piece.trim().is_empty() && pieces.peek().is_none() {
            break;
        }
        let (name, value) = piece.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fine = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(plain);
        if !fine || tags.iter().any(|(known, _)| *known == name) {
            return None;
        }
        tags.push((name, value));
    }
    Some(tags)
}

/// The value of one tag.
pub fn value<'a>(tags: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    let found = tags.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::{parse, value};

    #[test]
    fn blanks_and_a_last_semicolon_are_allowed_and_doubles_are_not() {
        let tags = parse(" v = 1; a=rsa-sha256 ;\r\n b=AA=\r\n =; ").expect("tags");
        assert_eq!(value(&tags, "v"), Some("1"));
        assert_eq!(value(&tags, "b"), Some("AA=\r\n ="));
        assert_eq!(value(&tags, "B"), None);
        for text in ["v=1;;b=2", "v=1; v=2", "nothing", "1v=1", "=1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
