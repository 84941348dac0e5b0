"""Checks every .eml file of a folder for what RFC 5322, MIME and the mailbox providers ask.

Python's own parser reads each message twice: with policy.strict, which raises on any defect, and with
policy.default, whose list of defects must be empty. A file of the same name ending in .name holds
the display name that the parser must find in To.

Usage: lint.py FOLDER
"""

import email
import email.header
import email.policy
import email.utils
import pathlib
import re
import sys

ONCE = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]
AT_MOST_ONCE = [
    "Reply-To", "Cc", "Sender", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help",
    "Feedback-ID", "Precedence", "Auto-Submitted",
]
KNOWN = {name.lower() for name in ONCE + AT_MOST_ONCE} | {"x-auto-response-suppress", "dkim-signature"}
DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d \+0000"
)
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
MESSAGE_ID = re.compile(rf"<{ATOM}@({ATOM})>")
WORD = re.compile(rb"=\?[^ ]*?\?=")


class Lint:
    def __init__(self, path: pathlib.Path):
        self.path = path
        self.raw = path.read_bytes()
        self.found = []

    def expect(self, holds, what: str):
        if not holds:
            self.found.append(what)

    def run(self):
        self.octets()
        try:
            email.message_from_bytes(self.raw, policy=email.policy.strict)
        except Exception as error:
            self.found.append(f"policy.strict raises {error!r}")
        message = email.message_from_bytes(self.raw, policy=email.policy.default)
        self.header(message)
        self.unsubscribe(message)
        self.body(message)
        return self.found

    def octets(self):
        raw = self.raw
        rest = raw.replace(b"\r\n", b"")
        self.expect(b"\r" not in rest and b"\n" not in rest, "a bare CR or LF")
        self.expect(all(32 <= octet < 127 for octet in rest), "an octet that is not printable ASCII")
        self.expect(raw.endswith(b"\r\n"), "no CRLF at the end")
        header, body = raw.split(b"\r\n\r\n", 1)
        for line in raw.split(b"\r\n"):
            self.expect(len(line) <= 998, "a line over 998 octets")
            self.expect(not line.startswith(b"."), "a line that begins with a dot")
        for line in body.split(b"\r\n"):
            self.expect(len(line) <= 76, "a body line over 76 octets")
            self.expect(line == line.rstrip(), "a body line that ends in a blank")
            self.expect(b"  " not in line and b"\t" not in line, "a repeated blank in the body")
        for line in header.split(b"\r\n"):
            for word in WORD.findall(line):
                self.expect(len(word) <= 75 and len(line) <= 76, f"an encoded word too long: {word!r}")
            longest = max((len(unit) for unit in line.split(b" ")), default=0)
            self.expect(len(line) <= 78 or longest > 60, f"a header line over 78 octets: {line!r}")
        for line in header.split(b"\r\n"):
            if line.lower().startswith((b"list-", b"message-id", b"dkim-signature", b"feedback-id")):
                self.expect(b"=?" not in line, f"an encoded word in {line!r}")

    def header(self, message):
        names = [name.lower() for name in message.keys()]
        for name in ONCE:
            self.expect(names.count(name.lower()) == 1, f"{name} does not stand once")
        for name in AT_MOST_ONCE:
            self.expect(names.count(name.lower()) <= 1, f"{name} stands more than once")
        self.expect(set(names) <= KNOWN, f"unknown fields {set(names) - KNOWN}")
        for name, value in message.items():
            self.expect(not getattr(value, "defects", ()), f"{name}: {getattr(value, 'defects', ())}")
        self.expect(len(message["From"].addresses) == 1, "From is not one address")
        self.expect(len(message["To"].addresses) == 1, "To is not one address")
        self.expect(DATE.fullmatch(str(message["Date"])), f"Date: {message['Date']}")
        found = MESSAGE_ID.fullmatch(str(message["Message-ID"]))
        self.expect(found, f"Message-ID: {message['Message-ID']}")
        if found:
            domain = message["From"].addresses[0].domain
            self.expect(
                found[1] == domain or found[1].endswith("." + domain),
                "the Message-ID's domain is not that of From",
            )
        self.expect(0 < len(str(message["Subject"])) <= 998, "the subject's length")
        self.expect(str(message.get("TLS-Required", "")) != "No", "TLS-Required: No")
        self.expect(str(message.get("Auto-Submitted", "no")) != "auto-replied", "auto-replied")
        name = self.path.with_suffix(".name")
        if name.exists():
            expected = name.read_text()
            # Python 3.11's new parser puts blanks between the encoded words of a phrase; the old one
            # obeys RFC 2047, section 6.2.
            field = email.message_from_bytes(self.raw)["To"]
            phrase, _ = email.utils.parseaddr(re.sub(r"\r?\n", "", field))
            shown = str(email.header.make_header(email.header.decode_header(phrase)))
            self.expect(shown == expected, f"To is called {shown!r}, not {expected!r}")

    def signature(self, message, value):
        """Checks one signature's tags, and gives its algorithm."""
        tags = dict(tag.split("=", 1) for tag in re.sub(r"\s+", "", str(value)).split(";") if "=" in tag)
        signed = tags["h"].lower().split(":")
        self.expect(tags["c"] == "relaxed/relaxed", "DKIM c=")
        self.expect("l" not in tags and tags.get("t", "").isdigit(), "DKIM l= or t=")
        for name in ONCE + ["Reply-To", "Cc", "Sender", "List-Unsubscribe", "List-Unsubscribe-Post"]:
            present = len(message.get_all(name, []))
            self.expect(signed.count(name.lower()) == present + 1, f"{name} is not oversigned")
        for name in ("return-path", "received", "comments", "keywords", "dkim-signature"):
            self.expect(name not in signed, f"{name} is signed")
        return tags["a"]

    def unsubscribe(self, message):
        listed = "List-Id" in message
        for name in ("List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "Precedence"):
            self.expect((name in message) == listed, f"{name} without List-Id, or List-Id without it")
        algorithms = [self.signature(message, value) for value in message.get_all("DKIM-Signature", [])]
        # One of each at most, and the one that few verifiers know never alone (RFC 8463).
        known = sorted(algorithms) in ([], ["rsa-sha256"], ["ed25519-sha256", "rsa-sha256"])
        self.expect(known, f"DKIM signatures by {algorithms}")
        if not listed:
            return
        value = str(message["List-Unsubscribe"])
        self.expect(
            re.fullmatch(r"<https://[^\s<>,]+>|<http://(127\.0\.0\.1|localhost)[^\s<>,]*>", value),
            f"List-Unsubscribe: {value}",
        )
        self.expect(
            re.search(rb"(?m)^List-Unsubscribe: <[^ \r\n]+>\r$", self.raw), "List-Unsubscribe is folded"
        )
        self.expect(
            b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in self.raw,
            "List-Unsubscribe-Post",
        )
        value = str(message["List-Id"])
        self.expect(re.fullmatch(r"(?:.* )?<[A-Za-z0-9._-]+>", value) and len(value) <= 255, "List-Id")
        parts = str(message["Feedback-ID"]).split(":")
        self.expect(
            len(parts) == 4 and len(set(parts)) == 4 and re.fullmatch(r"[A-Za-z0-9_-]{5,15}", parts[3]),
            f"Feedback-ID: {parts}",
        )
        self.expect(str(message["Precedence"]) == "bulk", "Precedence")
        url = str(message["List-Unsubscribe"]).strip("<>")
        for part in message.iter_parts():
            self.expect(url in part.get_content(), f"no unsubscribe link in {part.get_content_type()}")

    def body(self, message):
        self.expect(message.get_content_type() == "multipart/alternative", "the type of the message")
        boundary = message.get_boundary()
        self.expect(boundary and len(boundary) <= 70, "the boundary")
        types = [part.get_content_type() for part in message.iter_parts()]
        self.expect(types == ["text/plain", "text/html"], f"parts {types}")
        for part in message.walk():
            self.expect(not part.defects, f"defects {part.defects}")
        for part in message.iter_parts():
            self.expect(part.get_content_charset() == "utf-8", "a charset that is not utf-8")
            encoding = str(part["Content-Transfer-Encoding"])
            for escape in re.findall(r"=(?!\r?\n)(..|.|$)", part.get_payload()):
                self.expect(re.fullmatch(r"[0-9A-F]{2}", escape), f"a bad escape ={escape!r}")
            self.expect(encoding in ("quoted-printable", "base64", "7bit"), f"encoded as {encoding}")
            text = part.get_content()
            self.expect(text.strip(), "an empty part")
            self.expect(boundary not in text, "the boundary in a part")


def main() -> int:
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.eml"))
    bad = 0 if files else 1
    for file in files:
        for what in Lint(file).run():
            bad += 1
            print(f"lint: {file.name}: {what}")
    if not bad:
        print(f"lint: {len(files)} messages without a finding")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
