//! What is asked about, and what is not.

use super::{Doubt, Look};
use crate::import::columns::Columns;
use crate::import::columns::tests::{fields, read};
use crate::import::csv::Records;
use crate::import::services::Standing;

/// The columns that somebody must say something of.
fn doubts(text: &str, map: &[(&str, &str)]) -> Vec<String> {
    let map: Vec<_> = map
        .iter()
        .map(|(c, f)| ((*c).to_owned(), (*f).to_owned()))
        .collect();
    let mut records = Records::open(text.as_bytes()).expect("a text");
    records.read().expect("a header");
    let columns =
        Columns::read(records.record(), "readers.csv", &fields(), &map).expect("a header");
    let Some(mut look) = Look::at(&columns) else {
        return Vec::new();
    };
    records.expect(columns.shape());
    while let Some(record) = records.read().expect("a record") {
        look.look(record);
    }
    look.found()
        .map(|Doubt { column, cell, line }| format!("{column}: {cell} ({line})"))
        .collect()
}

#[test]
fn a_column_that_nobody_reads_and_that_says_who_left_is_asked_about() {
    for header in [
        "State",
        "Consent",
        "Subscription",
        "Subscription state",
        "Mailing status",
        "Newsletter",
        "unsubscribed_on",
        "Colour",
    ] {
        let text = format!("email,{header}\na@x.example,subscribed\nb@x.example,Unsubscribed\n");
        assert_eq!(doubts(&text, &[]), [format!("{header}: Unsubscribed (3)")]);
        for said in ["standing", "-"] {
            assert_eq!(doubts(&text, &[(header, said)]), [""; 0], "{header} {said}");
        }
        let (_, rows) = read(&text, &[(header, "standing")]).expect("a header");
        let standings: Vec<_> = rows
            .iter()
            .map(|row| row.as_ref().map(|row| row.standing))
            .collect();
        // Under a name that speaks of leaving, a word for staying is the word it is.
        assert_eq!(
            standings,
            [Ok(Standing::Joined), Ok(Standing::Left)],
            "{header}"
        );
        let (_, rows) = read(&text, &[(header, "-")]).expect("a header");
        assert_eq!(rows[1].as_ref().expect("a row").standing, Standing::Joined);
    }
    for (header, cell, asked) in [
        // The name speaks of leaving, and the cell is filled.
        ("unsubscribed_on", "2024-01-02", true),
        ("Email Opted Out?", "1", true),
        ("Opted Out of Email", "1", true),
        ("hard_bounce", "true", true),
        ("hard_bounce", "0", false),
        ("unsubscribe_page", "https://x.example/u/17", false),
        // The name speaks of consent, and the cell says no.
        ("Newsletter", "no", true),
        ("Consent given", "0", true),
        ("Newsletter", "yes", false),
        ("Vegetarian", "no", false),
        // Words that mean it in any column, and words that may mean anything where no status is read.
        ("Last event", "[UNSUBSCRIBED]", true),
        ("Zustand", "abgemeldet", true),
        ("Phase", "Inactive", true),
        (
            "Notes",
            "She bounced off the first issue of 2024 and came back",
            false,
        ),
        ("Colour", "red", false),
    ] {
        let found = doubts(&format!("email,{header}\na@x.example,{cell}\n"), &[]);
        assert_eq!(!found.is_empty(), asked, "{header}: {cell}");
    }
    for (text, asked) in [
        // Who is gone anyway, and who is no reader, raises no doubt.
        (
            "email,status,reason\na@x.example,unsubscribed,Unsubscribed by hand\n",
            false,
        ),
        (
            "email,status,reason\na@x.example,active,Unsubscribed by hand\n",
            true,
        ),
        ("email,reason\nTotal,Unsubscribed\n", false),
        // Beside a status, words that may mean anything mean nothing.
        ("email,status,order\na@x.example,active,cancelled\n", false),
        // A field of the author's takes a column by its name alone, and may not hide what it says.
        ("email,first_name\na@x.example,unsubscribed\n", true),
        ("email,first_name\na@x.example,Left\n", false),
    ] {
        assert_eq!(!doubts(text, &[]).is_empty(), asked, "{text}");
    }
    assert_eq!(
        doubts(
            "email,first_name\na@x.example,unsubscribed\n",
            &[("first_name", "first_name")]
        ),
        [""; 0]
    );
}
