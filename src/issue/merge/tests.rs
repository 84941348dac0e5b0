//! What a slot may hold, and what is said about one that holds something else.

use super::Slots;
use crate::compile::notation::Notation;
use crate::compile::press::Mail;
use crate::compile::{Context, Slot};
use crate::config::typography::Typography;
use crate::diagnostic::Source;
use crate::issue::block::{Inline, Merge, Piece};
use crate::issue::front::Front;
use crate::issue::given::{Given, Titles};
use crate::segment::named::Segments;
use crate::subscriber::field::{FieldKind, FieldTable};

fn fields() -> FieldTable {
    super::fields(Source {
        file: "fields.toml",
        text: "[fields.first_name]\ntype = \"text\"\n[fields.age]\ntype = \"number\"\n\
               [fields.born]\ntype = \"date\"\n\
               [fields.member]\ntype = \"bool\"\nrequired = true\n",
    })
    .expect("fields")
}

fn with<T>(
    text: &str,
    mail: Mail,
    act: impl FnOnce(&Slots<'_>, &mut Vec<crate::diagnostic::Diagnostic>) -> T,
) -> (T, Vec<String>) {
    let fields = fields();
    let given = Given {
        fields: &fields,
        mail,
        publication: "P & Q",
        url: "https://p.example",
        list: "weekly",
        chosen: None,
        titles: &Titles::default(),
        subject: None,
        language: "en",
        typography: Typography::Plain,
        segments: &Segments::default(),
        zone: "UTC",
    };
    let front = Front {
        title: "A title".into(),
        share: Some("https://share.example/?a=[[name|x]]".into()),
        ..Front::default()
    };
    let slots = Slots::new(Source { file: "a.md", text }, "one", &front, given);
    let mut found = Vec::new();
    let result = act(&slots, &mut found);
    (result, found.iter().map(ToString::to_string).collect())
}

fn read(text: &str) -> (Vec<Inline>, Vec<String>) {
    with(text, Mail::Issue, |slots, found| {
        slots.inlines(text, 0, found)
    })
}

#[test]
fn a_slot_stands_between_texts_with_its_default() {
    let (inlines, found) = read("Hi [[first_name|there, you]]!");
    assert_eq!(
        inlines,
        [
            Inline::Text("Hi ".into()),
            Inline::Merge(Merge::Field {
                name: "first_name".into(),
                default: "there, you".into(),
                notation: None,
            }),
            Inline::Text("!".into()),
        ]
    );
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(
        read("[[view_url]]").0,
        [Inline::Merge(Merge::Page(Slot::View))]
    );
}

#[test]
fn links_escapes_and_references_are_no_slots() {
    for text in [
        "[[1]](https://a.example)",
        "[[1]][a]",
        "\\[[name]]",
        "see [[12]]",
        "[[open",
        "a [[ b\n]]",
    ] {
        let (inlines, found) = read(text);
        assert_eq!(inlines, [Inline::Text(text.into())], "{found:?}");
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn brackets_that_nothing_closes_are_passed_over_with_their_line() {
    let (inlines, found) = read(&format!("{}]\n[[first_name|x]]]", "[".repeat(200_000)));
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(inlines.len(), 3);
    assert!(matches!(inlines[1], Inline::Merge(_)), "{:?}", inlines[1]);
}

#[test]
fn an_unknown_field_is_told_at_its_place_with_the_nearest_name() {
    let (_, found) = read("a\nHi [[frist_name|x]]");
    assert_eq!(
        found,
        [
            "a.md:2:4: error[unknown-field]: no field is called `frist_name`\n    help: did you mean `first_name`?"
        ]
    );
    let (_, found) = read("[[First Name]]");
    assert!(found[0].contains("error[slot]"), "{found:?}");
}

#[test]
fn a_field_that_may_be_empty_needs_a_default() {
    let (_, found) = read("[[name]] [[email]] [[member]] [[name|]] [[age]]");
    assert_eq!(
        found,
        [
            "a.md:1:1: error[no-default]: `[[name]]` has no default, and the field may be empty\n    \
             help: write `[[name|...]]`",
            "a.md:1:41: error[no-default]: `[[age]]` has no default, and the field may be empty\n    \
             help: write `[[age|...]]`, or declare the field with `required = true` in `fields.toml`",
        ]
    );
}

#[test]
fn what_every_copy_shares_is_text_at_once() {
    let (inlines, found) = read("[[issue.title]] for [[list.name]], [[issue.teaser|no teaser]]");
    assert_eq!(
        inlines,
        [Inline::Text("A title for weekly, no teaser".into())]
    );
    assert!(found.is_empty(), "{found:?}");
    let text = "https://a.example/?t=[[issue.title]]&p=[[publication.name]]";
    let (pieces, _) = with(text, Mail::Issue, |slots, found| {
        slots.pieces(text, 0, found)
    });
    let expected = "https://a.example/?t=A%20title&p=P%20%26%20Q";
    assert_eq!(pieces, [Piece::Literal(expected.into())]);
    for (text, expected) in [
        (
            "[[issue.dates]]",
            "is empty: the front matter gives no `dates`",
        ),
        ("[[issue.titel]]", "did you mean `issue.title`?"),
        ("[[list.titel]]", "did you mean `list.title`?"),
        ("[[list.readers]]", "there are `list.name`, `list.title`"),
        ("[[list]]", "there are `list.name`, `list.title`"),
        (
            "[[readers.list]]",
            "begins with `issue.`, `list.` or `publication.`",
        ),
        ("[[share_url]]", "link to it: `[words](share_url)`"),
        ("[[issue.]]", "names no field"),
    ] {
        let (_, found) = read(text);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_page_and_a_field_stand_only_in_mails_that_have_them() {
    for (text, mail, expected) in [
        (
            "[[confirm_url]]",
            Mail::Issue,
            "exists in the confirm mail only",
        ),
        ("[[view_url]]", Mail::Welcome, "exists for issues only"),
        ("[[list.title]]", Mail::Welcome, "exists for issues only"),
        ("[[list.name]]", Mail::Confirm, "exists for issues only"),
        ("[[name|x]]", Mail::Confirm, "nobody has confirmed"),
        ("[[unsubscribe_url]]", Mail::Confirm, "has no such page"),
    ] {
        let (_, found) = with(text, mail, |slots, found| slots.inlines(text, 0, found));
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{text}: {found:?}"
        );
    }
    let text = "x [[view_url]]";
    let (_, found) = with(text, Mail::Issue, |slots, found| {
        slots.header(text, 0, "teaser", found)
    });
    assert_eq!(
        found,
        ["a.md:1:3: error[slot]: a teaser cannot hold an address"]
    );
}

#[test]
fn a_date_and_a_number_are_written_in_the_language_of_the_issue() {
    let notation = |text: &str| match read(text).0.as_slice() {
        [Inline::Merge(merge)] => match merge.slot(Context::Html) {
            Slot::Field { notation, .. } => notation,
            _ => None,
        },
        _ => None,
    };
    assert_eq!(notation("[[age|?]]"), Some(Notation::Number("en".into())));
    assert_eq!(notation("[[born|?]]"), Some(Notation::Date("en".into())));
    assert_eq!(notation("[[first_name|?]]"), None);
    assert_eq!(notation("[[email]]"), None);
    let (pieces, _) = with(
        "https://a.example/?b=[[born|x]]",
        Mail::Issue,
        |slots, found| slots.pieces("https://a.example/?b=[[born|x]]", 0, found),
    );
    let Some(Piece::Merge(merge)) = pieces.last() else {
        panic!("{pieces:?}");
    };
    assert!(
        matches!(merge.slot(Context::Url), Slot::Field { notation: None, .. }),
        "a machine reads an address"
    );
}

#[test]
fn the_list_of_a_slot_is_the_one_that_is_sent_to() {
    let fields = fields();
    let front = Front {
        list: Some("letters".into()),
        ..Front::default()
    };
    let titles: Titles = [("letters".into(), "Letters & more".into())]
        .into_iter()
        .collect();
    let named = |front: &Front, chosen| {
        let given = Given {
            fields: &fields,
            mail: Mail::Issue,
            publication: "P",
            url: "https://p.example",
            list: "weekly",
            chosen,
            titles: &titles,
            subject: None,
            language: "en",
            typography: Typography::Plain,
            segments: &Segments::default(),
            zone: "UTC",
        };
        let text = "[[list.name]]: [[list.title]]";
        let slots = Slots::new(Source { file: "a.md", text }, "one", front, given);
        slots.inlines(text, 0, &mut Vec::new())
    };
    for (front, chosen, expected) in [
        (&Front::default(), None, "weekly: P"),
        (&front, None, "letters: Letters & more"),
        (&front, Some("beta"), "beta: beta"),
        (
            &Front::default(),
            Some("letters"),
            "letters: Letters & more",
        ),
    ] {
        assert_eq!(named(front, chosen), [Inline::Text(expected.into())]);
    }
}

#[test]
fn fields_are_typed_and_misspelt_declarations_are_errors() {
    assert_eq!(fields().kind("age"), Some(FieldKind::Number));
    for (text, expected) in [
        (
            "[fields.a]\ntype = \"colour\"\n",
            "fields.toml:2:8: error[fields]",
        ),
        (
            "[fields.a]\nkind = \"text\"\n",
            "fields.toml:2:1: error[fields]",
        ),
        ("[fields.Ab]\ntype = \"text\"\n", "`Ab` cannot name a field"),
        ("[fields.email]\ntype = \"text\"\n", "`email` is built in"),
    ] {
        let file = "fields.toml";
        let error = super::fields(Source { file, text }).expect_err("an error");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_slot_that_does_not_end_on_its_line_is_told() {
    for broken in [
        "a [[first_name|\nyou]] b",
        "a [[email\nb",
        "[[ unsubscribe_url \n]]",
        "[[frist_name|x\ny]]",
        "a [[first_name|there], b",
        "a [[first_name|there] ] b",
        "a [[first_name",
    ] {
        let (_, found) = read(broken);
        assert_eq!(found.len(), 1, "{broken}: {found:?}");
        assert!(
            found[0].contains("this slot does not end on its line"),
            "{found:?}"
        );
    }
    for text in [
        "if [[ -f x\ny ]]",
        "a [[x|y\n\nz]]",
        "\\[[email\nb",
        "[[no\nb]]",
    ] {
        assert_eq!(read(text).1, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn markup_in_a_default_is_told_with_its_place() {
    for (default, mark) in [
        ("<b>you</b>", "<b>"),
        ("a <br/> b", "<br/>"),
        ("Bj&ouml;rn", "&ouml;"),
        ("R&#38;D", "&#38;"),
        ("**you**", "**"),
        ("`you`", "`"),
    ] {
        let expected = format!(
            "a.md:1:4: warning[slot-markup]: `{mark}` in this default is shown as it stands\n    help: a \
             default is plain words: put looks around the slot, and write letters as they are"
        );
        let (inlines, found) = read(&format!("Hi [[first_name|{default}]]"));
        assert_eq!(found, [expected]);
        assert!(
            matches!(&inlines[1], Inline::Merge(Merge::Field { default: kept, .. }) if kept == default)
        );
    }
    for plain in [
        "you & me",
        "a < b > c",
        "<3",
        "2 * 3 * 4",
        "R&D; and more",
        "x_y_z",
    ] {
        assert_eq!(
            read(&format!("[[first_name|{plain}]]")).1,
            Vec::<String>::new(),
            "{plain}"
        );
    }
}
