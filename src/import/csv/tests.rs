//! CSV as spreadsheets, other services and hasty hands write it.

use super::{Flaw, RECORD_LIMIT, Records, Shape};

fn read(text: &[u8]) -> Vec<(u64, Vec<String>)> {
    let mut records = Records::open(text).expect("a text file");
    let mut all = Vec::new();
    while let Some(record) = records.read().expect("a whole record") {
        let cells = record
            .cells()
            .map(|c| String::from_utf8_lossy(c).into_owned());
        all.push((record.line, cells.collect()));
    }
    all
}

fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
    (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
}

#[test]
fn the_forms_in_which_spreadsheets_write_are_all_read_with_their_lines() {
    let expected = vec![
        row(1, &["email", "name"]),
        row(2, &["a@x.example", "Ada \"the first\"\nLovelace"]),
        row(4, &["b@x.example", ""]),
        row(7, &["c@x.example", "C"]),
    ];
    let text = "email,name\na@x.example,\"Ada \"\"the first\"\"\nLovelace\"\nb@x.example,\n\n,\n\
                c@x.example,C";
    assert_eq!(read(text.as_bytes()), expected);
    let with_bom = format!("\u{feff}{text}\n");
    assert_eq!(read(with_bom.as_bytes()), expected);
    assert_eq!(read(text.replace(',', ";").as_bytes()), expected);
    assert_eq!(read(text.replace(',', "\t").as_bytes()), expected);
    let crlf = text.replace('\n', "\r\n");
    let mut with_crlf = expected.clone();
    with_crlf[1].1[1] = "Ada \"the first\"\r\nLovelace".to_owned();
    assert_eq!(read(crlf.as_bytes()), with_crlf);
    let said = format!("sep=;\r\n{}", text.replace(',', ";"));
    let lines: Vec<u64> = read(said.as_bytes())
        .iter()
        .map(|(line, _)| *line)
        .collect();
    assert_eq!(lines, [2, 3, 5, 8]);
}

#[test]
fn odd_quotes_lose_no_letters() {
    assert_eq!(
        read(b"h\na\"b\"c\n\"a\"bc\n"),
        [row(1, &["h"]), row(2, &["a\"b\"c"]), row(3, &["abc"])]
    );
    let mut records = Records::open(&b"h\n\"open\nx\n"[..]).expect("a text file");
    records.read().expect("a header");
    let last = records.read().expect("a record").expect("a record");
    assert!(last.flaw == Some(Flaw::Unclosed) && last.line == 2);
    assert_eq!(last.raw, b"\"open\nx\n");
    assert!(records.read().expect("the end").is_none());
}

#[test]
fn a_record_without_end_is_an_error_and_not_the_machines_memory() {
    let endless = vec![b'a'; RECORD_LIMIT + 10];
    let error = |text: Vec<u8>| {
        let mut records = Records::open(&text[..]).expect("a text file");
        records.read().expect("a header");
        format!("{:#}", records.read().err().expect("too long"))
    };
    let line = error([b"email\n".to_vec(), endless.clone()].concat());
    assert_eq!(
        line,
        "line 2 is longer than 1 MiB; this is no CSV file of readers"
    );
    let lines = b"abc\n".repeat(RECORD_LIMIT / 3);
    let quote = error([b"email\n\"".to_vec(), lines].concat());
    assert!(
        quote.contains("line 2") && quote.contains("quote left open"),
        "{quote}"
    );
    let exact = [b"email\n".to_vec(), vec![b'a'; RECORD_LIMIT]].concat();
    assert_eq!(read(&exact).len(), 2);
}

#[test]
fn other_encodings_are_named() {
    for (start, expected) in [
        (&b"\xff\xfee\0m\0"[..], "UTF-16"),
        (b"PK\x03\x04", "workbook"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"e\0m\0", "NUL"),
        (b"email,name\ra@x.example,A\r", "end in CR alone"),
        (b"", "empty"),
    ] {
        let error = Records::open(start).err().expect("no CSV").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Line, flaw and cells of each record behind the header of `text`, a table of addresses and names.
fn flaws(text: &str) -> Vec<(u64, Option<Flaw>, String)> {
    let mut records = Records::open(text.as_bytes()).expect("a text file");
    records.read().expect("a header");
    let width = records.record().width();
    records.expect(Shape { width, email: 0 });
    let mut all = Vec::new();
    while let Some(record) = records.read().expect("a record") {
        let cells = record
            .cells()
            .map(|c| String::from_utf8_lossy(c).into_owned());
        let cells: Vec<String> = cells.collect();
        all.push((record.line, record.flaw, cells.join("|")));
    }
    all
}

#[test]
fn a_quote_left_open_takes_no_other_row_with_it() {
    let row = |line, flaw, cells: &str| (line, flaw, cells.to_owned());
    let whole = |line, cells| row(line, None, cells);
    // The next quote opens a cell of a later row, and the file may end before one comes.
    assert_eq!(
        flaws(
            "email,name\na@x.org,A\nb@x.org,\"Bob\nc@x.org,C\nshort@x.org\nd@x.org,\"D\"\nshort@x.org\n"
        ),
        [
            whole(2, "a@x.org|A"),
            row(3, Some(Flaw::LeftOpen { to: 6 }), "b@x.org|\"Bob"),
            whole(4, "c@x.org|C"),
            row(5, Some(Flaw::Behind), "short@x.org"),
            whole(6, "d@x.org|D"),
            whole(7, "short@x.org"),
        ]
    );
    assert_eq!(
        flaws("email,name,status\nb@x.org,\"Bob,unsubscribed\nc@x.org,C,"),
        [
            row(2, Some(Flaw::Unclosed), "b@x.org|\"Bob|unsubscribed"),
            whole(3, "c@x.org|C|"),
        ]
    );
    // Every cell is quoted, and two quotes are left open.
    assert_eq!(
        flaws(
            "email,name\n\"a@x.org\",\"A\n\"b@x.org\",\"B\"\n\"c@x.org\",\"C\n\"d@x.org\",\"D\"\n"
        ),
        [
            row(2, Some(Flaw::LeftOpen { to: 3 }), "a@x.org|\"A"),
            whole(3, "b@x.org|B"),
            row(4, Some(Flaw::LeftOpen { to: 5 }), "c@x.org|\"C"),
            whole(5, "d@x.org|D"),
        ]
    );
    // Quoted as it should be, it may be a note, and nobody in it becomes a reader.
    let [(2, Some(Flaw::Holds { to: 4 }), _), (5, None, _)] =
        &flaws("email,name\nb@x.org,\"Bob\nc@x.org,C\nd@x.org,D\"\ne@x.org,E\n")[..]
    else {
        panic!("one record of three lines, and a row");
    };
    // Cells of several lines are cells of several lines, also with addresses and odd quotes in them.
    let note = flaws("email,name\na@x.org,\"A\n\nb@x.org\n\"\"b\"\" B\"\n");
    assert_eq!((note.len(), note[0].1), (1, None));
    // A cell that is closed too early moves what follows into the wrong columns.
    let moved = flaws("email,name,status\na@x.org,\"A,unsubscribed,\"2020\"\n");
    assert_eq!(moved[0].1, Some(Flaw::Odd));
}

#[test]
fn a_quote_left_open_before_a_megabyte_of_rows_is_one_row() {
    let rows: String = (0..60_000)
        .map(|n| format!("r{n}@x.example,Reader {n}\n"))
        .collect();
    let text = format!("email,name\na@x.org,\"A\n{rows}b@x.org,B\n");
    assert!(rows.len() > RECORD_LIMIT);
    let found = flaws(&text);
    assert_eq!(found.len(), 60_002);
    assert_eq!(found[0].1, Some(Flaw::Unclosed));
    assert!(found[1..].iter().all(|(_, flaw, _)| flaw.is_none()));
    let lines: Vec<u64> = found.iter().map(|(line, ..)| *line).collect();
    assert!(lines.iter().copied().eq(2..60_004));
    // What opens a quote in each line is no table.
    let text = format!(
        "email,name\n{}",
        "a@x\"y.org,\"z\na@x.org,\"z\n".repeat(2_000)
    );
    let mut records = Records::open(text.as_bytes()).expect("a text file");
    records.read().expect("a header");
    records.expect(Shape { width: 2, email: 0 });
    let why = loop {
        match records.read() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("an end"),
            Err(why) => break why.to_string(),
        }
    };
    assert!(why.contains("more than 1000 quotes"), "{why}");
}
