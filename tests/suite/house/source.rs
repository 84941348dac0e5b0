//! Just enough of a Rust lexer to tell code from comments and strings, and to find paths in it.
//!
//! Leaves macros alone: a path inside one is still a path.

/// `text` without comments, and with every string and character literal emptied.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"//") {
            at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        } else if rest.starts_with(b"/*") {
            at += block_comment(rest);
        } else if let Some(length) = raw_string(rest, code.last().copied()) {
            code.extend_from_slice(b"\"\"");
            at += length;
        } else if rest[0] == b'"' {
            code.extend_from_slice(b"\"\"");
            at += quoted(rest, b'"');
        } else if let Some(length) = character(rest) {
            code.extend_from_slice(b"' '");
            at += length;
        } else {
            code.push(rest[0]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The length of the block comment that `rest` begins with; they nest.
fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of the raw string that `rest` begins with, such as `r#".."#` or `br"..".`
fn raw_string(rest: &[u8], before: Option<u8>) -> Option<usize> {
    if before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let prefix = if rest.starts_with(b"br") { 2 } else { 1 };
    if rest[prefix - 1] != b'r' {
        return None;
    }
    let hashes = rest[prefix..].iter().take_while(|&&b| b == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let body = &rest[open + 1..];
    let length = body.windows(end.len()).position(|window| window == end);
    Some(length.map_or(rest.len(), |length| open + 1 + length + end.len()))
}

/// The length of the literal between two `quote`s.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a character literal; a lifetime is none.
fn character(rest: &[u8]) -> Option<usize> {
    if rest[0] != b'\'' {
        return None;
    }
    if rest.get(1) == Some(&b'\\') {
        return Some(quoted(rest, b'\''));
    }
    // One character is at most four bytes long.
    let close = (2..=5).find(|&at| rest.get(at) == Some(&b'\''))?;
    let one = std::str::from_utf8(&rest[1..close]).ok()?;
    (one.chars().count() == 1).then_some(close + 1)
}

/// The words of `code`, and beside each `std` the pair `std::next`, braces followed.
pub fn words(code: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words: Vec<String> = code
        .split(|c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    for (at, _) in code.match_indices("std::") {
        for name in first_names(&code[at + "std::".len()..]) {
            words.push(format!("std::{name}"));
        }
    }
    words
}

/// The top-level modules of this crate that `code` names, where `depth` is 1 for `src/foo.rs`, 2 for
/// `src/foo/bar.rs`: so many times `super::` leads to the crate.
pub fn crate_paths(code: &str, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    let up = "super::".repeat(depth);
    for root in ["crate::", up.as_str()] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            // `$crate::` in a macro is this crate as well.
            let inside = before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            if !inside && !code[..at].ends_with("super::") {
                found.extend(first_names(&code[at + root.len()..]));
            }
        }
    }
    found
}

/// The first name of a path, or of each path of a `{..}` group.
fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let word = text.trim_start().chars();
        word.take_while(|&c| c.is_ascii_alphanumeric() || c == '_')
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let mut names = vec![name(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a /* b /* c */ d */ e // f\n\"g \\\" h\" r#\"i \" j\"# 'k' '\\'' <'l> '“' m";
    let code = code_only(text);
    assert_eq!(words(&code), ["a", "e", "l", "m"], "{code}");
}
