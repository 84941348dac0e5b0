//! What comes back by mail: delivery reports (RFC 3464), complaints (RFC 5965), and answers that no person wrote.
//!
//! Promises: pure; whatever the octets are, at most [`PARTS`] parts are looked at, two levels deep, and only the
//! fields of their headers are read. Leaves the question whose mail it was about to whoever holds the keys.

use crate::reply::Reply;
use crate::reply::parser::is_status;

/// Parts of a message that are looked at; a report has three.
const PARTS: usize = 16;
/// Fields of one header; more say nothing that we ask for.
const FIELDS: usize = 400;
/// Groups of a report: we send to one recipient at a time.
const GROUPS: usize = 16;

/// A header and what stands below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Names in lower case, values unfolded.
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A delivery report: what became of each recipient.
    Report(Vec<Group>),
    /// A feedback report, with the fields of the complaint and of the mail it is about.
    Complaint {
        /// `abuse`, `fraud`, `not-spam` and the like, in lower case.
        feedback: String,
        complaint: Mail,
        about: Option<Mail>,
    },
    /// Written by a machine: an answer from the holidays.
    Automatic,
    Other,
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub action: Action,
    /// The diagnostic code as an answer, with the status of the report.
    pub reply: Reply,
}

/// RFC 3464, section 2.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Failed,
    Delayed,
    Delivered,
    Relayed,
    Expanded,
}

impl Mail {
    /// Reads a message with line ends of any kind.
    pub fn read(octets: &[u8]) -> Mail {
        let mut lines = Vec::with_capacity(octets.len());
        for (at, &byte) in octets.iter().enumerate() {
            match byte {
                b'\r' if octets.get(at + 1) == Some(&b'\n') => {}
                b'\r' => lines.push(b'\n'),
                other => lines.push(other),
            }
        }
        Mail::of_lines(&lines)
    }

    fn of_lines(octets: &[u8]) -> Mail {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut rest = octets;
        while let Some(line) = take_line(&mut rest) {
            if line.is_empty() {
                break;
            }
            let text = String::from_utf8_lossy(line);
            let folded = text.starts_with([' ', '\t']);
            let room = fields.len() < FIELDS;
            match (fields.last_mut(), text.split_once(':')) {
                (Some((_, value)), _) if folded => {
                    value.push(' ');
                    value.push_str(text.trim());
                }
                (_, Some((name, value))) if !folded && room => {
                    fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
                _ => {}
            }
        }
        Mail {
            fields,
            body: rest.to_vec(),
        }
    }

    /// The first field of this name, given in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields_of(name).next()
    }

    /// Every field of this name, given in lower case.
    pub fn fields_of(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.fields.iter().filter(move |(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The media type in lower case, without parameters.
    fn media_type(&self) -> String {
        let value = self.field("content-type").unwrap_or("text/plain");
        let value = value.split(';').next().unwrap_or_default();
        value.trim().to_ascii_lowercase()
    }

    /// The parts of a multipart message.
    fn parts(&self) -> Vec<Mail> {
        let Some(boundary) = self.boundary() else {
            return Vec::new();
        };
        let (open, close) = (format!("--{boundary}"), format!("--{boundary}--"));
        let mut parts = Vec::new();
        let mut part: Option<Vec<u8>> = None;
        let mut rest = &self.body[..];
        while let Some(line) = take_line(&mut rest) {
            let marks = line.trim_ascii_end();
            if marks == open.as_bytes() || marks == close.as_bytes() {
                parts.extend(part.take().map(|part| Mail::of_lines(&part)));
                if marks == close.as_bytes() || parts.len() == PARTS {
                    return parts;
                }
                part = Some(Vec::new());
            } else if let Some(part) = &mut part {
                part.extend_from_slice(line);
                part.push(b'\n');
            }
        }
        // Cut short, as relays do it that return only so much.
        parts.extend(part.map(|part| Mail::of_lines(&part)));
        parts
    }

    fn boundary(&self) -> Option<String> {
        let value = self.field("content-type")?;
        if !self.media_type().starts_with("multipart/") {
            return None;
        }
        let start = value.to_ascii_lowercase().find("boundary=")? + "boundary=".len();
        let value = &value[start..];
        let boundary = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => value.split([';', ' ', '\t']).next(),
        };
        boundary.filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// What this message is: a report of a delivery (RFC 3464), a complaint (RFC 5965), a machine's answer (RFC 3834), or
    /// something else.
    pub fn kind(&self) -> Kind {
        let parts = self.parts();
        let part = |kinds: &[&str]| {
            let mut found = parts.iter();
            found.find(|part| kinds.contains(&part.media_type().as_str()))
        };
        if let Some(status) = part(&["message/delivery-status", "message/global-delivery-status"]) {
            return Kind::Report(groups(&status.body));
        }
        if let Some(report) = part(&["message/feedback-report"]) {
            let complaint = Mail::of_lines(&report.body);
            let feedback = complaint.field("feedback-type").unwrap_or_default();
            let about = part(&["message/rfc822", "text/rfc822-headers", "message/global"]);
            return Kind::Complaint {
                feedback: feedback.to_ascii_lowercase(),
                about: about.map(|part| Mail::of_lines(&part.body)),
                complaint,
            };
        }
        match self.is_automatic() {
            true => Kind::Automatic,
            false => Kind::Other,
        }
    }

    /// RFC 3834, section 5, and what answers from the holidays said before it.
    fn is_automatic(&self) -> bool {
        let submitted = self.field("auto-submitted").unwrap_or("no");
        let precedence = self.field("precedence").unwrap_or_default();
        !submitted.to_ascii_lowercase().starts_with("no")
            || precedence.eq_ignore_ascii_case("auto_reply")
            || self.field("x-autoreply").is_some()
            || self.field("x-autorespond").is_some()
    }
}

/// The next line without its end; none behind the last.
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.iter().position(|&byte| byte == b'\n');
    let (line, behind) = match end {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (*rest, &rest[rest.len()..]),
    };
    *rest = behind;
    Some(line)
}

/// The groups of a report: the first is about the message, each other about a recipient.
fn groups(body: &[u8]) -> Vec<Group> {
    let mut found = Vec::new();
    let mut block: Vec<u8> = Vec::new();
    let mut rest = body;
    let mut more = true;
    while more && found.len() < GROUPS {
        let line = take_line(&mut rest);
        more = line.is_some();
        match line.filter(|line| !line.trim_ascii().is_empty()) {
            Some(line) => {
                block.extend_from_slice(line);
                block.push(b'\n');
            }
            None => {
                found.extend(group(&Mail::of_lines(&block)));
                block.clear();
            }
        }
    }
    found
}

fn group(fields: &Mail) -> Option<Group> {
    let action = fields.field("action")?.trim().to_ascii_lowercase();
    let action = match action.as_str() {
        "failed" => Action::Failed,
        "delayed" => Action::Delayed,
        "delivered" => Action::Delivered,
        "relayed" => Action::Relayed,
        "expanded" => Action::Expanded,
        _ => return None,
    };
    let status = fields.field("status").unwrap_or_default();
    let status = status.split([' ', '(']).next().unwrap_or_default();
    let said = fields.field("diagnostic-code").unwrap_or_default();
    let said = said.split_once(';').map_or(said, |(_, text)| text).trim();
    Some(Group {
        action,
        reply: reply(status, said),
    })
}

/// The answer that a report quotes. Where it quotes none, the status stands for it.
fn reply(status: &str, said: &str) -> Reply {
    let code = said.get(..3).and_then(|code| code.parse().ok());
    let code = code.filter(|code| (400..600).contains(code));
    let class = status.bytes().next().filter(|class| b"245".contains(class));
    let by_class = match class {
        Some(b'5') => 550,
        Some(b'4') => 450,
        _ => 0,
    };
    let text: String = said.chars().filter(|c| !c.is_control()).collect();
    Reply {
        code: code.unwrap_or(by_class),
        enhanced: is_status(status).then(|| status.to_owned()),
        text: text.chars().take(500).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Kind, Mail};
    use crate::reply::Stage;
    use crate::reply::scope::{Verdict, scope};

    const REPORT: &str = "Return-Path: <>\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\
        \tboundary=\"B/1\"\r\nAuto-Submitted: auto-replied\r\n\r\nprologue\r\n--B/1\r\n\r\nSorry.\r\n\
        --B/1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
        Final-Recipient: rfc822; ada@example.org\r\nAction: failed\r\nStatus: 5.1.1 (no such mailbox)\r\n\
        Diagnostic-Code: smtp; 550 5.1.1 <ada@example.org>: User\r\n unknown\r\n\r\n\
        --B/1\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--B/1--\r\n";

    fn groups(text: &str) -> Vec<super::Group> {
        match Mail::read(text.as_bytes()).kind() {
            Kind::Report(groups) => groups,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_report_is_read_with_line_ends_of_any_kind() {
        for text in [
            REPORT.to_owned(),
            REPORT.replace("\r\n", "\n"),
            REPORT.replace("\r\n", "\r"),
            REPORT.replace("message/delivery-status", "message/global-delivery-status"),
            REPORT.replace("boundary=\"B/1\"", "Boundary=B/1"),
        ] {
            let groups = groups(&text);
            assert_eq!(groups.len(), 1, "{text}");
            assert_eq!(groups[0].action, Action::Failed);
            let reply = &groups[0].reply;
            assert_eq!(
                (reply.code, reply.enhanced.as_deref()),
                (550, Some("5.1.1"))
            );
            assert!(reply.text.ends_with("User unknown"), "{}", reply.text);
            assert_eq!(
                scope(Stage::Rcpt, reply),
                Verdict::Bounced { suppress: true }
            );
        }
    }

    #[test]
    fn what_is_no_failure_is_told_from_one() {
        for (action, expected) in [
            ("Delayed", Action::Delayed),
            ("relayed", Action::Relayed),
            ("delivered", Action::Delivered),
            ("expanded", Action::Expanded),
        ] {
            let text = REPORT.replace("Action: failed", &format!("Action: {action}"));
            assert_eq!(groups(&text)[0].action, expected);
        }
        assert!(groups(&REPORT.replace("Action: failed", "Action: lost")).is_empty());
        let bare = REPORT.replace("Diagnostic-Code: smtp; 550 5.1.1", "X-Note: 1");
        let reply = &groups(&bare)[0].reply;
        assert_eq!((reply.code, reply.text.as_str()), (550, ""));
    }

    #[test]
    fn what_is_no_status_is_not_kept_as_one() {
        for status in [
            "5.1.1\0",
            "+5.1.1",
            "5.+1.1",
            &format!("5.1.1.{}", "x".repeat(9_000)),
            "5.1.0001",
        ] {
            assert_eq!(
                super::reply(status, "no such user").enhanced,
                None,
                "{status}"
            );
        }
        let reply = super::reply("5.1.1", "no such user");
        assert_eq!(
            (reply.code, reply.enhanced.as_deref()),
            (550, Some("5.1.1"))
        );
    }

    #[test]
    fn a_complaint_names_its_kind_and_the_mail_it_is_about() {
        let text = "Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x\n\nspam\n\
            --x\nContent-Type: message/feedback-report\n\nFeedback-Type: Abuse\nUser-Agent: Y/1\nVersion: 1\n\
            --x\nContent-Type: message/rfc822\n\nReturn-Path: <bounce+a@b.example>\nSubject: s\n\nbody\n--x--\n";
        let Kind::Complaint {
            feedback,
            complaint,
            about,
        } = Mail::read(text.as_bytes()).kind()
        else {
            panic!("no complaint");
        };
        assert_eq!(feedback, "abuse");
        assert_eq!(complaint.field("version"), Some("1"));
        let about = about.expect("a mail");
        assert_eq!(about.field("return-path"), Some("<bounce+a@b.example>"));
    }

    #[test]
    fn machines_are_told_from_people() {
        for (header, kind) in [
            ("Auto-Submitted: auto-replied", Kind::Automatic),
            ("Precedence: auto_reply", Kind::Automatic),
            ("Auto-Submitted: no", Kind::Other),
            ("Subject: unsubscribe", Kind::Other),
        ] {
            let text = format!("{header}\nFrom: a@x.example\n\nI am away.\n");
            assert_eq!(Mail::read(text.as_bytes()).kind(), kind, "{header}");
        }
    }

    #[test]
    fn no_octets_are_too_odd() {
        for text in [
            "",
            "\n",
            ":",
            " folded first\n\n",
            "Content-Type: multipart/report; boundary=\n\n--\n--\n",
            "Content-Type: multipart/report; boundary=\"\u{e9}\n\n--\u{e9}\n",
        ] {
            Mail::read(text.as_bytes()).kind();
        }
        let many = format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{}",
            "--b\n\nx\n".repeat(10_000)
        );
        assert_eq!(Mail::read(many.as_bytes()).parts().len(), super::PARTS);
    }
}
