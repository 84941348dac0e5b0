//! The relaxed form of a header field (RFC 6376, section 3.4.2).

/// Appends the relaxed form of `field`, which is one whole header field: name, colon, value, folded or
/// not, with or without its final CRLF. What is appended ends in CRLF.
pub fn field(field: &[u8], out: &mut Vec<u8>) {
    let colon = field.iter().position(|&octet| octet == b':');
    let (name, value) = field.split_at(colon.unwrap_or(field.len()));
    out.extend(name.trim_ascii_end().to_ascii_lowercase());
    out.push(b':');
    let mut blank = false;
    let mut begun = false;
    for &octet in value.iter().skip(1) {
        match octet {
            b'\r' | b'\n' => {}
            b' ' | b'\t' => blank = begun,
            _ => {
                if blank {
                    out.push(b' ');
                    blank = false;
                }
                begun = true;
                out.push(octet);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn the_examples_of_the_rfc_come_out_as_printed() {
        // RFC 6376, section 3.4.5.
        let mut out = Vec::new();
        field(b"A: X\r\n", &mut out);
        field(b"B : Y\t\r\n\tZ  \r\n", &mut out);
        assert_eq!(out, b"a:X\r\nb:Y Z\r\n");
    }

    #[test]
    fn an_empty_value_and_a_missing_line_end_are_taken() {
        let mut out = Vec::new();
        field(b"Subject:  \r\n ", &mut out);
        field(b"DKIM-Signature: v=1;\r\n b=", &mut out);
        assert_eq!(out, b"subject:\r\ndkim-signature:v=1; b=\r\n");
    }
}
