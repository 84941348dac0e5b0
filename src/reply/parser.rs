//! Reads replies out of a stream of hostile bytes (RFC 5321, section 4.2).
//!
//! Promises: bounded memory, no panic, never UTF-8 assumed; bytes that are no reply are an error, so that a
//! session out of step is closed and not guessed at. Leaves the sockets and the deadlines to `smtp`.

use crate::reply::Reply;

/// RFC 5321 allows 512 octets; real relays send more, so we take eight times as many.
const LINE_LIMIT: usize = 4096;
/// All lines of one reply; an EHLO answer is below 1 KiB.
const REPLY_LIMIT: usize = 64 * 1024;
/// What is kept of the text for people to read.
const TEXT_LIMIT: usize = 500;

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("the relay sent a reply line of more than 4096 octets")]
    LongLine,
    #[error("the relay sent a reply of more than 65536 octets")]
    LongReply,
    #[error("the relay sent a line that is no SMTP reply")]
    NoReply,
    #[error("the relay changed the code in the middle of a reply")]
    CodeChanged,
}

/// Collects one reply at a time; fed with whatever arrives.
#[derive(Debug, Default)]
pub struct ReplyParser {
    /// The unfinished line, without its code once that was read.
    line: Vec<u8>,
    /// The texts of the lines so far, each ended by LF.
    raw: Vec<u8>,
    code: Option<u16>,
    /// Whether `raw` holds a finished reply, to be forgotten when the next one begins.
    finished: bool,
}

impl ReplyParser {
    /// Takes bytes up to the end of the first reply in them: how many were used, and the reply if it ended.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Option<Reply>), ReplyError> {
        if self.finished {
            self.finished = false;
            self.raw.clear();
        }
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                self.keep(rest)?;
                return Ok((bytes.len(), None));
            };
            self.keep(&rest[..end])?;
            used += end + 1;
            if let Some(reply) = self.end_line()? {
                return Ok((used, Some(reply)));
            }
        }
        Ok((used, None))
    }

    /// The texts of the last finished reply, one line each, as the relay sent them.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.raw
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
    }

    /// Whether a reply has begun and not ended.
    pub fn is_midway(&self) -> bool {
        self.code.is_some() || !self.line.is_empty()
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), ReplyError> {
        if self.line.len() + part.len() > LINE_LIMIT {
            return Err(ReplyError::LongLine);
        }
        if self.raw.len() + self.line.len() + part.len() > REPLY_LIMIT {
            return Err(ReplyError::LongReply);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Reply>, ReplyError> {
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        let code = basic_code(&self.line).ok_or(ReplyError::NoReply)?;
        if self.code.is_some_and(|before| before != code) {
            return Err(ReplyError::CodeChanged);
        }
        // RFC 5321, section 4.2.1: a hyphen goes on, a space ends; a bare code ends too.
        let last = match self.line.get(3) {
            None | Some(b' ') => true,
            Some(b'-') => false,
            Some(_) => return Err(ReplyError::NoReply),
        };
        self.raw
            .extend_from_slice(self.line.get(4..).unwrap_or_default());
        self.raw.push(b'\n');
        self.line.clear();
        self.code = Some(code);
        if !last {
            return Ok(None);
        }
        self.code = None;
        self.finished = true;
        Ok(Some(self.reply(code)))
    }

    fn reply(&self, code: u16) -> Reply {
        let mut enhanced = None;
        let mut text = String::new();
        for line in self.lines() {
            let (status, rest) = enhanced_status(line);
            // The first line that has one decides; later lines repeat it.
            enhanced = enhanced.or(status.map(str::to_owned));
            if !text.is_empty() && !rest.is_empty() {
                text.push(' ');
            }
            escape(rest, &mut text);
        }
        if text.len() > TEXT_LIMIT {
            // Escaped text is ASCII, so any index is a character boundary.
            text.truncate(TEXT_LIMIT);
            text.push_str("...");
        }
        Reply {
            code,
            enhanced,
            text,
        }
    }
}

/// Three digits of which the first is 2 to 5. RFC 5321 knows no middle digit above 5, but some relays do.
fn basic_code(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return None;
    }
    let digits = digits.iter().map(|digit| u16::from(digit - b'0'));
    Some(digits.fold(0, |number, digit| number * 10 + digit))
}

/// Splits `5.1.1 no such user` into the status and the rest. RFC 2034, section 4; some write `#5.1.1`.
fn enhanced_status(line: &[u8]) -> (Option<&str>, &[u8]) {
    let start = usize::from(line.first() == Some(&b'#'));
    let body = &line[start..];
    let end = body
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b'.')
        .unwrap_or(body.len());
    let (word, rest) = body.split_at(end);
    let ended = rest.first().is_none_or(|byte| *byte == b' ');
    match std::str::from_utf8(word) {
        Ok(status) if ended && is_status(status) => (Some(status), rest.trim_ascii()),
        _ => (None, line.trim_ascii()),
    }
}

/// Whether a word is an enhanced status (RFC 3463, section 2): three numbers of at most three digits.
pub fn is_status(word: &str) -> bool {
    let number = |part: &&str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit())
    };
    let parts: Vec<&str> = word.split('.').collect();
    parts.len() == 3 && matches!(parts[0], "2" | "4" | "5") && parts[1..].iter().all(number)
}

/// Appends `bytes` as printable ASCII; anything else becomes `\xNN`.
fn escape(bytes: &[u8], text: &mut String) {
    for &byte in bytes.iter().take(TEXT_LIMIT + 1) {
        if (0x20..0x7f).contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::{ReplyError, ReplyParser};
    use crate::reply::Reply;

    fn read(bytes: &[u8]) -> Result<Vec<Reply>, ReplyError> {
        let mut parser = ReplyParser::default();
        let (mut replies, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let (used, reply) = parser.feed(&bytes[at..])?;
            at += used;
            replies.extend(reply);
        }
        Ok(replies)
    }

    fn reply(code: u16, enhanced: Option<&str>, text: &str) -> Reply {
        Reply {
            code,
            enhanced: enhanced.map(str::to_owned),
            text: text.to_owned(),
        }
    }

    #[test]
    fn replies_are_read_as_rfc_5321_writes_them() {
        let table: [(&[u8], Reply); 9] = [
            (b"250 OK\r\n", reply(250, None, "OK")),
            (b"250\r\n", reply(250, None, "")),
            (b"250 \r\n", reply(250, None, "")),
            (
                b"250 2.0.0 Ok: queued as 4F\r\n",
                reply(250, Some("2.0.0"), "Ok: queued as 4F"),
            ),
            (
                b"550-5.1.1 The account does\r\n550 5.1.1 not exist\r\n",
                reply(550, Some("5.1.1"), "The account does not exist"),
            ),
            // The enhanced status counts on any line of a reply.
            (
                b"550-mx.example\r\n550 5.7.26 no\r\n",
                reply(550, Some("5.7.26"), "mx.example no"),
            ),
            (
                b"550 #5.1.0 Address rejected\r\n",
                reply(550, Some("5.1.0"), "Address rejected"),
            ),
            (
                b"421 5.7.32 not aligned\r\n",
                reply(421, Some("5.7.32"), "not aligned"),
            ),
            (
                b"250 10.0.0.1 is fine\n",
                reply(250, None, "10.0.0.1 is fine"),
            ),
        ];
        for (bytes, expected) in table {
            assert_eq!(read(bytes), Ok(vec![expected]));
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_escaped_and_not_an_error() {
        let replies = read(b"250 Gr\xfc\xdfe \x1b[31m\r\n").expect("a reply");
        assert_eq!(replies[0].text, "Gr\\xFC\\xDFe \\x1B[31m");
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        let long = [b"250 ".as_slice(), &[b'a'; 5000]].concat();
        let many = b"250-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(2000);
        let table: [(&[u8], ReplyError); 8] = [
            (b"hello\r\n", ReplyError::NoReply),
            (b"\r\n", ReplyError::NoReply),
            (b"25\r\n", ReplyError::NoReply),
            (b"150 no\r\n", ReplyError::NoReply),
            (b"250_ok\r\n", ReplyError::NoReply),
            (b"250-a\r\n251 b\r\n", ReplyError::CodeChanged),
            (&long, ReplyError::LongLine),
            (&many, ReplyError::LongReply),
        ];
        for (bytes, expected) in table {
            assert_eq!(read(bytes), Err(expected));
        }
    }

    #[test]
    fn the_text_kept_is_short() {
        let line = [b"554 ".as_slice(), &[0xff; 3000], b"\r\n"].concat();
        let replies = read(&line).expect("a reply");
        assert!(replies[0].text.len() <= 503);
    }

    #[test]
    fn the_lines_of_the_last_reply_can_be_asked_for() {
        let mut parser = ReplyParser::default();
        parser.feed(b"250-one\r\n250 SIZE 5\r\n").expect("a reply");
        let lines: Vec<&[u8]> = parser.lines().collect();
        assert_eq!(lines, [b"one".as_slice(), b"SIZE 5"]);
        assert!(!parser.is_midway());
        parser.feed(b"25").expect("half a reply");
        assert!(parser.is_midway());
        assert_eq!(parser.lines().count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_the_same_however_they_are_cut(
            bytes in proptest::collection::vec(any::<u8>().prop_map(|byte| match byte % 8 {
                0 => b'\n', 1 => b'2', 2 => b'5', 3 => b'0', 4 => b' ', 5 => b'-', 6 => b'.', _ => byte,
            }), 0..200),
            cut in 1usize..7,
        ) {
            let whole = read(&bytes);
            let mut parser = ReplyParser::default();
            let (mut replies, mut error) = (Vec::new(), None);
            'pieces: for piece in bytes.chunks(cut) {
                let mut at = 0;
                while at < piece.len() {
                    match parser.feed(&piece[at..]) {
                        Ok((used, reply)) => { at += used; replies.extend(reply); }
                        Err(found) => { error = Some(found); break 'pieces; }
                    }
                }
            }
            for reply in &replies {
                prop_assert!(reply.text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                prop_assert!((200..600).contains(&reply.code));
            }
            match whole {
                Ok(expected) => { prop_assert_eq!(error, None); prop_assert_eq!(replies, expected); }
                Err(expected) => prop_assert_eq!(error, Some(expected)),
            }
        }
    }
}
