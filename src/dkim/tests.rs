//! Keys, the signature field and what it names; `tests/suite/dkim.rs` verifies whole messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Signer;
use crate::clock::Timestamp;

const PEM: &str = include_str!("../../tests/keys/dkim-test.pem");
const OLD_FORM: &str = include_str!("../../tests/keys/dkim-test-pkcs1.pem");
const SHORT: &str = include_str!("../../tests/keys/dkim-test-1024.pem");

fn signer() -> Signer {
    Signer::from_pem("News.Example.com", "press-1", PEM).expect("a test key")
}

#[test]
fn both_forms_of_a_key_give_the_same_record() {
    let old = Signer::from_pem("news.example.com", "press-1", OLD_FORM).expect("PKCS#1");
    assert_eq!(old.record(), signer().record());
    assert_eq!(old.record_name(), "press-1._domainkey.news.example.com");
    assert!(old.record().starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkqh"));
}

#[test]
fn what_is_no_good_key_is_refused_and_not_quoted() {
    let encrypted = PEM.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (pem, reason) in [
        ("", "no private key in PEM"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "2048 bits",
        ),
        (SHORT, "2048 bits or more"),
        (&encrypted, "encrypted with a password"),
    ] {
        let error = Signer::from_pem("a.example", "s", pem).expect_err("no key");
        let error = format!("{error:#}");
        assert!(error.contains(reason), "{error}");
        assert!(
            !error.contains("BEGIN") && !error.contains("AAAA"),
            "{error}"
        );
    }
    assert!(!format!("{:?}", signer()).contains("MII"));
}

#[test]
fn a_domain_or_selector_that_the_dns_cannot_hold_is_refused() {
    for (domain, selector) in [
        ("example", "s"),
        ("a..example", "s"),
        ("-a.example", "s"),
        ("a.example", ""),
        ("a.example", "s;x"),
        ("a.example\r\nBcc", "s"),
        ("ü.example", "s"),
    ] {
        let result = Signer::from_pem(domain, selector, PEM);
        assert!(result.is_err(), "{domain} {selector}");
    }
}

#[test]
fn present_fields_are_named_once_more_than_they_stand_and_absent_ones_once() {
    let seal = signer().prepare(&["From", "To", "List-Id", "Precedence", "Subject"]);
    let mut message = Vec::new();
    seal.reserve(&mut message);
    assert_eq!(message.len(), seal.length());
    let text = String::from_utf8(message).expect("ASCII");
    let list = text
        .split("h=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let list = list.expect("a list of fields").replace("\r\n ", "");
    assert_eq!(
        list,
        "From:To:List-Id:Subject:From:Sender:Reply-To:To:Cc:Subject:Date:Message-ID:MIME-Version:\
         Content-Type:Content-Transfer-Encoding:List-Unsubscribe:List-Unsubscribe-Post"
    );
    // RFC 6376, section 5.4.1: what is changed on the way is not signed.
    for name in [
        "Return-Path",
        "Received",
        "DKIM-Signature",
        "ARC-Seal",
        "Comments",
    ] {
        assert!(!signer().signs(name), "{name}");
    }
    assert!(text.lines().all(|line| line.len() <= 76), "{text}");
    assert!(!text.contains(" l=") && !text.contains(" i="), "{text}");
}

#[test]
fn what_a_relay_writes_anew_is_left_out_and_told_apart() {
    let sparing = signer().sparing();
    let mut field = Vec::new();
    sparing
        .prepare(&["From", "Date", "Message-ID", "Subject"])
        .reserve(&mut field);
    let field = String::from_utf8(field).expect("ASCII");
    assert!(
        !field.contains("Date") && !field.contains("Message-ID"),
        "{field}"
    );
    assert!(field.contains("h=From:Subject:From:"), "{field}");
    assert_ne!(sparing.known_by(), signer().known_by());
    assert!(Signer::is_sparing(&sparing.known_by()) && !Signer::is_sparing(&signer().known_by()));
}

#[test]
fn the_same_inputs_give_the_same_field_and_the_second_is_in_it() {
    let seal = signer().prepare(&["From"]);
    let sign = |seconds: i64, body: &str| {
        let mut message = b"before".to_vec();
        seal.reserve(&mut message);
        let end = message.len();
        message.extend_from_slice(body.as_bytes());
        let mut fields = b"from:a@x.example\r\n".to_vec();
        let date = Timestamp(seconds * 1000);
        let hash = super::body_hash([&message[end..]]);
        seal.seal(&mut message, 6, &hash, &mut fields, date)
            .expect("a signature");
        assert_eq!(fields, b"from:a@x.example\r\n");
        String::from_utf8(message[6..end].to_vec()).expect("ASCII")
    };
    let field = sign(1_700_000_000, "body\r\n");
    assert_eq!(field, sign(1_700_000_000, "body\r\n"));
    assert!(field.contains("; t=1700000000;\r\n"), "{field}");
    assert_ne!(field, sign(1_700_000_001, "body\r\n"));
    assert_ne!(field, sign(1_700_000_000, "Body\r\n"));
    // The SHA-256 of "body\r\n", as openssl computes it.
    assert!(
        field.contains(" bh=Ck5SoRNWUpSR4X0COv7R5ub2pUTtl6xz4dTFz++ji4M=;\r\n"),
        "{field}"
    );
    assert!(field.ends_with("==\r\n"), "{field}");
}

#[test]
fn the_example_of_rfc_8463_has_the_key_and_the_signature_it_should() {
    // RFC 8463, appendix A: the seed in base64, in the PKCS#8 of RFC 8410.
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    let seed = STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=");
    der.extend(seed.expect("base64"));
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(&der)
    );
    let signer = Signer::from_pem("football.example.com", "brisbane", &pem).expect("a key");
    assert_eq!(
        signer.record(),
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    );
    assert_eq!(
        signer.record_name(),
        "brisbane._domainkey.football.example.com"
    );
    let signed = b"from:Joe SixPack <joe@football.example.com>\r\n\
        to:Suzie Q <suzie@shopping.example.net>\r\n\
        subject:Is dinner ready?\r\n\
        date:Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
        message-id:<20030712040037.46341.5F8J@football.example.com>\r\n\
        dkim-signature:v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; \
        i=@football.example.com; q=dns/txt; s=brisbane; t=1528637909; h=from : to : subject : date : \
        message-id : from : subject : date; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=";
    let signature = STANDARD.encode(signer.sign(signed).expect("a signature"));
    assert_eq!(
        signature,
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
    let seal = signer.prepare(&["From"]);
    let mut message = Vec::new();
    seal.reserve(&mut message);
    let hash = super::body_hash([]);
    let date = Timestamp(1_528_637_909_000);
    let mut fields = b"from:a\r\n".to_vec();
    seal.seal(&mut message, 0, &hash, &mut fields, date)
        .expect("a signature");
    let text = String::from_utf8(message).expect("ASCII");
    assert!(
        text.contains("a=ed25519-sha256;") && text.ends_with("==\r\n"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() <= 76), "{text}");
}
