//! A message as it came: its octets decoded, and the links in it.
//!
//! Promises: takes what a stranger's server made of a message without a panic. Leaves MIME to mail programs: of the
//! encodings this house writes quoted-printable only, and what is in another comes out as it is.

/// RFC 2045, section 6.7, backwards: soft breaks go, `=XX` becomes its octet; an `=` before anything else stays.
pub fn decoded(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((&octet, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|pair| std::str::from_utf8(pair).ok());
        rest = match (octet, digits) {
            (b'=', _) if after.starts_with(b"\r\n") => &after[2..],
            (b'=', Some(digits)) => {
                out.extend(u8::from_str_radix(digits, 16));
                &after[2..]
            }
            _ => {
                out.push(octet);
                after
            }
        };
    }
    out
}

/// The distinct tokens behind `base` in a decoded message, in their order.
pub fn tokens<'a>(text: &'a str, base: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(base) {
        let rest = &text[at + base.len()..];
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = rest.find(|c| !letter(c)).unwrap_or(rest.len());
        if end > 0 && !found.contains(&&rest[..end]) {
            found.push(&rest[..end]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{decoded, tokens};

    #[test]
    fn octets_and_soft_breaks_are_undone_and_what_is_neither_stays() {
        let raw = b"a=\r\nb =C3=BC =3D =zz = =4";
        assert_eq!(decoded(raw), "ab ü = =zz = =4".as_bytes());
    }

    #[test]
    fn a_token_ends_where_its_letters_do_and_is_named_once() {
        let text = "<https://x.example/c/aB-1> https://x.example/c/aB-1, https://x.example/c/_2\" https://x.example/c/.";
        assert_eq!(tokens(text, "https://x.example/c/"), ["aB-1", "_2"]);
    }
}
