//! Header fields as octets: taken apart where they were put together.

/// The header fields of `header`, each with its folded lines and its final CRLF.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let mut end = 0;
        while end < rest.len() {
            let line = rest[end..].iter().position(|&octet| octet == b'\n');
            end += line.map_or(rest.len() - end, |place| place + 1);
            if rest.get(end) != Some(&b' ') {
                break;
            }
        }
        let (field, after) = rest.split_at(end);
        rest = after;
        (!field.is_empty()).then_some(field)
    })
}

/// The name of a header field.
pub(super) fn name(field: &[u8]) -> &str {
    let colon = field.iter().position(|&octet| octet == b':');
    let name = &field[..colon.unwrap_or(field.len())];
    std::str::from_utf8(name).expect("header fields are written in ASCII")
}
