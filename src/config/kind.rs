//! What each kind of relay is, as data: who signs, which header fields it knows, how its id reads.
//!
//! Promises: one table; whoever treats kinds differently asks it and names no kind.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Relay, RelayKind};
use crate::clock::Timestamp;

/// What becomes of the messages that a relay's caps do not allow now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// Other relays may have them.
    Next,
    /// They wait for this one.
    Wait,
}

/// What a kind of relay does and wants.
#[derive(Debug)]
pub struct Traits {
    /// DKIM signatures of ours that it passes on as they are; 0 where it signs by itself.
    pub signatures: u8,
    /// Whether it writes a Date and a Message-ID of its own, so that no signature of ours may cover them.
    pub rewrites: bool,
    /// Fields that keep it from changing our links and our Message-ID and from adding an image of its own.
    fields: &'static [Field],
    /// The field that files a message under `stream`; it takes the place of one of the same name.
    stream: Option<Field>,
    /// How its 250 names the message; the first that fits.
    ids: &'static [&'static str],
}

/// Name and value of a header field; `{}` stands for `stream`.
type Field = (&'static str, &'static str);

/// Postfix, and whoever speaks like it; Exim.
const QUEUED: &[&str] = &["queued as ", "id="];

const SMTP: Traits = Traits {
    signatures: 2,
    rewrites: false,
    fields: &[],
    stream: None,
    ids: QUEUED,
};

const SES: Traits = Traits {
    signatures: 0,
    rewrites: true,
    fields: &[],
    stream: Some(("X-SES-CONFIGURATION-SET", "{}")),
    // `250 Ok 0100018f...-000000`
    ids: &["Ok "],
};

const MAILGUN: Traits = Traits {
    signatures: 1,
    rewrites: false,
    fields: &[("X-Mailgun-Track", "no")],
    stream: Some(("X-Mailgun-Tag", "{}")),
    // It answers `Great success` and goes by our Message-ID.
    ids: &[],
};

const POSTMARK: Traits = Traits {
    signatures: 1,
    rewrites: false,
    fields: &[
        // Without it Postmark writes a Message-ID of its own over the one that is signed.
        ("X-PM-KeepID", "true"),
        ("X-PM-TrackOpens", "false"),
        ("X-PM-TrackLinks", "None"),
    ],
    stream: Some(("X-PM-Message-Stream", "{}")),
    ids: QUEUED,
};

const SENDGRID: Traits = Traits {
    signatures: 1,
    rewrites: false,
    fields: &[(
        "X-SMTPAPI",
        r#"{"filters":{"clicktrack":{"settings":{"enable":0}},"opentrack":{"settings":{"enable":0}}}}"#,
    )],
    stream: Some((
        "X-SMTPAPI",
        r#"{"category":"{}","filters":{"clicktrack":{"settings":{"enable":0}},"opentrack":{"settings":{"enable":0}}}}"#,
    )),
    ids: QUEUED,
};

impl RelayKind {
    /// What is known of this kind.
    pub fn traits(self) -> &'static Traits {
        match self {
            // Straight to the readers' own hosts: nobody in between wants anything.
            RelayKind::Smtp | RelayKind::Mx => &SMTP,
            RelayKind::Ses => &SES,
            RelayKind::Mailgun => &MAILGUN,
            RelayKind::Postmark => &POSTMARK,
            RelayKind::Sendgrid => &SENDGRID,
        }
    }

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            RelayKind::Smtp => "smtp",
            RelayKind::Ses => "ses",
            RelayKind::Mailgun => "mailgun",
            RelayKind::Postmark => "postmark",
            RelayKind::Sendgrid => "sendgrid",
            RelayKind::Mx => "mx",
        }
    }
}

impl Traits {
    /// Whether it has a field for `stream`.
    pub fn has_streams(&self) -> bool {
        self.stream.is_some()
    }

    /// The relay's own id of a message, from the text of its 250.
    pub fn id_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let after = |mark: &&str| text.find(*mark).map(|at| &text[at + mark.len()..]);
        let rest = self.ids.iter().find_map(after)?;
        let id = rest.split_whitespace().next()?;
        let id = id.trim_matches(|c: char| "<>.,;".contains(c));
        (!id.is_empty()).then_some(id)
    }
}

impl Relay {
    /// When the warm-up began: midnight UTC.
    pub fn warm_up_began(&self) -> Option<Timestamp> {
        let midnight = self.warmup?.to_zoned_datetime(TimeZone::UTC).ok()?;
        Some(Timestamp(midnight.timestamp().as_millisecond()))
    }

    /// No step of a connection takes longer: opening it, or one message up to its answer.
    pub fn patience(&self) -> Duration {
        let opening = self.connect_timeout + self.command_timeout.saturating_mul(2);
        let message = self.message_timeout.max(self.dot_timeout) + self.dot_timeout;
        opening.max(message)
    }

    /// Whether Pressrun signs what goes through it.
    pub fn is_signed(&self) -> bool {
        self.dkim.unwrap_or(self.kind.traits().signatures > 0)
    }

    /// The header fields that it wants besides those of every message.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let traits = self.kind.traits();
        let stream = self.stream.as_ref().zip(traits.stream);
        let stream = stream.map(|(stream, (name, value))| (name, value.replace("{}", stream)));
        let fixed = traits.fields.iter();
        let fixed = fixed.filter(|(name, _)| stream.as_ref().is_none_or(|own| own.0 != *name));
        let fixed = fixed.map(|&(name, value)| (name, value.to_owned()));
        fixed.chain(stream.clone()).collect()
    }
}

/// A day such as `2026-03-01`, or none.
pub(super) fn day<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Date>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let day = |text: String| {
        let wrong = |_| {
            Error::custom(format!(
                "`{text}` is no day; expected one such as `2026-03-01`"
            ))
        };
        text.parse().map_err(wrong)
    };
    text.map(day).transpose()
}

#[cfg(test)]
mod tests {
    use super::RelayKind;

    #[test]
    fn postmark_is_told_to_keep_what_is_signed() {
        let traits = RelayKind::Postmark.traits();
        assert!(traits.signatures > 0 && !traits.rewrites);
        assert!(traits.fields.contains(&("X-PM-KeepID", "true")));
    }

    #[test]
    fn the_id_of_each_kind_is_read_from_its_own_words() {
        let table = [
            (
                RelayKind::Smtp,
                "2.0.0 Ok: queued as 4F1B2C3D",
                Some("4F1B2C3D"),
            ),
            (
                RelayKind::Smtp,
                "OK id=1tabcd-000000001-ABCD",
                Some("1tabcd-000000001-ABCD"),
            ),
            (RelayKind::Smtp, "2.0.0 thank you", None),
            (
                RelayKind::Ses,
                "Ok 0100018f-2b-000000",
                Some("0100018f-2b-000000"),
            ),
            (RelayKind::Mailgun, "Great success", None),
            (
                RelayKind::Postmark,
                "OK: queued as <a1b2-c3>.",
                Some("a1b2-c3"),
            ),
            (
                RelayKind::Sendgrid,
                "Ok: queued as Bn4hqf1cQL",
                Some("Bn4hqf1cQL"),
            ),
            (RelayKind::Sendgrid, "Ok: queued as ", None),
        ];
        for (kind, text, id) in table {
            assert_eq!(kind.traits().id_in(text), id, "{kind:?}: {text}");
        }
    }
}
