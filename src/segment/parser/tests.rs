//! What an expression means, and what is said of one that means nothing.

use proptest::prelude::{any, prop, proptest};
use proptest::strategy::Strategy;
use serde_json::Number;

use crate::clock::Timestamp;
use crate::segment::named::Segments;
use crate::segment::parser::parse;
use crate::segment::{Filter, Frequency, Given, Of, Order, SegmentError, Sieve, Test};
use crate::subscriber::field::FieldTable;

fn fields() -> FieldTable {
    let text = "[fields.city]\ntype = \"text\"\n[fields.issues]\ntype = \"number\"\n\
                [fields.born]\ntype = \"date\"\n[fields.vip]\ntype = \"bool\"\n";
    FieldTable::parse(text).expect("four declarations")
}

fn named() -> Segments {
    let text = "[segments]\npaid = \"tag:paid\"\nfading = \"inactive:8 and not paid\"\n";
    Segments::parse(text, &fields(), "UTC").expect("two segments")
}

fn read(text: &str) -> Result<Filter, SegmentError> {
    let (fields, named) = (fields(), named());
    let given = Given {
        fields: &fields,
        named: &named,
        zone: "Europe/Berlin",
    };
    parse(text, &given)
}

fn is(test: Test) -> Filter {
    Filter::Is(test)
}

fn tag(name: &str) -> Filter {
    is(Test::Tag(name.into()))
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

#[test]
fn every_test_is_read() {
    let number = |number: i64| Number::from(number);
    for (text, expected) in [
        ("tag:paid", tag("paid")),
        (
            "domain:@MÜNCHEN.de",
            is(Test::Domain("xn--mnchen-3ya.de".into())),
        ),
        ("tag:\"paid\"", tag("paid")),
        ("paid", tag("paid")),
        ("field:city", is(Test::Has("city".into()))),
        ("field:vip", is(Test::Bool("vip".into(), true))),
        ("field:vip = no", is(Test::Bool("vip".into(), false))),
        ("field:vip != yes", not(is(Test::Bool("vip".into(), true)))),
        (
            "field:city = \"New York\"",
            is(Test::Text("city".into(), "New York".into())),
        ),
        (
            "field:city=\"say \\\"x\\\" \\\\\"",
            is(Test::Text("city".into(), "say \"x\" \\".into())),
        ),
        (
            "field:city != Bern",
            not(is(Test::Text("city".into(), "Bern".into()))),
        ),
        (
            "field:issues >= 3",
            is(Test::Number("issues".into(), Order::AtLeast, number(3))),
        ),
        (
            "field:issues<-2",
            is(Test::Number("issues".into(), Order::Less, number(-2))),
        ),
        (
            "field:born <= 1999-12-31",
            is(Test::Date(
                "born".into(),
                Order::AtMost,
                "1999-12-31".into(),
            )),
        ),
        ("joined:30d", is(Test::JoinedWithin(30))),
        ("joined:6w", is(Test::JoinedWithin(42))),
        ("sent:week-3", is(Test::Sent(Of::Issue("week-3".into())))),
        ("opened:last-3", is(Test::Opened(Of::Last(3)))),
        ("clicked:last-100", is(Test::Clicked(Of::Last(100)))),
        ("inactive:8", is(Test::Inactive(8))),
        ("source:import", is(Test::Source("import".into()))),
        (
            "source:\"import:a file.csv\"",
            is(Test::Source("import:a file.csv".into())),
        ),
        ("list:weekly", is(Test::List("weekly".into()))),
        ("domain:@Gmail.com", is(Test::Domain("gmail.com".into()))),
        ("frequency:monthly", is(Test::Frequency(Frequency::Monthly))),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
}

#[test]
fn not_binds_closest_then_and_then_or() {
    let (a, b, c) = (tag("a"), tag("b"), tag("c"));
    for (text, expected) in [
        (
            "tag:a or tag:b and tag:c",
            Filter::Any(vec![a.clone(), Filter::All(vec![b.clone(), c.clone()])]),
        ),
        (
            "(tag:a or tag:b) and not tag:c",
            Filter::All(vec![
                Filter::Any(vec![a.clone(), b.clone()]),
                not(c.clone()),
            ]),
        ),
        (
            "NOT tag:a AND not not tag:b",
            Filter::All(vec![not(a), not(not(b))]),
        ),
        (
            "fading or tag:c",
            Filter::Any(vec![
                Filter::All(vec![is(Test::Inactive(8)), not(tag("paid"))]),
                c,
            ]),
        ),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_day_begins_and_ends_where_the_publication_is() {
    // Midnight in Berlin, in winter an hour before UTC's.
    let (begins, ends) = (Timestamp(1_767_222_000_000), Timestamp(1_767_308_400_000));
    let joined = |from, before| is(Test::Joined { from, before });
    for (sign, expected) in [
        (">", joined(Some(ends), None)),
        (">=", joined(Some(begins), None)),
        ("<", joined(None, Some(begins))),
        ("<=", joined(None, Some(ends))),
        ("=", joined(Some(begins), Some(ends))),
        ("!=", not(joined(Some(begins), Some(ends)))),
    ] {
        let text = format!("joined {sign} 2026-01-01");
        assert_eq!(read(&text), Ok(expected), "{text}");
    }
}

#[test]
fn what_means_nothing_is_told_by_column_with_what_was_expected() {
    let many = vec!["tag:a"; 49].join(" or ");
    let deep = format!("{}tag:a{}", "(".repeat(17), ")".repeat(17));
    let nots = format!("{}tag:a", "not ".repeat(17));
    let long = format!("tag:{}", "a".repeat(2000));
    let mut wrong = Vec::new();
    for (text, expected) in [
        (
            "",
            "column 1: nothing is said; write one such as `tag:paid`",
        ),
        ("tag:a and", "column 10: a test is missing at the end"),
        (
            "tag:a tag:b",
            "column 7: `tag:b` follows without a word that joins; join two tests",
        ),
        (
            "and tag:a",
            "column 1: `and` stands where a test is expected",
        ),
        ("(tag:a", "column 1: this `(` is never closed; add `)`"),
        ("(tag:a tag:b)", "column 8: `)` is missing before `tag:b`"),
        ("tag:a)", "column 6: this `)` closes nothing"),
        (
            "tga:paid",
            "column 1: there is no test `tga:`; did you mean `tag:`?",
        ),
        (
            "colour:red",
            "column 1: there is no test `colour:`; there are `tag:`",
        ),
        ("tag:", "column 1: `tag:` says nothing; write `tag:paid`"),
        ("tag:Paid", "column 5: `Paid` is no tag"),
        ("tag:\"Early Bird\"", "did you mean `tag:early-bird`?"),
        ("TAG:paid", "there is no test `TAG:`; did you mean `tag:`?"),
        ("PAID", "no segment is named `PAID`; did you mean `paid`?"),
        (
            "field:ISSUES > 3",
            "no field is named `ISSUES`; did you mean `issues`?",
        ),
        (
            "domain:\"mün chen.de\"",
            "is no domain; expected one such as `gmail.com`",
        ),
        (
            "payd",
            "column 1: no segment is named `payd`; did you mean `paid`?",
        ),
        (
            "city = \"x\"",
            "column 1: no segment is named `city`; a field is asked for as `field:city`",
        ),
        (
            "opened",
            "column 1: no segment is named `opened`; write `opened:last-3`",
        ),
        ("everybody", "`segments.toml` declares `fading`, `paid`"),
        (
            "field:quarter = x",
            "column 7: no field is named `quarter`; `fields.toml` declares `born`",
        ),
        (
            "field:cty = x",
            "column 7: no field is named `cty`; did you mean `city`?",
        ),
        (
            "field:issues = many",
            "column 16: `many` is no value of `issues`; `issues` takes a number",
        ),
        (
            "field:born > 1.1.2000",
            "column 14: `1.1.2000` is no value of `born`; `born` takes a date",
        ),
        ("field:vip = maybe", "`vip` takes `true` or `false`"),
        (
            "field:vip > true",
            "column 11: `>` does not fit `true` or `false`; `vip` is compared with",
        ),
        ("field:city < x", "column 12: `<` does not fit a text"),
        (
            "field:city = \"\"",
            "`not field:city` asks for readers who have none",
        ),
        ("field:city =", "column 13: the value is missing"),
        ("joined", "column 1: `joined` is compared with nothing"),
        (
            "joined > soon",
            "column 10: `soon` is no day; expected one such as `2026-01-31`",
        ),
        ("joined > 2026-02-30", "column 10: `2026-02-30` is no day"),
        (
            "joined:3",
            "column 8: `3` is no time; expected days or weeks",
        ),
        ("joined:\u{fc}", "is no time"),
        (
            "opened:last-0",
            "column 13: `0` is no number of issues; expected 1 to 100",
        ),
        ("opened:last-+3", "`+3` is no number of issues"),
        (
            "opened:Week",
            "column 8: `Week` names nothing; a short name takes",
        ),
        (
            "inactive:8weeks",
            "column 10: `8weeks` is no number of issues",
        ),
        ("domain:a..b", "column 8: `a..b` is no domain"),
        (
            "domain:x'--",
            "is no domain; expected one such as `gmail.com`",
        ),
        (
            "frequency:weekly",
            "column 11: `weekly` is no frequency; expected `every` or `monthly`",
        ),
        ("tag:\"a", "column 5: this text is never closed"),
        ("field:city = \"a\\b\"", "column 16: `\\` stands before"),
        (
            "!tag:a",
            "column 1: `!` says nothing by itself; write `not`",
        ),
        ("tag:\u{e4} and tag:A", "column 15: `A` is no tag"),
        ("\"a\"", "column 1: `\"a\"` stands where a test is expected"),
        (many.as_str(), "more than 48 tests stand in the expression"),
        (deep.as_str(), "it is nested too deep; at most 16"),
        (nots.as_str(), "it is nested too deep"),
        (long.as_str(), "the expression has 2004 octets"),
    ] {
        let said = read(text).map_or_else(|error| error.to_string(), |_| "nothing".into());
        if !said.contains(expected) {
            wrong.push(format!("{text}: {said}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_a_run_keeps_comes_back() {
    let (fields, named) = (fields(), named());
    let given = Given {
        fields: &fields,
        named: &named,
        zone: "UTC",
    };
    let said = " fading or field:issues > 3.5 or joined <= 2026-01-01 or frequency:every";
    let sieve = Sieve::parse(said, &given).expect("a segment");
    assert_eq!(sieve.said, said.trim());
    assert_eq!(Sieve::from_json(&sieve.to_json()), Some(sieve.clone()));
    let list = [sieve];
    assert_eq!(Sieve::list(&Sieve::list_to_json(&list)), list);
    assert_eq!(Sieve::from_json("{}"), None);
}

/// Pieces of expressions, and what is none.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "tag:",
        "a",
        "and",
        "or",
        "not",
        "(",
        ")",
        " ",
        "\"",
        "field:",
        "city",
        "issues",
        "=",
        "!=",
        "<",
        ">=",
        "joined",
        "2026-01-01",
        "opened:last-",
        "3",
        ":",
        "paid",
        "fading",
        "\\",
        "\u{e4}",
        "';--",
        "inactive:",
        "\u{0}",
        "joined:",
        "d",
        "99999999999999999999",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), pieces in pieces()) {
        for text in [&text, &pieces] {
            if let Err(error) = read(text) {
                assert!(error.at <= text.len(), "{text:?}: {error:?}");
                assert!(text.is_char_boundary(error.at), "{text:?}: {error:?}");
            }
        }
    }
}
