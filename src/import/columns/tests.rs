//! Headers and rows as people and services write them.

use super::{Columns, Row};
use crate::clock::Timestamp;
use crate::import::csv::Records;
use crate::import::services::Standing;
use crate::import::when::Here;
use crate::subscriber::field::FieldTable;
use crate::subscriber::tag::Tag;

const NOW: Timestamp = Timestamp(1_785_484_800_000);

pub(super) fn fields() -> FieldTable {
    let text = "[fields.first_name]\ntype = \"text\"\n[fields.issues]\ntype = \"number\"\n";
    FieldTable::parse(text).expect("two declarations")
}

fn here() -> Here {
    Here {
        now: NOW,
        zone: jiff::tz::TimeZone::UTC,
    }
}

/// The columns of the header, and what each row says.
pub(super) fn read(
    text: &str,
    map: &[(&str, &str)],
) -> anyhow::Result<(Columns, Vec<Result<Row, String>>)> {
    let map: Vec<_> = map
        .iter()
        .map(|(c, f)| ((*c).to_owned(), (*f).to_owned()))
        .collect();
    let mut records = Records::open(text.as_bytes())?;
    records.read()?;
    let columns = Columns::read(records.record(), "readers.csv", &fields(), &map)?;
    let mut rows = Vec::new();
    while let Some(record) = records.read()? {
        rows.push(columns.row(record, &fields(), &here()));
    }
    Ok((columns, rows))
}

fn header_error(text: &str, map: &[(&str, &str)]) -> String {
    format!(
        "{:#}",
        read(text, map).expect_err("a header that is refused")
    )
}

#[test]
fn headers_are_known_in_the_spellings_people_use() {
    for header in ["email", "E-Mail", "Email Address", "EMAIL_ADDRESS", "mail"] {
        let (columns, rows) =
            read(&format!("{header},Full Name\na@x.example, Ada \n"), &[]).expect(header);
        assert!(columns.ignored.is_empty());
        assert_eq!(rows[0].as_ref().expect("a row").name, "Ada");
    }
    let (columns, rows) = read(
        "First Name,Surname,E-mail,Issues,Colour\nAda,Lovelace,a@x.example,7,red\n",
        &[],
    )
    .expect("a header");
    assert_eq!(columns.ignored, ["Colour"]);
    let row = rows[0].as_ref().expect("a row");
    assert_eq!(row.name, "Ada Lovelace");
    assert_eq!(row.fields.to_json(), r#"{"first_name":"Ada","issues":7}"#);
}

#[test]
fn a_map_says_what_a_header_does_not() {
    let text = "Kontakt,email,Vorname\na@x.example,old@x.example,Ada\n";
    let map = [("Kontakt", "email"), ("Vorname", "first_name")];
    let (columns, rows) = read(text, &map).expect("a header");
    assert_eq!(columns.ignored, ["email"]);
    let row = rows[0].as_ref().expect("a row");
    assert_eq!(row.address.as_str(), "a@x.example");
    assert_eq!(row.fields.text("first_name").as_deref(), Some("Ada"));
}

#[test]
fn a_header_that_leaves_a_doubt_is_refused() {
    for (text, map, expected) in [
        (
            "a@x.example\n",
            &[][..],
            "a header line such as `email,name` is missing",
        ),
        (
            "Adresse,Ort\n",
            &[],
            "no column holds the address; there are `Adresse`, `Ort`",
        ),
        (
            "email,E-Mail\n",
            &[],
            "several columns hold `email`: `email`, `E-Mail`",
        ),
        (
            "email\n",
            &[("mail", "email")],
            "no column is named `mail`; there are `email`",
        ),
        (
            "email\n",
            &[("email", "town")],
            "`town` is no field; there are `email`, `name`, `standing`, `-`",
        ),
    ] {
        let said = header_error(text, map);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_bad_row_gives_a_reason_that_names_no_address() {
    let text =
        "email,issues\nnobody\na@x.example,many\nb@x.example,1,2\nc@x.example\nd@x.example,1,,\n";
    let (_, rows) = read(text, &[]).expect("a header");
    let reasons: Vec<_> = rows
        .iter()
        .map(|row| row.as_ref().err().map(String::as_str))
        .collect();
    assert_eq!(
        reasons,
        [
            Some("an address needs one `@` between the mailbox and the domain"),
            None,
            Some("the row has 3 cells and the header 2"),
            None,
            None,
        ]
    );
}

#[test]
fn a_row_that_says_she_left_counts_though_the_rest_of_it_cannot_be_read() {
    let text = "email,status,issues\na@x.example,unsubscribed,n/a\nb@x.example,complained,many\n\
                c@x.example,unsubscribed,6,extra\nd@x.example,paused,6,extra\nnobody,unsubscribed,6\n";
    let (_, rows) = read(text, &[]).expect("a header");
    let standings: Vec<_> = rows
        .iter()
        .map(|row| row.as_ref().ok().map(|row| row.standing))
        .collect();
    assert_eq!(
        standings,
        [
            Some(Standing::Left),
            Some(Standing::Complained),
            Some(Standing::Left),
            None,
            None
        ]
    );
}

#[test]
fn a_column_that_speaks_of_leaving_in_no_known_word_is_a_doubt() {
    for (text, expected) in [
        (
            "email,unsubscribed_at\na@x.example,perhaps\n",
            "`unsubscribed_at` is `perhaps`, and nobody knows whether such a reader wants mail",
        ),
        (
            "email,subscribed\na@x.example,\n",
            "`subscribed` is empty, and nobody knows whether such a reader wants mail",
        ),
    ] {
        assert_eq!(one(text).expect_err("a doubt"), expected);
    }
}

#[test]
fn of_two_columns_of_one_name_the_first_is_taken_once_that_name_is_said() {
    let text = "email,name,email\na@x.example,Ada,old@x.example\n";
    let said = header_error(text, &[]);
    assert!(said.contains("(of one name, the first counts)"), "{said}");
    let (_, rows) = read(text, &[("email", "email")]).expect("a header");
    let row = rows[0].as_ref().expect("a row");
    assert_eq!(row.address.as_str(), "a@x.example");
}

/// The only row below the header.
fn one(text: &str) -> Result<Row, String> {
    let (_, mut rows) = read(text, &[]).expect("a header");
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

#[test]
fn a_row_says_how_its_reader_stands_there() {
    for (text, standing) in [
        (
            "email,active_subscription,expiry,email_disabled,created_at\na@x.example,false,,true,\n",
            Standing::Left,
        ),
        (
            "email,active_subscription,expiry,email_disabled,created_at\na@x.example,false,,false,\n",
            Standing::Joined,
        ),
        (
            "Email Address,MEMBER_RATING,CLEAN_TIME\na@x.example,1,2024-01-01 00:00:00\n",
            Standing::Bounced,
        ),
        (
            "first_name,email_address,state\nA,a@x.example,inactive\n",
            Standing::Pending,
        ),
        (
            "uuid,email,name,attributes,status\n1,a@x.example,A,{},blocklisted\n",
            Standing::Blocked,
        ),
        ("email,status\na@x.example,Unsubscribed\n", Standing::Left),
        (
            "Email Address,First Name,Email Marketing,SMS Marketing\na@x.example,A,Unsubscribed,\n",
            Standing::Left,
        ),
        (
            "Email Address,First Name,Email Marketing,SMS Marketing\na@x.example,A,Cleaned,\n",
            Standing::Bounced,
        ),
        (
            "Email Address,First Name,Email Marketing,SMS Marketing\na@x.example,A,Non-subscribed,\n",
            Standing::Pending,
        ),
        (
            "Email,Email Marketing Consent,Email Suppressions\na@x.example,UNSUBSCRIBED,[UNSUBSCRIBE]\n",
            Standing::Left,
        ),
        (
            "Email,Email Marketing Consent,Email Suppressions\na@x.example,NEVER_SUBSCRIBED,[]\n",
            Standing::Pending,
        ),
        (
            "Email,Email Marketing Consent,Email Suppressions\na@x.example,SUBSCRIBED,\n",
            Standing::Joined,
        ),
        // Two columns speak of it, and one means the customer.
        (
            "email,status,subscription status\na@x.example,active,unsubscribed\n",
            Standing::Left,
        ),
        (
            "user_name,user_email_address,subscription_created_at,unsubscribed_at\nA,a@x.example,2025-01-01,2025-05-01\n",
            Standing::Left,
        ),
        ("email,status\na@x.example,abgemeldet\n", Standing::Left),
        // These speak of mail in some of their words only.
        (
            "email,status,member status\na@x.example,active,Gold\n",
            Standing::Joined,
        ),
        (
            "email,contact status\na@x.example,Customer\n",
            Standing::Joined,
        ),
        (
            "email,contact status\na@x.example,Unsubscribed\n",
            Standing::Left,
        ),
        ("email,subscribed\na@x.example,nein\n", Standing::Left),
        ("email,unsubscribed\na@x.example,nein\n", Standing::Joined),
        (
            "first_name,email_address,state\nA,a@x.example,Cold Subscriber\n",
            Standing::Joined,
        ),
        ("email,status\na@x.example,\n", Standing::Joined),
        // A word that this service does not write is taken as in any table.
        (
            "first_name,email,status,created_at,tags\nA,a@x.example,subscribed,2024-01-01,\n",
            Standing::Joined,
        ),
        // The gravest word counts, and a doubt is none beside it.
        (
            "email,status,bounced\na@x.example,unsubscribed,yes\n",
            Standing::Bounced,
        ),
        (
            "email,status,unsubscribed_at\na@x.example,gold,2024-01-01\n",
            Standing::Left,
        ),
        (
            "email,unsubscribed_at\na@x.example,0000-00-00 00:00:00\n",
            Standing::Joined,
        ),
        (
            "email_address,creation_date,type,unsubscription_date\na@x.example,2024-01-01,regular,None\n",
            Standing::Joined,
        ),
        (
            "email,subscribed,opted_out,bounced\na@x.example,false,,0\n",
            Standing::Left,
        ),
        (
            "email,subscribed,opted_out,bounced\na@x.example,true,yes,0\n",
            Standing::Left,
        ),
        (
            "email,subscribed,opted_out,bounced\na@x.example,true,no,1\n",
            Standing::Bounced,
        ),
        (
            "email,subscribed,opted_out,bounced\na@x.example,true,no,\n",
            Standing::Joined,
        ),
        (
            "first_name,email_address,state,Unsubscribed\nA,a@x.example,active,2024-01-01\n",
            Standing::Left,
        ),
        (
            "line,reason,standing,Email Address,MEMBER_RATING,LEID,EUID\n3,x,pending,a@x.example,2,3,c\n",
            Standing::Pending,
        ),
    ] {
        assert_eq!(one(text).expect(text).standing, standing, "{text}");
    }
    let odd = one("email,status\na@x.example,\"gold\u{1b}[2J member\"\n").expect_err("a doubt");
    assert_eq!(
        odd,
        "`status` is `gold [2J member`, and nobody knows whether such a reader wants mail"
    );
}

#[test]
fn times_tags_and_further_fields_are_read_from_where_a_service_puts_them() {
    let text = "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME,UNSUB_TIME,TAGS\n\
                a@x.example,Ada,Lovelace,2,2020-02-03 04:05:06,,2021-01-01 00:00:00,\
                \"\"\"VIP\"\",\"\"Blog\"\",\"\"VIP\"\"\"\n";
    let row = one(text).expect("a row");
    assert_eq!(row.name, "Ada Lovelace");
    assert_eq!(row.joined, Some(Timestamp(1_580_702_706_000)));
    assert_eq!(row.left, Some(Timestamp(1_609_459_200_000)));
    let tags: Vec<&str> = row.tags.iter().map(Tag::as_str).collect();
    assert_eq!(tags, ["vip", "blog"]);
    let text = "uuid,email,name,attributes,status,created_at\n\
                1,a@x.example,A,\"{\"\"Issues\"\": 7, \"\"first_name\"\": \"\"Ada\"\", \"\"x\"\": []}\",enabled,\
                2024-01-05 12:11:12.5 +0000 UTC\n";
    let row = one(text).expect("a row");
    assert_eq!(row.fields.to_json(), r#"{"first_name":"Ada","issues":7}"#);
    assert_eq!(row.joined, Some(Timestamp(1_704_456_672_500)));
    let broken = text.replace("\"\"x\"\": []}", "");
    assert_eq!(
        one(&broken).expect_err("no object"),
        "`attributes` holds no JSON object"
    );
}

#[test]
fn a_list_of_tags_with_quotes_around_them_may_hold_commas() {
    for (cell, expected) in [
        (
            "\"\"\"VIP\"\",\"\"Blog, weekly\"\"\"",
            &["vip", "blog-weekly"][..],
        ),
        ("\"5\"\" disk, Blog\"", &["5-disk", "blog"]),
    ] {
        let row = one(&format!(
            "Email Address,LEID,EUID,TAGS\na@x.example,1,2,{cell}\n"
        ));
        let row = row.expect("a row");
        let tags: Vec<&str> = row.tags.iter().map(Tag::as_str).collect();
        assert_eq!(tags, expected);
    }
}

#[test]
fn a_cell_that_is_no_value_of_its_field_keeps_nobody_out() {
    let table = "[fields.born]\ntype = \"date\"\n[fields.issues]\ntype = \"number\"\n\
                 [fields.member]\ntype = \"bool\"\nrequired = true\n";
    let table = FieldTable::parse(table).expect("three declarations");
    let text = "email,born,issues,member\n\
                a@x.example,1990-02-03T00:00:00Z,NULL,no\n\
                b@x.example,0000-00-00,n/a,1\n\
                c@x.example,0000-00-00 00:00:00,99999999999999999999,1\n\
                d@x.example,03.02.1990,0,1\n\
                e@x.example,,,gold\n";
    let mut records = Records::open(text.as_bytes()).expect("a text");
    records.read().expect("a header");
    let columns = Columns::read(records.record(), "readers.csv", &table, &[]).expect("a header");
    let mut rows = Vec::new();
    while let Some(record) = records.read().expect("a record") {
        let row = columns.row(record, &table, &here());
        rows.push(row.map(|row| (row.fields.to_json(), row.unfit.join(";"))));
    }
    let ok = |fields: &str, unfit: &str| Ok((fields.to_owned(), unfit.to_owned()));
    assert_eq!(
        rows,
        [
            ok(r#"{"born":"1990-02-03","member":false}"#, ""),
            ok(r#"{"member":true}"#, ""),
            ok(
                r#"{"member":true}"#,
                "`issues` takes a number such as `3` or `3.5`"
            ),
            ok(
                r#"{"issues":0,"member":true}"#,
                "`born` takes a date such as `2026-07-31`"
            ),
            Err("`member` takes `true` or `false`".to_owned()),
        ]
    );
}

#[test]
fn an_address_is_read_out_of_what_a_mail_program_writes_around_it() {
    for text in [
        "\"Ada B <a@x.example>\"",
        "mailto:a@x.example",
        "Mailto:a@x.example",
        "<a@x.example>",
    ] {
        let row = one(&format!("email\n{text}\n")).expect(text);
        assert_eq!(row.address.as_str(), "a@x.example");
    }
}

#[test]
fn what_two_services_may_mean_is_the_graver_of_both() {
    let beehiiv = "email,First Name,Last Name,status,tier,created_at,unsubscribed_at,tags\n";
    for (status, standing) in [
        ("active", Standing::Joined),
        ("inactive", Standing::Left),
        ("validating", Standing::Pending),
    ] {
        let row = one(&format!(
            "{beehiiv}a@x.example,A,,{status},free,2023-03-24,,x\n"
        ));
        assert_eq!(row.expect(status).standing, standing);
        let row = one(&format!(
            "first_name,email,status,created_at,tags,utm_source\nA,a@x.example,{status},2023-03-24,x,y\n"
        ));
        assert_eq!(row.expect(status).standing, standing);
    }
    // Kit's own word stays its own where nobody else writes such a header.
    let kit = one("first_name,email_address,state\nA,a@x.example,inactive\n");
    assert_eq!(kit.expect("a row").standing, Standing::Pending);
}

#[test]
fn ghost_says_of_each_member_whether_mail_is_wanted_and_keeps_fields_under_a_prefix() {
    let header = "email,name,subscribed_to_emails,created_at,custom_fields.first_name\n";
    let row = |cell: &str| one(&format!("{header}a@x.example,A,{cell},2024-05-01,Ada\n"));
    let joined = row("TRUE").expect("a row");
    assert_eq!(joined.standing, Standing::Joined);
    assert_eq!(joined.fields.to_json(), r#"{"first_name":"Ada"}"#);
    assert_eq!(row("false").expect("a row").standing, Standing::Left);
    assert!(row("").is_err(), "an open question");
}
