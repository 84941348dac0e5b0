//! Why a delivery did not go out, in one word: what a person, a report or a rule chooses by.
//!
//! Promises: pure; a word for every reply, the enhanced status before the text, the text before the bare code.
//! Decides nothing: whether to try again is `reply::scope`'s matter.

use serde::{Deserialize, Serialize};

use crate::reply::{Reply, Stage};

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is nobody at this address, or it cannot be written.
    UnknownAddress,
    /// There was somebody: the account is closed or disabled.
    MailboxClosed,
    MailboxFull,
    Greylisted,
    /// Too much at once, from us or to this reader.
    RateLimited,
    /// The message's words, links or form.
    Content,
    TooBig,
    /// A rule against us: a block list, no reverse DNS, no permission.
    Policy,
    /// SPF, DKIM, DMARC, or our login.
    Auth,
    /// The reader's domain, or ours, cannot be looked up or routed to.
    Dns,
    Tls,
    /// The other system is full, down or misconfigured.
    System,
    /// The two ends did not understand each other.
    Protocol,
    /// The dot went out and no answer came.
    NoAnswer,
    /// The copy could not be made.
    Unrenderable,
    Other,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 16] = [
        Reason::UnknownAddress,
        Reason::MailboxClosed,
        Reason::MailboxFull,
        Reason::Greylisted,
        Reason::RateLimited,
        Reason::Content,
        Reason::TooBig,
        Reason::Policy,
        Reason::Auth,
        Reason::Dns,
        Reason::Tls,
        Reason::System,
        Reason::Protocol,
        Reason::NoAnswer,
        Reason::Unrenderable,
        Reason::Other,
    ];

    /// The name in the database and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reason::UnknownAddress => "unknown_address",
            Reason::MailboxClosed => "mailbox_closed",
            Reason::MailboxFull => "mailbox_full",
            Reason::Greylisted => "greylisted",
            Reason::RateLimited => "rate_limited",
            Reason::Content => "content",
            Reason::TooBig => "too_big",
            Reason::Policy => "policy",
            Reason::Auth => "auth",
            Reason::Dns => "dns",
            Reason::Tls => "tls",
            Reason::System => "system",
            Reason::Protocol => "protocol",
            Reason::NoAnswer => "no_answer",
            Reason::Unrenderable => "unrenderable",
            Reason::Other => "other",
        }
    }

    /// The reason of this name.
    pub fn parse(name: &str) -> Option<Reason> {
        let mut all = Reason::ALL.into_iter();
        all.find(|reason| reason.name() == name)
    }

    /// For a person, as the end of "it failed: ...".
    pub fn words(self) -> &'static str {
        match self {
            Reason::UnknownAddress => "there is nobody at this address",
            Reason::MailboxClosed => "the mailbox is closed",
            Reason::MailboxFull => "the mailbox is full",
            Reason::Greylisted => "greylisted: first mail from a stranger waits",
            Reason::RateLimited => "too much mail at once",
            Reason::Content => "the message itself was refused",
            Reason::TooBig => "the message is too big",
            Reason::Policy => "a rule or a block list against the sender",
            Reason::Auth => "login, SPF, DKIM or DMARC",
            Reason::Dns => "a domain could not be found",
            Reason::Tls => "no encryption both ends agree on",
            Reason::System => "trouble of the other system",
            Reason::Protocol => "the two ends did not understand each other",
            Reason::NoAnswer => "no answer to the final dot",
            Reason::Unrenderable => "the copy could not be made",
            Reason::Other => "no known reason",
        }
    }
}

/// The class of a refusal of `stage`.
pub fn classify(stage: Stage, reply: &Reply) -> Reason {
    // What takes a command refuses nobody, whatever its enhanced status says: it came out of step. Words of our own have
    // no code.
    if matches!(reply.code, 1..=399) {
        return Reason::Protocol;
    }
    let text = reply.text.to_ascii_lowercase();
    let by_status = reply.status().and_then(|status| by_status(status, &text));
    by_status
        .or_else(|| by_text(&text))
        .unwrap_or_else(|| by_code(stage, reply.code))
}

/// Whether a refusal speaks of the sender or of the message, and so says nothing of the mailbox.
pub fn is_about_sender(stage: Stage, reply: &Reply) -> bool {
    // RFC 3463, sections 3.2 and 3.8: X.1.7 and X.1.8 are about the sender's address, X.7 about what is allowed.
    let by_status = matches!(reply.status(), Some((_, 1, 7 | 8) | (_, 7, _)));
    let by_reason = match classify(stage, reply) {
        Reason::UnknownAddress
        | Reason::MailboxClosed
        | Reason::MailboxFull
        | Reason::Dns
        | Reason::System
        | Reason::Other => false,
        Reason::Greylisted
        | Reason::RateLimited
        | Reason::Content
        | Reason::TooBig
        | Reason::Policy
        | Reason::Auth
        | Reason::Tls
        | Reason::Protocol
        | Reason::NoAnswer
        | Reason::Unrenderable => true,
    };
    by_status || by_reason
}

/// Whether the words of a refusal speak of the sender's address or domain, whatever else they say.
pub(super) fn names_sender(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SENDER.iter().any(|words| text.contains(words))
}

/// RFC 3463, sections 3.2 to 3.8, and RFC 7372 for the authentication of mail.
fn by_status((_, subject, detail): (u16, u16, u16), text: &str) -> Option<Reason> {
    Some(match (subject, detail) {
        // X.1.8 is about the sender's domain: "cannot resolve".
        (1, 8) | (4, 3 | 4) | (7, 27) => Reason::Dns,
        (1, 7) => Reason::Policy,
        (1, 1 | 2 | 3 | 4 | 5 | 6 | 9 | 10) | (6, 7) => Reason::UnknownAddress,
        // Gmail says 5.2.1 of a reader who gets too much mail, too.
        (2, 1) if text.contains("rate") => Reason::RateLimited,
        (2, 1) => Reason::MailboxClosed,
        (2, 2) => Reason::MailboxFull,
        (2, 3) | (3, 4) => Reason::TooBig,
        (3, _) | (4, 1 | 2 | 5 | 6) => Reason::System,
        (5, 3) => Reason::RateLimited,
        (5, 1 | 2 | 4 | 5) => return by_text(text).or(Some(Reason::Protocol)),
        (6, _) => Reason::Content,
        (7, 8 | 9 | 11 | 12 | 13 | 14 | 20..=24 | 26 | 30 | 32) => Reason::Auth,
        (7, 10) => Reason::Tls,
        (7, 25) => Reason::Dns,
        (7, 28) => Reason::RateLimited,
        (7, _) => return by_text(text).or(Some(Reason::Policy)),
        _ => return None,
    })
}

fn by_text(text: &str) -> Option<Reason> {
    let sender = names_sender(text);
    // What is said of the sender's mailbox is not said of the recipient's.
    let mailbox = |reason| matches!(reason, Reason::UnknownAddress | Reason::MailboxClosed);
    let found = WORDS.iter().find(|&&(reason, words)| {
        let mut words = words.iter();
        !(sender && mailbox(reason)) && words.any(|word| text.contains(word))
    });
    let found = found.map(|&(reason, _)| reason);
    found.or(sender.then_some(Reason::Policy))
}

fn by_code(stage: Stage, code: u16) -> Reason {
    match (stage, code) {
        (_, 530 | 534 | 535) => Reason::Auth,
        (_, 523 | 538) => Reason::Tls,
        (_, 556) => Reason::UnknownAddress,
        (_, 552) => Reason::TooBig,
        (_, 421 | 432 | 451 | 452 | 454) => Reason::System,
        (Stage::Rcpt, 550 | 551 | 553) => Reason::UnknownAddress,
        (_, 500..=504 | 555) => Reason::Protocol,
        _ => Reason::Other,
    }
}

/// The address or the domain of the sender: cPanel's callouts, GMX, Postfix' and Exim's rules.
const SENDER: &[&str] = &[
    "sender verif",
    "verify sender",
    "verification failed for",
    "sender address",
    "sender domain",
    "sender rejected",
    "sender denied",
    "sender not",
    "sender is",
    "invalid sender",
    "unknown sender",
    "envelope sender",
    "envelope from",
    "mail from",
    "return path",
    "return-path",
    "callout",
    "callback",
];

/// What relays write, the telling words first: "greylisted by policy" is a greylist.
const WORDS: [(Reason, &[&str]); 11] = [
    (
        Reason::Greylisted,
        &["greylist", "graylist", "grey-list", "gray-list"],
    ),
    (
        Reason::RateLimited,
        &[
            "rate limit",
            "ratelimit",
            "unusual rate",
            "too many",
            "too much mail",
            "throttl",
            "slow down",
            "quota exceeded for sender",
            "sending limit",
            "temporarily deferred due to",
        ],
    ),
    (
        Reason::MailboxFull,
        &[
            "mailbox full",
            "mailbox is full",
            "mailbox size",
            "over quota",
            "overquota",
            "quota",
            "out of storage",
            "storage allocation",
            "over its limit",
        ],
    ),
    (
        Reason::UnknownAddress,
        &[
            "user unknown",
            "unknown user",
            "unknown recipient",
            "unknown mailbox",
            "no such",
            "does not exist",
            "doesn't exist",
            "not a valid mailbox",
            "invalid recipient",
            "invalid mailbox",
            "not found",
            "no mailbox",
            "mailbox unavailable",
            "recipient rejected",
        ],
    ),
    (
        Reason::MailboxClosed,
        &["disabled", "inactive", "suspended", "deactivated", "closed"],
    ),
    (
        Reason::Auth,
        &["dkim", "dmarc", "spf", "authenticat", "credential"],
    ),
    (
        Reason::Dns,
        &["reverse dns", "ptr record", "rdns", "cannot resolve", "dns"],
    ),
    (Reason::Tls, &["starttls", "tls required", "encryption"]),
    (
        Reason::Content,
        &["spam", "virus", "content", "malware", "phish", "url"],
    ),
    (
        Reason::Policy,
        &[
            "block",
            "blacklist",
            "denylist",
            "listed",
            "reputation",
            "policy",
            "relay",
            "denied",
            "not permitted",
            "not authorized",
            "prohibited",
        ],
    ),
    (
        Reason::System,
        &[
            "overload",
            "insufficient",
            "busy",
            "maintenance",
            "local error",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::{Reason, classify};
    use crate::reply::{Reply, Stage};

    fn reply(line: &str) -> Reply {
        let mut parser = crate::reply::parser::ReplyParser::default();
        let (_, reply) = parser
            .feed(format!("{line}\r\n").as_bytes())
            .expect("a reply");
        reply.expect("a whole reply")
    }

    #[test]
    fn refusals_of_real_relays_have_a_word_each() {
        let table = [
            (
                Stage::Rcpt,
                "550 5.1.1 does not exist",
                Reason::UnknownAddress,
            ),
            (Stage::Rcpt, "550 no such user", Reason::UnknownAddress),
            (Stage::Rcpt, "550 nope", Reason::UnknownAddress),
            // A second answer to RCPT where one to DATA was due.
            (Stage::Data, "250 2.1.5 ok", Reason::Protocol),
            (
                Stage::Rcpt,
                "550-Response: no such user here\r\n550 Sender verify failed",
                Reason::Policy,
            ),
            (
                Stage::Rcpt,
                "550 sender domain does not exist in DNS",
                Reason::Dns,
            ),
            (Stage::Rcpt, "552 5.2.2 over quota", Reason::MailboxFull),
            (
                Stage::Rcpt,
                "452 4.2.2 out of storage space",
                Reason::MailboxFull,
            ),
            (
                Stage::Rcpt,
                "550 5.2.1 the account is inactive",
                Reason::MailboxClosed,
            ),
            (
                Stage::Rcpt,
                "450 4.2.1 receiving mail at a rate that prevents",
                Reason::RateLimited,
            ),
            (Stage::Rcpt, "450 4.2.0 Greylisted, see", Reason::Greylisted),
            (
                Stage::Rcpt,
                "451 4.7.1 Greylisting in action",
                Reason::Greylisted,
            ),
            (Stage::Data, "421 4.7.28 unusual rate", Reason::RateLimited),
            (Stage::Dot, "550 5.7.26 unauthenticated", Reason::Auth),
            (Stage::Dot, "550 5.7.1 likely spam", Reason::Content),
            (Stage::Dot, "550 5.7.1 go away", Reason::Policy),
            (Stage::Dot, "554 blocked using a list", Reason::Policy),
            (Stage::Dot, "552 5.3.4 too big", Reason::TooBig),
            (Stage::Dot, "452 4.3.1 full", Reason::System),
            (Stage::Mail, "451 4.1.8 cannot resolve", Reason::Dns),
            (Stage::Mail, "530 5.7.0 Must issue STARTTLS", Reason::Tls),
            (Stage::Mail, "535 wrong", Reason::Auth),
            (
                Stage::Rcpt,
                "452 4.5.3 too many recipients",
                Reason::RateLimited,
            ),
            (Stage::Data, "503 bad sequence", Reason::Protocol),
            (Stage::Dot, "554 transaction failed", Reason::Other),
        ];
        for (stage, line, expected) in table {
            assert_eq!(classify(stage, &reply(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_reason_is_found_by_its_name() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.name()), Some(reason));
            let json = serde_json::to_string(&reason).expect("JSON");
            assert_eq!(json, format!("\"{}\"", reason.name()));
        }
        assert_eq!(Reason::parse("nonsense"), None);
    }
}
