//! Whole messages verify, and stop verifying when anything that matters is touched on the way.
//! The verifier here shares no code with the signer; `tests/judges` asks other people's.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::message::{Fixture, reader};

/// Verifies the topmost DKIM-Signature of `message` under `record`, by RFC 6376, section 6.1.
pub fn verify(message: &[u8], record: &str) -> Result<(), String> {
    verify_one(message, 0, record)
}

/// Verifies one of the signatures, counted from the top.
pub fn verify_one(message: &[u8], number: usize, record: &str) -> Result<(), String> {
    let text = std::str::from_utf8(message).map_err(|error| error.to_string())?;
    let (header, body) = text.split_once("\r\n\r\n").ok_or("no empty line")?;
    let fields = unfold(header);
    let mut signatures = fields.iter().filter(|field| field.0 == "dkim-signature");
    let signature = signatures.nth(number).ok_or("no such signature")?;
    let tag = |name: &str| -> Result<String, String> {
        let tags = signature.1.split(';');
        let mut pairs = tags.filter_map(|tag| tag.split_once('='));
        let pair = pairs.find(|(key, _)| key.trim() == name);
        let value = pair.ok_or(format!("no {name}="))?.1;
        Ok(value.split_whitespace().collect())
    };
    if tag("c")? != "relaxed/relaxed" {
        return Err("another form".into());
    }
    let hash = digest(&SHA256, relax_body(body).as_bytes());
    if tag("bh")? != STANDARD.encode(hash) {
        return Err("the body was altered".into());
    }
    let mut rest: Vec<_> = fields.iter().collect();
    let mut signed = String::new();
    for name in tag("h")?.to_ascii_lowercase().split(':') {
        // RFC 6376, section 5.4.2: from the bottom up; a name without a field counts for nothing.
        if let Some(place) = rest.iter().rposition(|field| field.0 == name) {
            let (name, value) = rest.remove(place);
            signed.push_str(&format!("{name}:{}\r\n", relax(value)));
        }
    }
    let (before, _) = signature.1.rsplit_once("b=").ok_or("no b=")?;
    signed.push_str(&format!("dkim-signature:{}", relax(&format!("{before}b="))));
    let key = record.rsplit_once("p=").ok_or("no p=")?.1;
    let key = STANDARD.decode(key).map_err(|error| error.to_string())?;
    let octets = STANDARD
        .decode(tag("b")?)
        .map_err(|error| error.to_string())?;
    let verified = match (tag("a")?.as_str(), record.contains("k=ed25519;")) {
        // SubjectPublicKeyInfo of a 2048-bit key: a head of 24 octets, then the key itself.
        ("rsa-sha256", false) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key[24..])
            .verify(signed.as_bytes(), &octets),
        // RFC 8463, section 3: what is signed is the hash.
        ("ed25519-sha256", true) => {
            let hash = digest(&SHA256, signed.as_bytes());
            UnparsedPublicKey::new(&ED25519, &key).verify(hash.as_ref(), &octets)
        }
        _ => return Err("another algorithm".into()),
    };
    verified.map_err(|_| "the signature does not fit".into())
}

/// Names in lower case with their unfolded values.
pub fn unfold(header: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in header.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            fields
                .last_mut()
                .expect("a field before a fold")
                .1
                .push_str(line);
        } else {
            let (name, value) = line.split_once(':').expect("a colon in every field");
            fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }
    fields
}

fn relax(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// RFC 6376, section 3.4.4.
pub fn relax_body(body: &str) -> String {
    let mut out = String::new();
    for line in body.strip_suffix("\r\n").unwrap_or(body).split("\r\n") {
        let mut blank = false;
        for c in line.trim_end_matches([' ', '\t']).chars() {
            if c == ' ' || c == '\t' {
                blank = true;
                continue;
            }
            if std::mem::take(&mut blank) {
                out.push(' ');
            }
            out.push(c);
        }
        out.push_str("\r\n");
    }
    while out.ends_with("\r\n\r\n") {
        out.truncate(out.len() - 2);
    }
    out
}

#[test]
fn a_signed_message_verifies_and_its_body_is_its_own_relaxed_form() {
    let fixture = Fixture::new();
    let message = fixture.render(&reader());
    verify(&message, &fixture.record()).expect("a valid signature");
    let text = String::from_utf8(message).expect("ASCII");
    let (_, body) = text.split_once("\r\n\r\n").expect("an empty line");
    assert_eq!(relax_body(body), body);
}

#[test]
fn two_keys_make_two_signatures_and_each_verifies() {
    let fixture = Fixture::new();
    let alone = fixture.render(&reader());
    let (fixture, record) = fixture.with_second();
    let message = fixture.render(&reader());
    verify_one(&message, 0, &fixture.record()).expect("a valid RSA signature");
    verify_one(&message, 1, &record).expect("a valid Ed25519 signature");
    assert!(verify_one(&message, 2, &record).is_err(), "there are two");
    assert!(verify_one(&message, 1, &fixture.record()).is_err());
    assert_eq!(message, fixture.render(&reader()), "both are deterministic");
    // The first one is what it is without the second: they do not sign each other.
    assert_eq!(message[..500], alone[..500]);
    let text = String::from_utf8(message).expect("ASCII");
    let altered = text.replacen("Subject: ", "Subject: x", 1);
    assert!(verify_one(altered.as_bytes(), 1, &record).is_err());
}

#[test]
fn a_field_that_is_altered_or_taken_away_breaks_the_signature() {
    let fixture = Fixture::new();
    let text = String::from_utf8(fixture.render(&reader())).expect("ASCII");
    let (header, body) = text.split_once("\r\n\r\n").expect("an empty line");
    let signed = [
        "From",
        "Reply-To",
        "Date",
        "To",
        "Subject",
        "Message-ID",
        "List-Unsubscribe",
        "List-Id",
        "List-Unsubscribe-Post",
        "Feedback-ID",
        "MIME-Version",
        "Content-Type",
    ];
    let lines: Vec<_> = header.split("\r\n").collect();
    for name in signed {
        let place = lines
            .iter()
            .position(|line| line.starts_with(&format!("{name}:")))
            .unwrap_or_else(|| panic!("no {name}"));
        let mut altered = lines.clone();
        let other = format!("{}x", lines[place]);
        altered[place] = &other;
        let mut removed = lines.clone();
        removed.remove(place);
        while removed.get(place).is_some_and(|line| line.starts_with(' ')) {
            removed.remove(place);
        }
        for lines in [altered, removed] {
            let message = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
            assert!(
                verify(message.as_bytes(), &fixture.record()).is_err(),
                "{name}"
            );
        }
    }
}

#[test]
fn a_second_field_put_before_or_behind_breaks_the_signature() {
    let fixture = Fixture::new();
    let text = String::from_utf8(fixture.render(&reader())).expect("ASCII");
    for field in [
        "From: Other <other@evil.example>",
        "Sender: other@evil.example",
        "Reply-To: other@evil.example",
        "To: other@evil.example",
        "Cc: other@evil.example",
        "Subject: Other",
        "Date: Mon, 01 Jan 2024 00:00:00 +0000",
        "MIME-Version: 1.0",
        "Content-Type: text/html",
        "Content-Transfer-Encoding: base64",
        "List-Unsubscribe: <https://evil.example/>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    ] {
        let before = format!("{field}\r\n{text}");
        let behind = text.replacen("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"), 1);
        for message in [before, behind] {
            assert!(
                verify(message.as_bytes(), &fixture.record()).is_err(),
                "{field}"
            );
        }
    }
    let received = format!("Received: from a.example by b.example; now\r\n{text}");
    verify(received.as_bytes(), &fixture.record()).expect("a trace field touches nothing");
}

#[test]
fn a_changed_body_breaks_the_signature_and_changed_blanks_do_not() {
    let fixture = Fixture::new();
    let text = String::from_utf8(fixture.render(&reader())).expect("ASCII");
    let altered = text.replacen("Hello", "Hallo", 1);
    assert_ne!(altered, text);
    assert!(verify(altered.as_bytes(), &fixture.record()).is_err());
    let folded = text.replacen("\r\nSubject: ", "\r\nSubject:   ", 1) + "\r\n\r\n";
    verify(folded.as_bytes(), &fixture.record()).expect("relaxed forms forgive blanks");
}
