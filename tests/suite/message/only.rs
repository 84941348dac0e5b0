//! Parts that some readers get: every copy is whole, canonical and the same each time.

use pressrun::compile::{Segment, Template, only};
use pressrun::message::MessageTemplate;
use pressrun::message::copy::CopyRecord;
use pressrun::segment::{Filter, Sieve, Test};

use crate::dkim::{relax_body, verify};
use crate::message::{Fixture, literal, reader};

fn sieve(tag: &str) -> Sieve {
    Sieve {
        said: format!("tag:{tag}"),
        filter: Filter::Is(Test::Tag(tag.into())),
    }
}

/// Puts a part for the first segment, and one of the second within it, at each place of both bodies, with
/// everything around them that a line may begin or end with.
fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.compiled.only = vec![sieve("paid"), sieve("new")];
    for template in [&mut fixture.compiled.text, &mut fixture.compiled.html] {
        let mut with = Vec::new();
        for segment in template.0.drain(..) {
            with.push(segment);
            with.extend([
                Segment::Only(0),
                literal(".only the paying \u{fc} "),
                Segment::Only(1),
                literal(" and new\nFrom here. "),
                Segment::End,
                literal(" \u{201c}readers\u{201d}  =\n"),
                Segment::End,
            ]);
        }
        *template = Template(with);
    }
    fixture
}

fn copy(segments: u32) -> CopyRecord {
    let mut copy = reader();
    copy.segments = segments;
    copy
}

/// What stands in a part of a message, decoded.
fn decoded(message: &str, part: usize) -> String {
    let (_, body) = message.split_once("\r\n\r\n").expect("an empty line");
    let boundary = body.lines().next().expect("a boundary");
    let part = body.split(boundary).nth(part + 1).expect("a part");
    let (_, encoded) = part.split_once("\r\n\r\n").expect("an empty line");
    let joined = encoded.replace("=\r\n", "");
    let mut octets = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if first == b'=' {
            let digits = std::str::from_utf8(&behind[..2]).expect("digits");
            octets.push(u8::from_str_radix(digits, 16).expect("digits"));
            rest = &behind[2..];
        } else {
            octets.push(first);
            rest = behind;
        }
    }
    String::from_utf8(octets)
        .expect("UTF-8")
        .replace("\r\n", "\n")
}

#[test]
fn every_copy_is_its_own_relaxed_form_and_verifies() {
    let fixture = fixture();
    for segments in [0, 0b01, 0b10, 0b11, only::EVERY] {
        let text = fixture.text(&copy(segments));
        verify(text.as_bytes(), &fixture.record()).expect("a valid signature");
        let (_, body) = text.split_once("\r\n\r\n").expect("an empty line");
        assert_eq!(relax_body(body), body, "{segments:b}");
        for line in body.split("\r\n") {
            assert!(line.len() <= 76, "{line}");
            assert!(
                !line.starts_with('.') && !line.starts_with("From "),
                "{line}"
            );
        }
    }
}

#[test]
fn a_copy_shows_the_parts_of_its_reader_and_no_others() {
    let fixture = fixture();
    for segments in [0, 0b01, 0b10, 0b11] {
        let copy = copy(segments);
        let message = fixture.text(&copy);
        let paid = segments & 0b01 != 0;
        let new = segments == 0b11;
        for (part, template) in [(0, &fixture.compiled.text), (1, &fixture.compiled.html)] {
            let found = decoded(&message, part);
            let times = template.0.len() / 8;
            assert_eq!(
                found.matches(".only the paying").count(),
                if paid { times } else { 0 }
            );
            assert_eq!(
                found.matches(" and new\nFrom here").count(),
                if new { times } else { 0 }
            );
        }
        // The page in the browser is the very part, but for the line end before the boundary.
        let page = fixture.fill(&copy);
        assert_eq!(
            decoded(&message, 1).trim_end_matches('\n'),
            page.trim_end_matches('\n')
        );
    }
}

#[test]
fn a_copy_is_made_again_octet_for_octet() {
    let fixture = fixture();
    let first = fixture.render(&copy(0b01));
    let stored = copy(0b01).to_json();
    assert!(stored.contains("\"segments\":1"), "{stored}");
    let again = CopyRecord::from_json(&stored).expect("a stored copy");
    assert!(fixture.render(&again) == first);
    assert!(fixture.render(&copy(0b11)) != first);
    let none = copy(0).to_json();
    assert!(!none.contains("segments"), "none takes no room: {none}");
}

#[test]
fn without_parts_the_message_is_what_it_was_before_there_were_any() {
    let mut plain = Fixture::new();
    let before = plain.render(&reader());
    plain.compiled.only = vec![sieve("paid")];
    assert!(plain.render(&reader()) == before);
}

#[test]
fn parts_that_do_not_stand_within_each_other_are_refused() {
    for wrong in [Segment::End, Segment::Only(0), Segment::Only(2)] {
        let mut fixture = fixture();
        fixture.compiled.html.0.push(wrong);
        let result = MessageTemplate::new(&fixture.compiled, &fixture.headers, None);
        let error = result.expect_err("a part without an end").to_string();
        assert!(error.contains("parts for segments"), "{error}");
    }
}
