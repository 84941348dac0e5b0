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
        .map(
            |Doubt {
                 column, cell, line, ..
             }| format!("{column}: {cell} ({line})"),
        )
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
        ("Newsletter", "nein", true),
        ("Abo", "non", true),
        ("Abo", "ja", false),
        ("Abo", "gekündigt", true),
        ("Einwilligung", "nej", true),
        ("Kündigung", "2024-01-01", true),
        // Words that mean something else elsewhere, where no other column tells how readers stand.
        ("Removed", "2024-01-01", true),
        ("Cancelled at", "2024-02-02", true),
        ("Left on", "03/04/2024", true),
        ("Reason for leaving", "too many mails", true),
        ("Deleted", "no", false),
        ("Issues left", "12", false),
        // Of another channel, of what somebody pays, and of what is counted.
        ("SMS", "unsubscribed", false),
        ("Accepts SMS Marketing", "no", false),
        ("smsOptIn", "false", false),
        ("Email and SMS marketing", "no", true),
        ("subscribed to Premium", "false", false),
        ("Marketing emails opened", "0", false),
        ("subscription_count", "0", false),
        ("contact status", "unsubscribed by hand", true),
        // A word is no number, and a name that speaks of a newsletter speaks of mail, whatever else it speaks of.
        ("Consent received", "no", true),
        ("Consent received", "0", true),
        ("Opt-in received", "no", true),
        ("Newsletter sent", "never", true),
        ("Newsletters received", "0", false),
        ("Phone / newsletter status", "unsubscribed", true),
        ("Mobile app newsletter", "no", true),
        ("Premium newsletter", "unsubscribed", true),
        ("Phone consent", "no", false),
        // Under a name of consent everything is a doubt that is no yes and no time.
        ("Consent", "declined", true),
        ("Consent", "withdrawn", true),
        ("Consent", "No, thanks", true),
        ("Newsletter", "not now", true),
        ("Newsletter", "ei", true),
        ("Newsletter", "\u{2717}", true),
        ("Subscription state", "awaiting", true),
        ("Consent", "Granted", false),
        ("Consent", "2021-05-06 10:00", false),
        ("Consent", "-", false),
        ("Opt-in", "double opt-in", false),
        ("Newsletter", "\u{2713}", false),
        ("Newsletter", "weekly", false),
        ("Consent source", "website", false),
        ("Consent source", "no", true),
        ("subscription_tier", "free", false),
        ("Consent page", "https://x.example/join", false),
        // A no has its day as a yes has, and may be a sentence.
        ("Consent", "declined 2021-03-04", true),
        ("Einwilligung", "widerrufen am 3.4.2021", true),
        ("Newsletter", "No since 2019", true),
        ("Consent to product news", "declined", true),
        (
            "Would you like our newsletter?",
            "\"No, I would rather not receive any of your mails\"",
            true,
        ),
        ("Consent", "\"4. März 2021, 10:30 Uhr\"", false),
        ("Consent", "Yes 2021-03-04T10:00:00Z", false),
        ("Consent", "opted in on Mon 3 May 2021 10:00 CEST", false),
        // What services write that says nothing of it.
        ("Mailing State/Province", "Kent", false),
        ("Mailing Lists", "Newsletter", false),
        ("Subscription price", "5", false),
        ("subscriber_id", "3", false),
        ("Newsletter opens", "0", false),
        ("Subscription", "free", false),
        ("Newsletter", "\"Yes, please\"", false),
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
        (
            "email,status,Cancelled\na@x.example,active,2024-01-01\n",
            false,
        ),
        // A nought is a no, unless the column counts something.
        ("email,Marketing\na@x.example,0\nb@x.example,1\n", true),
        (
            "email,Marketing\na@x.example,0\nb@x.example,17\nc@x.example,0\n",
            false,
        ),
        ("email,Marketing\na@x.example,17\nb@x.example,0\n", false),
        // Small numbers may be words: 1 is a yes, and who knows what 0 and 2 are.
        (
            "email,newsletter\na@x.example,0\nb@x.example,1\nc@x.example,2\n",
            true,
        ),
        (
            "email,subscription_state\na@x.example,1\nb@x.example,2\n",
            true,
        ),
        ("email,newsletter\na@x.example,1\nb@x.example,1\n", false),
        ("email,newsletter\na@x.example,0\nb@x.example,9\n", true),
        // Nobody agrees two thousand times: that is a year.
        ("email,Consent\na@x.example,0\nb@x.example,2019\n", true),
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
