//! Messages as a reader's provider sees them: whole, exact, and the same every time.

use pressrun::address::EmailAddress;
use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::compile::{Compiled, Context, Link, Segment, Slot, Template};
use pressrun::dkim::Signer;
use pressrun::id::{DeliveryKey, RunId, SubscriptionKey};
use pressrun::keyring::Keyring;
use pressrun::message;
use pressrun::message::copy::CopyRecord;
use pressrun::message::{ListHeaders, MessageTemplate, RenderError, RunHeaders, envelope_sender};
use pressrun::token::{self, Claim, Purpose};

use crate::dkim::unfold;

mod mailto;
mod notation;
mod only;

/// The key of RFC 8463, appendix A.2.
const SECOND: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
const PEM: &str = include_str!("../keys/dkim-test.pem");
const KEY: DeliveryKey = DeliveryKey {
    run: RunId(7),
    seq: 41,
};

/// A made-up issue, its run, and keys that everyone has.
pub struct Fixture {
    pub compiled: Compiled,
    pub headers: RunHeaders,
    pub keyring: Keyring,
    pub signer: Option<Signer>,
    pub second: Option<Signer>,
}

impl Fixture {
    pub fn new() -> Fixture {
        Fixture {
            compiled: compiled(),
            headers: headers(),
            keyring: Keyring::generate(&Chance::seeded(7), Timestamp(0)),
            signer: Some(Signer::from_pem("example.com", "test", PEM).expect("a test key")),
            second: None,
        }
    }

    /// Signs with an Ed25519 key as well; gives its record, which stands under the selector `second`.
    pub fn with_second(mut self) -> (Fixture, String) {
        let signer = Signer::from_pem("example.com", "second", SECOND).expect("a test key");
        let record = signer.record();
        self.second = Some(signer);
        (self, record)
    }

    pub fn template(&self) -> MessageTemplate {
        let signers = self.signer.iter().chain(&self.second).cloned();
        MessageTemplate::new(&self.compiled, &self.headers, signers).expect("a good issue")
    }

    pub fn render(&self, copy: &CopyRecord) -> Vec<u8> {
        let mut out = Vec::new();
        self.template()
            .render(&self.keyring, KEY, copy, &mut out)
            .expect("a message");
        out
    }

    pub fn text(&self, copy: &CopyRecord) -> String {
        String::from_utf8(self.render(copy)).expect("ASCII")
    }

    /// The HTML part as the browser shows it.
    pub fn fill(&self, copy: &CopyRecord) -> String {
        let url = &self.headers.public_url;
        message::html(&self.compiled, url, &self.keyring, KEY, copy).expect("a part")
    }

    pub fn record(&self) -> String {
        self.signer.as_ref().expect("a signer").record()
    }
}

fn literal(text: &str) -> Segment {
    Segment::Literal(text.into())
}

fn field(name: &str, default: &str, context: Context) -> Segment {
    Segment::Slot(Slot::Field {
        name: name.into(),
        default: default.into(),
        context,
        notation: None,
    })
}

fn compiled() -> Compiled {
    let text = vec![
        literal("Hello "),
        field("first_name", "there", Context::Text),
        literal(",\n\n.dotted line\nFrom here on: “quotes”, two  blanks, a trailing one \n"),
        Segment::Slot(Slot::Click(0)),
        literal("\n\nUnsubscribe: "),
        Segment::Slot(Slot::Unsubscribe),
        literal("\n"),
    ];
    let html = vec![
        literal("<!doctype html>\n<html lang=\"en\"><body>\n<img alt=\"\" src=\""),
        Segment::Slot(Slot::Open),
        literal("\">\n<p>Hello "),
        field("first_name", "there", Context::Html),
        literal(", you read as "),
        field("email", "", Context::Html),
        literal(
            ".</p>\n<p>A long paragraph — with “typographic quotes”, 42 % and a robot 🤖 — that is broken into lines.</p>\n<a href=\"",
        ),
        Segment::Slot(Slot::Click(0)),
        literal("\">Read more</a> <a href=\""),
        Segment::Slot(Slot::Click(1)),
        literal("\">Buy</a> <a href=\"https://shop.example.com/?for="),
        field("first_name", "", Context::Url),
        literal("\">Gift</a>\n<a href=\""),
        Segment::Slot(Slot::Unsubscribe),
        literal("\">Unsubscribe</a> <a href=\""),
        Segment::Slot(Slot::Preferences),
        literal("\">Preferences</a> <a href=\""),
        Segment::Slot(Slot::View),
        literal("\">In the browser</a>\n</body></html>\n"),
    ];
    let link = |name: &str| Link {
        url: "https://example.org/".into(),
        name: name.into(),
    };
    Compiled {
        slug: "week-1".into(),
        title: "Week 1".into(),
        subject: Template(vec![
            literal("🤖 This week, "),
            field("first_name", "reader", Context::Header),
            literal(": eleven papers"),
        ]),
        preheader: Template::default(),
        html: Template(html),
        text: Template(text),
        links: vec![link("1 - Read more"), link("promo")],
        images: Vec::new(),
        only: Vec::new(),
    }
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("an address")
}

fn headers() -> RunHeaders {
    RunHeaders {
        from_name: "Ed Itor, This Week".into(),
        from_address: address("ed@example.com"),
        reply_to: Some(address("replies@example.com")),
        list: Some(ListHeaders {
            title: "This Week, in AI".into(),
            label: "weekly".into(),
            domain: "example.com".into(),
        }),
        about: "week-1".into(),
        bounce_domain: "bounce.example.com".into(),
        mailto: false,
        public_url: "https://news.example.com".into(),
        instance: "3f9c".into(),
    }
}

/// A reader whose name is two words and an umlaut.
pub fn reader() -> CopyRecord {
    let mut copy = CopyRecord::new(
        address("jo@reader.example"),
        Timestamp(1_700_000_000_000),
        1,
    );
    copy.name = "Jo Müller".into();
    copy.subscription = Some(SubscriptionKey(0x0123_4567_89ab_cdef));
    copy.fields.insert("first_name".into(), "Jo".into());
    copy
}

/// Values of a header field, unfolded and trimmed.
pub fn values(message: &str, name: &str) -> Vec<String> {
    let (header, _) = message.split_once("\r\n\r\n").expect("an empty line");
    let fields = unfold(header).into_iter();
    let named = fields.filter(|field| field.0 == name.to_ascii_lowercase());
    named.map(|field| field.1.trim().to_owned()).collect()
}

#[test]
fn a_whole_signed_message_is_as_it_always_was() {
    let text = Fixture::new().text(&reader());
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    insta::assert_snapshot!("signed", text.replace("\r\n", "\n"));
}

#[test]
fn a_copy_is_made_again_octet_for_octet_from_what_is_stored_even_after_a_rotation() {
    let mut fixture = Fixture::new();
    let first = fixture.render(&reader());
    let stored = reader().to_json();
    let headers = serde_json::to_string(&fixture.headers).expect("JSON");
    fixture.headers = serde_json::from_str(&headers).expect("the same headers");
    fixture.keyring.rotate(&Chance::seeded(9), Timestamp(1));
    let copy = CopyRecord::from_json(&stored).expect("a stored copy");
    assert!(fixture.render(&copy) == first);
    assert!(!stored.contains("test"), "defaults take no room: {stored}");

    fixture.keyring.revoke(1);
    let mut out = b"kept".to_vec();
    let template = fixture.template();
    let result = template.render(&fixture.keyring, KEY, &copy, &mut out);
    assert_eq!(result, Err(RenderError::NoKey(1)));
    assert_eq!(out, b"kept");
}

#[test]
fn messages_are_appended_and_know_nothing_of_each_other() {
    let fixture = Fixture::new();
    let template = fixture.template();
    let mut out = Vec::new();
    for seq in [0, 1, 0] {
        let key = DeliveryKey { run: RunId(7), seq };
        template
            .render(&fixture.keyring, key, &reader(), &mut out)
            .expect("a message");
    }
    let third = out.len() / 3;
    assert!(out[..third] == out[2 * third..]);
    let text = String::from_utf8(out).expect("ASCII");
    let id = |message: &str| values(message, "Message-ID").remove(0);
    assert!(id(&text[..third]).starts_with("<7-0."), "{}", id(&text));
    assert_ne!(id(&text[..third]), id(&text[third..]));
}

#[test]
fn a_message_id_differs_between_installations_and_not_between_tries() {
    let mut fixture = Fixture::new();
    let id = values(&fixture.text(&reader()), "Message-ID").remove(0);
    let mut later = reader();
    later.date = Timestamp(1_800_000_000_000);
    assert_eq!(values(&fixture.text(&later), "Message-ID"), [id.as_str()]);
    assert!(id.ends_with("@example.com>"), "{id}");
    fixture.headers.instance = "other".into();
    assert_ne!(
        values(&fixture.text(&reader()), "Message-ID"),
        [id.as_str()]
    );
}

#[test]
fn every_link_is_signed_for_its_purpose_and_this_delivery() {
    let fixture = Fixture::new();
    let text = fixture.text(&reader()).replace("=\r\n", "");
    let subscription = SubscriptionKey(0x0123_4567_89ab_cdef);
    for (path, purpose, claim, times) in [
        ("/o/", Purpose::Open, Claim::Open(KEY), 1),
        ("/c/", Purpose::Click, Claim::Click(KEY, 0), 2),
        (
            "/u/",
            Purpose::Unsubscribe,
            Claim::Unsubscribe(subscription, KEY),
            3,
        ),
        (
            "/preferences/",
            Purpose::Manage,
            Claim::Manage(subscription),
            1,
        ),
        ("/view/", Purpose::View, Claim::View(KEY), 1),
    ] {
        let url = format!("https://news.example.com{path}");
        let tokens: Vec<_> = text.match_indices(&url).collect();
        let place = tokens[0].0 + url.len();
        let token = &text[place..place + purpose.length()];
        assert_eq!(token::verify(&fixture.keyring, purpose, token), Some(claim));
        assert_eq!(
            text.matches(&format!("{url}{token}")).count(),
            times,
            "{path}"
        );
    }
    assert!(!text.contains("reader.example/") && !text.contains("%40"));
}

#[test]
fn the_unsubscribe_fields_are_those_of_one_click_and_never_folded() {
    let mut fixture = Fixture::new();
    fixture.headers.public_url = format!("https://{}example.com", "long.".repeat(40));
    let check = |text: &str| {
        assert_eq!(
            values(text, "List-Unsubscribe-Post"),
            ["List-Unsubscribe=One-Click"]
        );
        assert_eq!(values(text, "List-Unsubscribe").len(), 1);
        let mut lines = text.split("\r\n");
        let line = lines.find(|line| line.starts_with("List-Unsubscribe:"));
        let line = line.expect("a field");
        assert!(
            line.starts_with("List-Unsubscribe: <https://") && line.ends_with('>'),
            "{line}"
        );
        assert!(line.len() <= 998 && !line.contains(", ") && line.matches(' ').count() == 1);
    };
    assert!(MessageTemplate::new(&fixture.compiled, &fixture.headers, None).is_err());
    fixture.headers.public_url = format!("https://{}example.com", "long.".repeat(20));
    check(&fixture.text(&reader()));
    fixture.headers.public_url = "https://news.example.com/letters".into();
    check(&fixture.text(&reader()));
}

#[test]
fn the_list_and_its_readers_reports_are_named_the_same_in_every_copy() {
    let mut fixture = Fixture::new();
    let text = fixture.text(&reader());
    let list = values(&text, "List-Id").remove(0);
    assert_eq!(list, "\"This Week, in AI\" <weekly.example.com>");
    let feedback = values(&text, "Feedback-ID");
    assert_eq!(feedback, ["i-week-1:l-weekly:issue:example-com"]);
    assert_eq!(values(&text, "Precedence"), ["bulk"]);
    let mut other = reader();
    other.to = address("x@y.example");
    assert_eq!(values(&fixture.text(&other), "Feedback-ID"), feedback);
    fixture.headers.list.as_mut().expect("a list").title = "Renamed".into();
    let renamed = values(&fixture.text(&other), "List-Id");
    assert_eq!(renamed, ["Renamed <weekly.example.com>"]);
    // An encoded word in a list field is refused by Gmail.
    fixture.headers.list.as_mut().expect("a list").title = "Größe".into();
    assert_eq!(
        values(&fixture.text(&other), "List-Id"),
        ["<weekly.example.com>"]
    );
}

#[test]
fn a_mail_without_a_list_names_none_and_says_that_a_machine_wrote_it() {
    let mut fixture = Fixture::new();
    fixture.headers.list = None;
    let text = fixture.text(&reader());
    for name in [
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Id",
        "Precedence",
        "Feedback-ID",
    ] {
        assert!(values(&text, name).is_empty(), "{name}");
    }
    assert_eq!(values(&text, "Auto-Submitted"), ["auto-generated"]);
    crate::dkim::verify(text.as_bytes(), &fixture.record()).expect("a valid signature");
    let added = format!("List-Unsubscribe: <https://evil.example/>\r\n{text}");
    assert!(crate::dkim::verify(added.as_bytes(), &fixture.record()).is_err());
}

#[test]
fn a_confirm_link_carries_the_second_it_was_issued() {
    let mut fixture = Fixture::new();
    fixture.compiled.html.0.push(Segment::Slot(Slot::Confirm));
    let mut copy = reader();
    for (issued, expected) in [(None, 1_700_000_000), (Some(1_600_000_000), 1_600_000_000)] {
        copy.confirm_issued = issued;
        let text = fixture.text(&copy).replace("=\r\n", "");
        let url = "https://news.example.com/confirm/";
        let place = text.find(url).expect("a link") + url.len();
        let token = &text[place..place + Purpose::Confirm.length()];
        let claim = token::verify(&fixture.keyring, Purpose::Confirm, token);
        assert_eq!(
            claim,
            Some(Claim::Confirm(
                SubscriptionKey(0x0123_4567_89ab_cdef),
                expected
            ))
        );
    }
}

#[test]
fn a_test_says_so_in_the_subject_and_nowhere_else() {
    let fixture = Fixture::new();
    let mut copy = reader();
    copy.test = true;
    let (plain, test) = (fixture.text(&reader()), fixture.text(&copy));
    assert!(test.contains("\r\nSubject: [TEST] =?utf-8?b?"), "{test}");
    let rest = |text: &str| {
        let (_, rest) = text.split_once("\r\nMessage-ID:").expect("a Message-ID");
        rest.to_owned()
    };
    assert_eq!(rest(&plain), rest(&test));
}

#[test]
fn blank_values_give_way_to_defaults_and_only_fields_in_use_are_asked_for() {
    let fixture = Fixture::new();
    assert_eq!(fixture.template().fields(), ["first_name"]);
    let mut copy = reader();
    for value in ["", "  ", "\u{0}\r\n"] {
        copy.fields.insert("first_name".into(), value.into());
        let text = fixture.text(&copy);
        assert!(text.contains("Hello =\r\nthere=\r\n,\r\n"), "{text}");
        assert!(values(&text, "Subject")[0].ends_with(" This week, reader: eleven papers"));
    }
}

#[test]
fn what_must_not_be_sent_is_refused_before_the_run_begins() {
    type Spoil = fn(&mut Fixture);
    let cases: [(Spoil, &str); 13] = [
        (
            |f| f.headers.from_name = "ed@example.com".into(),
            "looks like an address",
        ),
        (
            |f| f.headers.from_name = "Re: you".into(),
            "looks like an address or a reply",
        ),
        (|f| f.headers.from_name = "a\r\nBcc: x".into(), "line end"),
        (
            |f| f.headers.public_url = "http://news.example.com".into(),
            "https",
        ),
        (
            |f| f.headers.public_url = "https://news.example.com/".into(),
            "cannot begin a link",
        ),
        (
            |f| f.headers.public_url = "https://x.example/?a=b".into(),
            "cannot begin a link",
        ),
        (
            |f| f.headers.public_url = "https://".into(),
            "cannot begin a link",
        ),
        (
            |f| f.headers.list.as_mut().expect("a list").label = "a b".into(),
            "List-Id",
        ),
        (
            |f| f.compiled.subject = Template(vec![literal(" ")]),
            "subject is empty",
        ),
        (
            |f| f.compiled.subject = Template(vec![literal(&"x".repeat(200))]),
            "200 characters",
        ),
        (
            |f| f.compiled.subject = Template(vec![Segment::Slot(Slot::Open)]),
            "link",
        ),
        (
            |f| f.compiled.text = Template(vec![literal("\n")]),
            "text part is empty",
        ),
        (
            |f| f.compiled.html = Template(Vec::new()),
            "HTML part is empty",
        ),
    ];
    for (spoil, reason) in cases {
        let mut fixture = Fixture::new();
        spoil(&mut fixture);
        let result = MessageTemplate::new(&fixture.compiled, &fixture.headers, None);
        let error = format!("{:#}", result.expect_err(reason));
        assert!(error.contains(reason), "{error}");
    }
    for url in [
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]:80",
    ] {
        let mut fixture = Fixture::new();
        fixture.headers.public_url = url.into();
        fixture.template();
    }
}

#[test]
fn the_envelope_sender_names_the_delivery() {
    let keyring = Fixture::new().keyring;
    let sender = envelope_sender(&keyring, KEY, "bounce.example.com");
    let sender = address(&sender);
    assert_eq!(sender.domain(), "bounce.example.com");
    let token = sender.local().strip_prefix("bounce+").expect("the prefix");
    let claim = token::verify_local_part(&keyring, Purpose::Bounce, token);
    assert_eq!(claim, Some(Claim::Bounce(KEY)));
}
