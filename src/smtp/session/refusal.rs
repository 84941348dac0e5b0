//! What a session refuses by itself, because the relay would, or because it must not be said.

use crate::reply::{Reply, Stage};
use crate::smtp::capabilities::Capabilities;
use crate::smtp::session::Envelope;

/// The refusal we know beforehand: an address that is no SMTP path, a message that is too large.
pub(super) fn known(
    envelope: &Envelope<'_>,
    capabilities: &Capabilities,
) -> Option<(Stage, Reply)> {
    if !is_path(envelope.sender) {
        let text = "the envelope sender cannot be written in an SMTP command";
        return Some((Stage::Mail, Reply::ours("5.1.7", text)));
    }
    if !envelope.recipient.is_ascii() {
        // RFC 6531 asks for SMTPUTF8; mangling the address silently would reach somebody else.
        let text = "the address is not ASCII, and SMTPUTF8 is not spoken";
        return Some((Stage::Rcpt, Reply::ours("5.6.7", text)));
    }
    if envelope.recipient.is_empty() || !is_path(envelope.recipient) {
        let text = "the address cannot be written in an SMTP command";
        return Some((Stage::Rcpt, Reply::ours("5.1.3", text)));
    }
    if capabilities.refuses(envelope.size) {
        // RFC 1870, section 6.1: the client need not try.
        let limit = capabilities.size.unwrap_or_default();
        let size = envelope.size;
        let text = format!("the message has {size} octets, the relay takes {limit}");
        return Some((Stage::Mail, Reply::ours("5.3.4", text)));
    }
    None
}

/// Whether no line of the message begins with a dot, so that it can be sent as it is.
pub(super) fn is_unstuffed(message: &[u8]) -> bool {
    !message.starts_with(b".") && memchr::memmem::find(message, b"\n.").is_none()
}

/// Whether an address can stand between `<` and `>` without ending the path or the line.
fn is_path(address: &str) -> bool {
    address
        .bytes()
        .all(|byte| (b' '..0x7f).contains(&byte) && byte != b'<' && byte != b'>')
}

#[cfg(test)]
mod tests {
    use super::{is_unstuffed, known};
    use crate::smtp::capabilities::Capabilities;
    use crate::smtp::session::Envelope;

    #[test]
    fn what_could_say_more_than_an_address_is_never_said() {
        let capabilities = Capabilities {
            size: Some(100),
            ..Capabilities::default()
        };
        let table = [
            ("bounce@example.com", "ann@example.com", 100, None),
            ("", "\"a b\"@example.com", 100, None),
            ("a@b>\r\nDATA", "ann@example.com", 1, Some("5.1.7")),
            ("", "ann@example.com>\r\nRCPT TO:<x@y", 1, Some("5.1.3")),
            ("", "ann\n@example.com", 1, Some("5.1.3")),
            ("", "", 1, Some("5.1.3")),
            ("", "änn@example.com", 1, Some("5.6.7")),
            ("", "ann@example.com", 101, Some("5.3.4")),
        ];
        for (sender, recipient, size, expected) in table {
            let envelope = Envelope {
                sender,
                recipient,
                size,
            };
            let refusal = known(&envelope, &capabilities);
            let status = refusal.and_then(|(_, reply)| reply.enhanced);
            assert_eq!(status.as_deref(), expected, "{recipient}");
        }
    }

    #[test]
    fn a_leading_dot_is_found_on_any_line() {
        assert!(is_unstuffed(b"a.b\r\nc.\r\n"));
        assert!(!is_unstuffed(b".a\r\n"));
        assert!(!is_unstuffed(b"a\r\n.b\r\n"));
    }
}
