//! A reader's dates and numbers as readers read them, in every part of a message.

use pressrun::compile::notation::Notation;
use pressrun::compile::{Context, Segment, Slot, Template};
use pressrun::message::copy::CopyRecord;

use super::{Fixture, literal, reader, values};

#[test]
fn a_date_and_a_number_are_written_for_readers_and_stored_as_they_are() {
    let mut fixture = Fixture::new();
    let slot = |name: &str, context, notation: Option<Notation>| {
        Segment::Slot(Slot::Field {
            name: name.into(),
            default: "soon".into(),
            context,
            notation,
        })
    };
    let date = |context| slot("renewal", context, Some(Notation::Date("en".into())));
    let number = |context| slot("points", context, Some(Notation::Number("de".into())));
    fixture.compiled.subject = Template(vec![literal("Until "), date(Context::Header)]);
    fixture.compiled.text = Template(vec![
        date(Context::Text),
        literal(", "),
        number(Context::Text),
    ]);
    fixture.compiled.html = Template(vec![
        literal("<b>"),
        date(Context::Html),
        literal("</b><a href=\"https://a.example/?d="),
        slot("renewal", Context::Url, None),
        literal("\">a</a>"),
    ]);
    let mut copy = reader();
    copy.fields.insert("renewal".into(), "2026-03-03".into());
    copy.fields.insert("points".into(), "12345.5".into());
    let text = fixture.text(&copy).replace("=\r\n", "");
    assert_eq!(values(&text, "Subject"), ["Until 3 March 2026"]);
    assert!(text.contains("\r\n3 March 2026, 12.345,5\r\n"), "{text}");
    assert!(text.contains("<b>3 March 2026</b>"), "{text}");
    assert!(text.contains("?d=3D2026-03-03"), "{text}");
    let stored = copy.to_json();
    assert!(stored.contains("\"2026-03-03\""), "{stored}");
    let again = CopyRecord::from_json(&stored).expect("a stored copy");
    let frozen = serde_json::to_string(&fixture.compiled).expect("JSON");
    fixture.compiled = serde_json::from_str(&frozen).expect("the same revision");
    assert_eq!(fixture.text(&again).replace("=\r\n", ""), text);
    // A value of a field that was declared anew is shown as it is, and escaped.
    copy.fields
        .insert("renewal".into(), "<next>\r\nBcc: a".into());
    let text = fixture.text(&copy).replace("=\r\n", "");
    assert_eq!(values(&text, "Subject"), ["Until <next> Bcc: a"]);
    assert!(text.contains("<b>&lt;next&gt; Bcc: a</b>"), "{text}");
    copy.fields.clear();
    assert_eq!(values(&fixture.text(&copy), "Subject"), ["Until soon"]);
}
