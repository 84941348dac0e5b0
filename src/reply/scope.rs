//! Whose fault a refusal is: the recipient's, the message's, the connection's or the relay's.
//!
//! Promises: a recipient is blamed only at RCPT, and suppressed only by the short list of codes and texts
//! that mean "there is nobody here", and where no word beside them speaks of the sender or of a rule; what is not
//! known to be permanent is deferred. Leaves the counting (the same text five times running) to `deliver`.

use crate::reply::reason::names_sender;
use crate::reply::{Reply, Stage};

/// What one answer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 250 to the final dot.
    Sent,
    /// This recipient is refused for good; `suppress` when the address itself is dead.
    Bounced { suppress: bool },
    /// This recipient, not now: charge an attempt and try by schedule.
    Deferred,
    /// Refused for good, and the recipient is not to blame (content, policy, sender). The caller counts:
    /// the same [`Reply::fingerprint`] again and again is a fault of ours or of the relay.
    Content,
    /// The connection is at its end (421, too many recipients): close it, charge nobody.
    Connection,
    /// The relay cannot take mail from us now: stop and probe, charge nobody.
    Relay,
    /// No answer to this command: the session is out of step. After the dot, nothing is known.
    OutOfStep,
}

/// Judges the answer to `stage`. For MAIL, RCPT and DATA only refusals are asked about; what is neither a
/// refusal nor 250 to the dot is [`Verdict::OutOfStep`].
pub fn scope(stage: Stage, reply: &Reply) -> Verdict {
    // RFC 5321, section 3.8: 421 may answer any command and announces the end of the connection.
    // Gmail says 421 4.7.28 of a rate that a new connection would only go on with.
    if reply.code == 421 {
        return match reply.status() {
            Some((_, 7, 28)) => Verdict::Relay,
            _ => Verdict::Connection,
        };
    }
    match reply.class() {
        2 if stage == Stage::Dot && reply.code == 250 => Verdict::Sent,
        4 => temporary(stage, reply),
        5 => permanent(stage, reply),
        _ => Verdict::OutOfStep,
    }
}

fn temporary(stage: Stage, reply: &Reply) -> Verdict {
    if stage == Stage::Mail {
        return Verdict::Relay; // No recipient has been named yet.
    }
    match (reply.code, reply.status()) {
        // AUTH wanted or failing in the middle of a session.
        (454, Some((_, 7, _))) => Verdict::Relay,
        (_, Some((_, 5, 3))) => Verdict::Connection,
        // System full, not accepting mail, misconfigured: RFC 3463, section 3.4.
        (_, Some((_, 3, _))) => Verdict::Relay,
        // Policy against the sender: authentication, reverse DNS, rates (4.7.20 and up; Microsoft 4.7.5xx).
        (_, Some((_, 7, detail))) if detail >= 20 => Verdict::Relay,
        // RFC 3463, section 3.2: the sender's address or domain, which is the same for every reader.
        (_, Some((_, 1, 7 | 8))) => Verdict::Relay,
        // SES says so of its quota and rate, without a status; else it is AUTH that fails for a while.
        (454, None) => Verdict::Relay,
        _ if mentions(reply, THROTTLED) => Verdict::Relay,
        // RFC 5321, section 4.2.3: 452 alone is "insufficient system storage".
        (452, None) if mentions(reply, &["too many recipients"]) => Verdict::Connection,
        (452, None) if !mentions(reply, FULL) => Verdict::Relay,
        _ => Verdict::Deferred,
    }
}

fn permanent(stage: Stage, reply: &Reply) -> Verdict {
    // RFC 4954: 530 authentication required, 534 and 535 not accepted, 538 encryption required.
    if matches!(reply.code, 530 | 534 | 535 | 538) {
        return Verdict::Relay;
    }
    if stage != Stage::Rcpt {
        return Verdict::Content;
    }
    let bounced = |suppress| Verdict::Bounced { suppress };
    // RFC 7504: the host takes no mail at all.
    if reply.code == 556 {
        return bounced(true);
    }
    match reply.status() {
        // Our own look at the DNS: a domain that is not there may be back tomorrow, and its readers with it.
        Some((_, 4, 4)) if reply.code == 0 => bounced(false),
        Some((_, 1, 1 | 2 | 3 | 6 | 10) | (_, 4, 4)) => bounced(true),
        // Gmail uses 5.2.1 both for a closed account and for one that gets too much mail.
        Some((_, 2, 1)) => bounced(mentions(reply, CLOSED) || mentions(reply, UNKNOWN)),
        Some((_, 2, _) | (_, 6, 7) | (_, 4, _)) => bounced(false),
        // The sender's address, the system, the protocol, the content: not the recipient.
        Some((_, 1, 7 | 8) | (_, 3, _) | (_, 6, _) | (_, 7, _)) => Verdict::Content,
        // RFC 5321, section 4.5.3.1.10: 552 for too many recipients is to be read as 452.
        Some((_, 5, 3)) => Verdict::Connection,
        None if mentions(reply, &["too many recipients"]) => Verdict::Connection,
        // The rest says little by number: 5.0.0, 5.1.0, 5.5.0 or nothing.
        status => by_text(reply, matches!(status, Some((_, 5, detail)) if detail != 0)),
    }
}

fn by_text(reply: &Reply, protocol: bool) -> Verdict {
    if names_sender(&reply.text) {
        // Who asks back at the sender's hosts quotes them: "no such user" is said of our address then.
        Verdict::Content
    } else if mentions(reply, UNKNOWN) {
        // Postfix says "user unknown in relay recipient table", and that is no rule.
        let objects = mentions(reply, POLICY) && !mentions(reply, &["relay recipient table"]);
        Verdict::Bounced { suppress: !objects }
    } else if protocol || mentions(reply, POLICY) || matches!(reply.code, 500..=504 | 555) {
        Verdict::Content
    } else {
        Verdict::Bounced { suppress: false }
    }
}

fn mentions(reply: &Reply, phrases: &[&str]) -> bool {
    let text = reply.text.to_ascii_lowercase();
    phrases.iter().any(|phrase| text.contains(phrase))
}

/// There is nobody at this address.
const UNKNOWN: &[&str] = &[
    "user unknown",
    "unknown user",
    "unknown recipient",
    "recipient unknown",
    "unknown mailbox",
    "no such user",
    "no such recipient",
    "no such mailbox",
    "no such address",
    "no mailbox here",
    "does not exist",
    "doesn't exist",
    "not a valid mailbox",
    "invalid recipient",
    "invalid mailbox",
    "mailbox not found",
    "user not found",
    "recipient not found",
    "address not found",
    "not a known user",
    "no longer valid",
    "mailbox unavailable",
];

/// There was somebody, and the account is closed.
const CLOSED: &[&str] = &[
    "disabled",
    "inactive",
    "suspended",
    "deactivated",
    "closed",
    "no longer",
];

/// The mailbox is full, not the system.
const FULL: &[&str] = &["mailbox", "quota", "over its limit"];

/// It is about the pace or the amount of our mail, and no reader's matter.
const THROTTLED: &[&str] = &[
    "throttl",
    "sending rate",
    "message quota",
    "sending quota",
    "sending limit",
    "rate limit",
    "ratelimit",
    "too much mail from",
];

/// The relay objects to us, not to the recipient.
const POLICY: &[&str] = &[
    "blocked",
    "block list",
    "blocklist",
    "blacklist",
    "denylist",
    "listed",
    "reputation",
    "spam",
    "policy",
    "relay",
    "not permitted",
    "not authorized",
    "authenticat",
    "spf",
    "dkim",
    "dmarc",
    "sender",
    "reverse dns",
    "ptr",
    "tls",
];

#[cfg(test)]
mod tests {
    use super::{Verdict, scope};
    use crate::reply::{Reply, Stage};

    fn reply(line: &str) -> Reply {
        let mut parser = crate::reply::parser::ReplyParser::default();
        let (_, reply) = parser
            .feed(format!("{line}\r\n").as_bytes())
            .expect("a reply");
        reply.expect("a whole reply")
    }

    const HARD: Verdict = Verdict::Bounced { suppress: true };
    const SOFT: Verdict = Verdict::Bounced { suppress: false };

    #[test]
    fn refusals_of_a_recipient_are_told_apart() {
        let table = [
            // There is nobody: the hard list.
            (
                "550 5.1.1 The email account that you tried to reach does not exist",
                HARD,
            ),
            ("550 5.1.2 bad destination system", HARD),
            ("553 5.1.3 bad address syntax", HARD),
            ("551 5.1.6 moved", HARD),
            ("550 5.1.10 null MX", HARD),
            ("550 5.4.4 unable to route", HARD),
            ("556 domain does not accept mail", HARD),
            ("550 no such user here", HARD),
            ("550 5.0.0 User unknown", HARD),
            (
                "550 5.5.0 Requested action not taken: mailbox unavailable",
                HARD,
            ),
            ("550 5.2.1 The email account is inactive", HARD),
            // Gone for this message, and the address may live on.
            (
                "550 5.2.1 The user is receiving email at a rate that prevents delivery",
                SOFT,
            ),
            (
                "552 5.2.2 The recipient's inbox is out of storage and inactive",
                SOFT,
            ),
            ("550 5.6.7 address needs SMTPUTF8", SOFT),
            ("550 nope", SOFT),
            ("550 no such user here, or listed by our policy", SOFT),
            ("550 User unknown in relay recipient table", HARD),
            // Not the recipient.
            ("550 5.1.8 sender's domain is bad", Verdict::Content),
            ("550 5.1.7 sender's address is bad", Verdict::Content),
            ("550 5.7.1 Relay access denied", Verdict::Content),
            (
                "550 5.7.26 This message is unauthenticated",
                Verdict::Content,
            ),
            ("550 5.7.25 no PTR record", Verdict::Content),
            ("550 5.7.28 unusual rate", Verdict::Content),
            ("550 5.7.515 authentication", Verdict::Content),
            ("550 blocked, see our policy", Verdict::Content),
            ("550 5.3.0 system trouble", Verdict::Content),
            // The words of a dead address, said of ours.
            (
                "550-Verification failed for <b.7@news.example.com>\r\n\
                 550-The mail server could not deliver mail to b.7@news.example.com.\r\n\
                 550-Response: 550 No Such User Here\r\n550 Sender verify failed",
                Verdict::Content,
            ),
            (
                "550-Requested action not taken: mailbox unavailable\r\n\
                 550-Sender address is not allowed.\r\n550 see our help pages",
                Verdict::Content,
            ),
            (
                "550 Blocked: sender domain news.example.com does not exist in DNS",
                Verdict::Content,
            ),
            ("550 5.0.0 callout: no such user", Verdict::Content),
            ("503 5.5.1 need MAIL first", Verdict::Content),
            ("501 syntax", Verdict::Content),
            ("530 5.7.0 authentication required", Verdict::Relay),
            ("538 encryption required", Verdict::Relay),
            ("552 too many recipients", Verdict::Connection),
            ("452 4.5.3 too many recipients", Verdict::Connection),
            // Not now.
            ("450 4.7.1 greylisted", Verdict::Deferred),
            ("451 4.7.1 greylisted", Verdict::Deferred),
            ("450 mailbox busy", Verdict::Deferred),
            (
                "452 4.2.2 The recipient's inbox is out of storage space",
                Verdict::Deferred,
            ),
            ("452 mailbox over quota", Verdict::Deferred),
            ("451 4.7.23 no PTR record", Verdict::Relay),
            ("450 4.7.26 unauthenticated", Verdict::Relay),
            ("450 4.7.28 unusual rate", Verdict::Relay),
            ("452 4.3.1 system storage", Verdict::Relay),
            (
                "450 4.1.8 Sender address rejected: Domain not found",
                Verdict::Relay,
            ),
            (
                "454 Throttling failure: Daily message quota exceeded.",
                Verdict::Relay,
            ),
            ("450 4.7.1 Rate limit exceeded", Verdict::Relay),
            (
                "450 4.2.1 is receiving mail at a rate that prevents",
                Verdict::Deferred,
            ),
            ("451 4.3.2 not accepting", Verdict::Relay),
            ("452 insufficient system storage", Verdict::Relay),
            ("421 4.7.28 unusual rate", Verdict::Relay),
            ("421 4.7.0 closing", Verdict::Connection),
            ("421 5.7.32 not aligned", Verdict::Connection),
            ("250 fine", Verdict::OutOfStep),
        ];
        for (line, expected) in table {
            assert_eq!(scope(Stage::Rcpt, &reply(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_refused_message_blames_no_recipient() {
        let table = [
            (Stage::Mail, "550 5.1.1 no such user", Verdict::Content),
            (
                Stage::Mail,
                "550 5.7.1 sender not allowed",
                Verdict::Content,
            ),
            (Stage::Mail, "552 5.3.4 too big", Verdict::Content),
            (Stage::Mail, "535 5.7.8 bad credentials", Verdict::Relay),
            (
                Stage::Mail,
                "451 4.1.8 cannot resolve the sender",
                Verdict::Relay,
            ),
            (Stage::Mail, "452 4.3.1 full", Verdict::Relay),
            (
                Stage::Data,
                "554 5.5.1 no valid recipients",
                Verdict::Content,
            ),
            (Stage::Data, "451 4.3.0 queue file", Verdict::Relay),
            (Stage::Data, "450 4.2.0 greylisted", Verdict::Deferred),
            (Stage::Data, "421 4.7.28 unusual rate", Verdict::Relay),
            (Stage::Data, "421 4.7.0 closing", Verdict::Connection),
            (Stage::Dot, "554 5.6.0 malformed", Verdict::Content),
            (Stage::Dot, "550 5.1.1 no such user", Verdict::Content),
            (Stage::Dot, "452 4.3.1 full", Verdict::Relay),
            (Stage::Dot, "451 4.7.1 try again", Verdict::Deferred),
            (Stage::Dot, "421 closing", Verdict::Connection),
            (Stage::Dot, "250 2.0.0 queued", Verdict::Sent),
            (Stage::Dot, "251 odd", Verdict::OutOfStep),
            (Stage::Dot, "354 odd", Verdict::OutOfStep),
        ];
        for (stage, line, expected) in table {
            assert_eq!(scope(stage, &reply(line)), expected, "{stage:?} {line}");
        }
    }

    #[test]
    fn our_own_refusals_are_judged_by_their_status() {
        let big = Reply::ours("5.3.4", "the message is larger than the relay takes");
        assert_eq!(scope(Stage::Mail, &big), Verdict::Content);
        let foreign = Reply::ours("5.6.7", "the address is not ASCII");
        assert_eq!(scope(Stage::Rcpt, &foreign), SOFT);
    }
}
