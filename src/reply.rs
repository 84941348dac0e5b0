//! What a relay answers: the reply itself, and what it means for the recipient, the connection or the relay.
//!
//! Promises: text is printable ASCII, escaped and capped, whatever the relay sent. Leaves reading bytes to
//! `reply::parser` and judging a refusal to `reply::scope`.

pub mod hint;
pub mod parser;
pub mod reason;
pub mod scope;

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the relay said, kept with the delivery; every byte of it is hostile until escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Basic code, 0 when the text is our own.
    pub code: u16,
    /// Enhanced status such as `5.1.1` (RFC 3463), when one was given.
    pub enhanced: Option<String>,
    pub text: String,
}

/// Which command of a transaction an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Mail,
    Rcpt,
    Data,
    /// The final dot, after the message.
    Dot,
}

impl Stage {
    /// The short name in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Mail => "mail",
            Stage::Rcpt => "rcpt",
            Stage::Data => "data",
            Stage::Dot => "dot",
        }
    }
}

impl Reply {
    /// A refusal that we make ourselves, before the relay is asked.
    pub fn ours(enhanced: &str, text: impl Into<String>) -> Reply {
        Reply {
            code: 0,
            enhanced: Some(enhanced.to_owned()),
            text: text.into(),
        }
    }

    /// 2, 3, 4 or 5. The basic code decides, also where the enhanced status disagrees (`421 5.7.32`);
    /// our own texts have only the enhanced one.
    pub fn class(&self) -> u16 {
        if self.code != 0 {
            return self.code / 100;
        }
        match self.status() {
            Some((class, _, _)) => class,
            None => 0,
        }
    }

    /// The enhanced status as numbers: class, subject, detail (RFC 3463, section 2).
    pub fn status(&self) -> Option<(u16, u16, u16)> {
        let mut numbers = self.enhanced.as_deref()?.splitn(3, '.').map(str::parse);
        match (numbers.next()?, numbers.next()?, numbers.next()?) {
            (Ok(class), Ok(subject), Ok(detail)) => Some((class, subject, detail)),
            _ => None,
        }
    }

    /// The reply without addresses, for logs and error messages.
    pub fn masked(&self) -> String {
        self.with_words(|word| match word.contains('@') {
            true => "[address]".to_owned(),
            false => word.to_owned(),
        })
    }

    /// The reply without what differs from one recipient to the next (addresses, ids, numbers): two refusals
    /// for the same reason have the same fingerprint. Holds no address, so it may be logged.
    pub fn fingerprint(&self) -> String {
        self.with_words(|word| {
            let own = word.contains('@') || word.bytes().any(|byte| byte.is_ascii_digit());
            match own {
                true => "*".to_owned(),
                false => word.to_ascii_lowercase(),
            }
        })
    }

    fn with_words(&self, change: impl Fn(&str) -> String) -> String {
        let words: Vec<String> = self.text.split_whitespace().map(change).collect();
        let changed = Reply {
            code: self.code,
            enhanced: self.enhanced.clone(),
            text: words.join(" "),
        };
        changed.to_string()
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        if self.code != 0 {
            write!(f, "{}", self.code)?;
            gap = " ";
        }
        if let Some(enhanced) = &self.enhanced {
            write!(f, "{gap}{enhanced}")?;
            gap = " ";
        }
        if !self.text.is_empty() {
            write!(f, "{gap}{}", self.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Reply;

    #[test]
    fn a_reply_reads_as_the_relay_wrote_it() {
        let reply = Reply {
            code: 550,
            enhanced: Some("5.1.1".into()),
            text: "no such user".into(),
        };
        assert_eq!(reply.to_string(), "550 5.1.1 no such user");
        assert_eq!(Reply::ours("5.3.4", "too big").to_string(), "5.3.4 too big");
        assert_eq!(Reply::ours("5.3.4", "too big").class(), 5);
    }

    #[test]
    fn a_fingerprint_forgets_who_it_was_about() {
        let about = |text: &str| Reply {
            code: 554,
            enhanced: Some("5.7.1".into()),
            text: text.into(),
        };
        let one = about("<ann@example.com>: Message rejected, id 8f3a").fingerprint();
        let two = about("<bob@example.net>: message rejected, id 77").fingerprint();
        assert_eq!(one, two);
        assert_eq!(one, "554 5.7.1 * message rejected, id *");
        assert_ne!(one, about("sender blocked").fingerprint());
        let masked = about("<ann@example.com>: no, id 77").masked();
        assert_eq!(masked, "554 5.7.1 [address] no, id 77");
    }
}
