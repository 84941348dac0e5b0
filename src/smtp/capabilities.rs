//! What a relay offers in its answer to EHLO (RFC 5321, section 4.1.1.1).

/// The extensions that the session can use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 2920: commands may be sent before earlier ones are answered.
    pub pipelining: bool,
    /// RFC 1870: messages may be announced by size; the largest one taken, 0 when no limit is told.
    pub size: Option<u64>,
    /// RFC 3030: BDAT is understood.
    pub chunking: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 4954: `AUTH PLAIN` is understood.
    pub auth_plain: bool,
    /// `AUTH LOGIN` is understood.
    pub auth_login: bool,
}

impl Capabilities {
    /// Reads the lines of an EHLO reply, without codes; the first is the greeting.
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Capabilities {
        let mut found = Capabilities::default();
        for line in lines.skip(1) {
            // Keywords are ASCII; a line that is not text names nothing we know.
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            // `AUTH=PLAIN` is how some servers wrote it before RFC 4954.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => found.pipelining = true,
                "CHUNKING" => found.chunking = true,
                "STARTTLS" => found.starttls = true,
                "SIZE" => {
                    let limit = words.next().and_then(|word| word.parse().ok());
                    found.size = Some(limit.unwrap_or(0));
                }
                "AUTH" => {
                    for word in words {
                        found.auth_plain |= word.eq_ignore_ascii_case("PLAIN");
                        found.auth_login |= word.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Whether the relay told a limit that a message of `size` octets exceeds.
    pub fn refuses(&self, size: usize) -> bool {
        self.size
            .is_some_and(|limit| limit > 0 && u64::try_from(size).is_ok_and(|size| size > limit))
    }
}

#[cfg(test)]
mod tests {
    use super::Capabilities;

    fn parse(lines: &[&[u8]]) -> Capabilities {
        Capabilities::parse(lines.iter().copied())
    }

    #[test]
    fn keywords_are_read_in_any_case_and_the_greeting_is_not_one() {
        let found = parse(&[
            b"PIPELINING.example greets you",
            b"Size 1000",
            b"starttls",
            b"AUTH CRAM-MD5 login",
            b"AUTH=PLAIN",
            b"\xff\xfe",
        ]);
        let expected = Capabilities {
            pipelining: false,
            size: Some(1000),
            chunking: false,
            starttls: true,
            auth_plain: true,
            auth_login: true,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_size_without_a_limit_refuses_nothing() {
        assert!(!parse(&[b"hi", b"SIZE"]).refuses(usize::MAX));
        assert!(!parse(&[b"hi", b"SIZE 0"]).refuses(usize::MAX));
        assert!(!parse(&[b"hi"]).refuses(usize::MAX));
        assert!(!parse(&[b"hi", b"SIZE 10"]).refuses(10));
        assert!(parse(&[b"hi", b"SIZE 10"]).refuses(11));
    }
}
