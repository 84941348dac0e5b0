//! Whatever readers call themselves: the header keeps its fields, the body its form, and every value
//! comes out as it went in. Messages made here are also what `tests/judges` shows to other people's parsers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pressrun::address::EmailAddress;
use pressrun::compile::{Context, Segment, Slot, Template};
use pressrun::message::copy::CopyRecord;
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::dkim::{relax_body, unfold, verify, verify_one};
use crate::message::{Fixture, reader, values};

/// Pieces that have broken some mailer somewhere.
const NASTY: [&str; 30] = [
    "\r\n",
    "\n",
    "\r",
    "\r\nBcc: x@y.example\r\n",
    "\n.\n",
    "\r\n.\r\n",
    "\r.\r",
    ".",
    "..",
    ".foo",
    "From ",
    " ",
    "  ",
    "\t",
    "=",
    "==",
    "=20",
    "=?utf-8?q?x?=",
    "=?x?=",
    "?=",
    "\"",
    "\\",
    "<a@b.c>",
    ",;:()[]",
    "\u{0}",
    "\u{85}",
    "\u{2028}",
    "🤖👩‍👩‍👧",
    "Ünïcödé “x”",
    "株式会社",
];

fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(&NASTY[..]).prop_map(str::to_owned),
        "[ -~]{0,12}",
        any::<String>(),
        "[a-z.]{60,200}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn address() -> impl Strategy<Value = EmailAddress> {
    let text = prop_oneof![
        "[a-z.+=?_-]{1,60}@[a-z]{1,20}\\.example",
        "\"[a-z .]{1,20}\"@x.example"
    ];
    text.prop_filter_map("an address", |text: String| EmailAddress::parse(&text).ok())
}

/// Runs `check` on hostile cases, the same ones every time.
fn for_all<S: Strategy>(cases: u32, strategy: S, check: impl Fn(S::Value)) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let result = runner.run(&strategy, |value| {
        check(value);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn copy(name: &str, first: &str, to: EmailAddress) -> CopyRecord {
    let mut copy = reader();
    copy.name = name.into();
    copy.to = to;
    copy.fields.insert("first_name".into(), first.into());
    copy
}

fn names(message: &str) -> Vec<String> {
    let (header, _) = message.split_once("\r\n\r\n").expect("an empty line");
    unfold(header).into_iter().map(|field| field.0).collect()
}

/// `value` as a header shows it: on one line, controls and line ends gone.
fn shown(value: &str) -> String {
    Context::Header.escape(value).into_owned()
}

fn first(text: &str, most: usize) -> String {
    let cut: String = text.chars().take(most).collect();
    cut.trim_end_matches(' ').to_owned()
}

/// RFC 2047, section 6.2, and in a phrase quoted strings; enough for the fields of ours.
fn decode_header(value: &str, phrase: bool) -> String {
    let mut out = String::new();
    let mut encoded_before = false;
    let (mut quoted, mut rest) = (false, value);
    while let Some(c) = rest.chars().next() {
        if !quoted && rest.starts_with("=?utf-8?b?") {
            let (word, after) = rest[10..].split_once("?=").expect("the end of a word");
            if encoded_before {
                assert_eq!(out.pop(), Some(' '));
            }
            let octets = STANDARD.decode(word).expect("base64");
            out.push_str(&String::from_utf8(octets).expect("whole characters in each word"));
            (encoded_before, rest) = (true, after);
            assert!(rest.is_empty() || rest.starts_with(' '));
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '"' if phrase => quoted = !quoted,
            '\\' if quoted => {
                let next = rest.chars().next().expect("a quoted character");
                out.push(next);
                rest = &rest[next.len_utf8()..];
            }
            c => {
                out.push(c);
                encoded_before &= c == ' ';
            }
        }
    }
    out
}

/// Quoted-printable back to text (RFC 2045, section 6.7); panics on what the RFC forbids.
fn decode_body(part: &str) -> String {
    let mut out = Vec::new();
    for line in part.split("\r\n") {
        let (line, soft) = match line.strip_suffix('=') {
            Some(line) => (line, true),
            None => (line, false),
        };
        let mut octets = line.bytes();
        while let Some(octet) = octets.next() {
            if octet == b'=' {
                let digits = [octets.next(), octets.next()].map(|digit| digit.expect("two digits"));
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                assert_eq!(digits, digits.to_ascii_uppercase());
                out.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
            } else {
                out.push(octet);
            }
        }
        if !soft {
            out.push(b'\n');
        }
    }
    out.pop();
    String::from_utf8(out).expect("UTF-8")
}

/// The two parts of a message, decoded.
fn parts(message: &str) -> [String; 2] {
    let kind = values(message, "Content-Type").remove(0);
    let boundary = kind.split('"').nth(1).expect("a boundary");
    let (_, body) = message.split_once("\r\n\r\n").expect("an empty line");
    let delimiter = format!("\r\n--{boundary}");
    let whole = format!("\r\n{body}");
    let pieces: Vec<_> = whole.split(&delimiter).collect();
    assert_eq!((pieces[0], pieces[3], pieces.len()), ("", "--\r\n", 4));
    [pieces[1], pieces[2]].map(|part| {
        let (_, content) = part.split_once("\r\n\r\n").expect("an empty line");
        decode_body(content)
    })
}

/// What holds of every message, whoever reads it.
fn check_form(message: &str) {
    assert!(message.ends_with("--\r\n"));
    assert!(!message.ends_with("\r\n\r\n"));
    let (header, body) = message.split_once("\r\n\r\n").expect("an empty line");
    for line in message.split("\r\n") {
        assert!(
            line.bytes().all(|octet| (b' '..=b'~').contains(&octet)),
            "{line:?}"
        );
        assert!(!line.starts_with('.'), "{line}");
    }
    for line in body.split("\r\n") {
        assert!(line.len() <= 76 && !line.ends_with(' '), "{line:?}");
    }
    for line in header.split("\r\n") {
        let unit = line.split(' ').map(str::len).max().unwrap_or(0);
        assert!(line.len() <= 76 || unit > 60, "{line}");
        assert!(
            line.len() <= 998 && !line.trim().is_empty() && !line.ends_with(' '),
            "{line:?}"
        );
    }
    assert_eq!(relax_body(body), body);
}

#[test]
fn no_reader_adds_a_field_breaks_a_line_or_is_called_otherwise() {
    let mut fixture = Fixture::new();
    fixture.signer = None;
    let fields = names(&fixture.text(&reader()));
    for_all(
        600,
        (value(), value(), address()),
        |(name, first_name, to)| {
            let copy = copy(&name, &first_name, to.clone());
            let message = fixture.text(&copy);
            check_form(&message);
            assert_eq!(names(&message), fields);
            let line = values(&message, "To").remove(0);
            let name = first(&shown(&name), 100);
            if name.is_empty() {
                assert_eq!(line, to.as_str());
            } else {
                let (phrase, angle) = line.rsplit_once(" <").expect("a name and an address");
                assert_eq!(angle, format!("{to}>"));
                assert_eq!(decode_header(phrase, true), name);
            }
            let mut first_name = shown(&first_name);
            if first_name.is_empty() {
                first_name = "reader".into();
            }
            let subject = format!("🤖 This week, {}: eleven papers", first(&first_name, 100));
            assert_eq!(
                decode_header(&values(&message, "Subject")[0], false),
                subject
            );
        },
    );
}

#[test]
fn every_part_decodes_to_its_literals_and_its_escaped_values() {
    let mut fixture = Fixture::new();
    fixture.signer = None;
    let template = |literals: &[String; 3], context: Context| {
        let slot = Segment::Slot(Slot::Field {
            name: "first_name".into(),
            default: "=.\u{0} there".into(),
            context,
            notation: None,
        });
        let [a, b, c] = literals.clone().map(Segment::Literal);
        Template(vec![
            Segment::Literal("!".into()),
            a,
            slot.clone(),
            b,
            slot,
            c,
        ])
    };
    let literals = || [value(), value(), value()];
    for_all(
        600,
        (literals(), literals(), value()),
        |(text, html, first_name)| {
            let mut compiled = fixture.compiled.clone();
            compiled.text = template(&text, Context::Text);
            compiled.html = template(&html, Context::Html);
            let fixture = Fixture {
                compiled,
                headers: fixture.headers.clone(),
                keyring: fixture.keyring.clone(),
                signer: None,
                second: None,
            };
            let message = fixture.text(&copy("", &first_name, reader().to));
            check_form(&message);
            let blank = shown(&first_name).is_empty();
            let value = if blank { "=. there" } else { &first_name };
            let expected = |[a, b, c]: &[String; 3], context: Context| {
                let slot = context.escape(value);
                let [a, b, c] =
                    [a, b, c].map(|text| text.replace("\r\n", "\n").replace('\r', "\n"));
                format!("!{a}{slot}{b}{slot}{c}")
            };
            let [plain, rich] = parts(&message);
            assert_eq!(plain, expected(&text, Context::Text));
            assert_eq!(rich, expected(&html, Context::Html));
            let shown = fixture.fill(&copy("", &first_name, reader().to));
            assert_eq!(rich, shown.replace("\r\n", "\n").replace('\r', "\n"));
        },
    );
}

#[test]
fn signatures_of_hostile_copies_verify_and_are_laid_out_for_the_judges() {
    let fixture = Fixture::new();
    let record = fixture.record();
    let (doubly, second_record) = Fixture::new().with_second();
    // Set by `tests/judges/run.sh`, which shows the messages to other people's verifiers and parsers.
    let folder = std::env::var_os("PRESSRUN_JUDGES_DIR").map(std::path::PathBuf::from);
    let lay = |name: &str, octets: &[u8]| {
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder).expect("a folder");
            std::fs::write(folder.join(name), octets).expect("a file");
        }
    };
    lay(
        "dns.txt",
        format!(
            "test._domainkey.example.com={record}\nsecond._domainkey.example.com={second_record}\n"
        )
        .as_bytes(),
    );
    let mut copies = vec![copy("", "", reader().to), reader()];
    for nasty in NASTY {
        copies.push(copy(nasty, nasty, reader().to));
        copies.push(copy(&nasty.repeat(40), &format!("a{nasty}b"), reader().to));
    }
    let mut test = reader();
    test.test = true;
    copies.push(test);
    for (place, copy) in copies.iter().enumerate() {
        let message = fixture.render(copy);
        verify(&message, &record).expect("a valid signature");
        lay(&format!("{place:03}.eml"), &message);
        let name = first(&shown(&copy.name), 100);
        lay(&format!("{place:03}.name"), name.as_bytes());
    }
    let message = doubly.render(&reader());
    verify_one(&message, 1, &second_record).expect("a valid second signature");
    lay("doubly.eml", &message);
    let mut system = Fixture::new();
    system.headers.list = None;
    system.headers.reply_to = None;
    let message = system.render(&reader());
    verify(&message, &record).expect("a valid signature");
    lay("system.eml", &message);
}
