//! What each column of a file means, and what a row says about a reader.
//!
//! Promises: a row becomes a whole [`Row`] or a reason that names no address. Leaves the question
//! whether the reader is known to the store.

use anyhow::{Context, bail};

use crate::address::EmailAddress;
use crate::import::csv::Record;
use crate::subscriber::clean_name;
use crate::subscriber::field::{BUILT_IN, FieldTable, Fields};

/// Spellings of a header, without case, blanks and punctuation.
const EMAIL: [&str; 8] = [
    "email",
    "emailaddress",
    "mail",
    "mailaddress",
    "subscriberemail",
    "emailadresse",
    "emails",
    "useremail",
];
const NAME: [&str; 4] = ["name", "fullname", "displayname", "subscribername"];
const FIRST: [&str; 4] = ["firstname", "givenname", "forename", "fname"];
const LAST: [&str; 4] = ["lastname", "surname", "familyname", "lname"];

/// Which column holds what.
#[derive(Debug)]
pub struct Columns {
    email: usize,
    name: Option<usize>,
    /// Given and family name, when no column holds the whole name.
    parts: [Option<usize>; 2],
    fields: Vec<(usize, String)>,
    width: usize,
    /// Headers that mean nothing here.
    pub ignored: Vec<String>,
}

/// One reader as a file gives it.
#[derive(Clone, Debug)]
pub struct Row {
    pub address: EmailAddress,
    pub name: String,
    pub fields: Fields,
}

impl Columns {
    /// Reads the header. `map` says what a column means, as `(column, email | name | field)`, where the
    /// header alone does not.
    pub fn read(
        header: &Record,
        table: &FieldTable,
        map: &[(String, String)],
    ) -> anyhow::Result<Columns> {
        let mut names = Vec::new();
        for cell in header.cells() {
            let name = std::str::from_utf8(cell)
                .context("the header is not UTF-8; save the file as UTF-8 (Excel: `CSV UTF-8`)")?;
            names.push(clean_name(name));
        }
        let mut columns = Finder {
            names: &names,
            taken: vec![false; names.len()],
        };
        for (column, target) in map {
            if !BUILT_IN.contains(&target.as_str()) && table.kind(target).is_none() {
                let known: Vec<&str> = BUILT_IN.into_iter().chain(table.names()).collect();
                bail!("`{target}` is no field; there are `{}`", known.join("`, `"));
            }
            if !names.contains(column) {
                bail!(
                    "no column is named `{column}`; there are `{}`",
                    names.join("`, `")
                );
            }
        }
        let email = columns.find("email", map, &EMAIL)?;
        let name = columns.find("name", map, &NAME)?;
        let mut fields = Vec::new();
        for field in table.names() {
            if let Some(column) = columns.find(field, map, &[&folded(field)])? {
                fields.push((column, field.to_owned()));
            }
        }
        let mut part = |names: &[&str]| {
            let mut known =
                (0..columns.names.len()).filter(|&c| names.contains(&columns.folded(c).as_str()));
            let column = known.next();
            if let Some(column) = column {
                columns.taken[column] = true;
            }
            column.filter(|_| name.is_none())
        };
        let parts = [part(&FIRST), part(&LAST)];
        let Some(email) = email else {
            if header.cells().any(|cell| cell.contains(&b'@')) {
                bail!(
                    "the first line holds an address; a header line such as `email,name` is missing"
                );
            }
            bail!(
                "no column holds the address; there are `{}`; say which with `--map COLUMN=email`",
                names.join("`, `")
            );
        };
        let free = columns
            .taken
            .iter()
            .zip(&names)
            .filter(|(taken, _)| !**taken);
        let ignored = free.map(|(_, name)| name.clone()).collect();
        Ok(Columns {
            email,
            name,
            parts,
            fields,
            width: names.len(),
            ignored,
        })
    }

    /// What `record` says, or why it is refused.
    pub fn row(&self, record: &Record, table: &FieldTable) -> Result<Row, String> {
        if record.unclosed {
            return Err("a quote is opened and never closed".to_owned());
        }
        if record.width() > self.width
            && (self.width..record.width()).any(|c| !record.cell(c).is_empty())
        {
            return Err(format!(
                "the row has {} cells and the header {}",
                record.width(),
                self.width
            ));
        }
        let address =
            EmailAddress::parse(text(record, self.email)?).map_err(|error| error.to_string())?;
        let name = match (self.name, self.parts) {
            (Some(column), _) => clean_name(text(record, column)?),
            (None, [None, None]) => String::new(),
            (None, parts) => {
                let mut whole = String::new();
                for column in parts.into_iter().flatten() {
                    whole.push_str(text(record, column)?);
                    whole.push(' ');
                }
                clean_name(&whole)
            }
        };
        let mut fields = Fields::default();
        for (column, field) in &self.fields {
            let value = table.value(field, text(record, *column)?);
            if let Some(value) = value.map_err(|error| error.to_string())? {
                fields.0.insert(field.clone(), value);
            }
        }
        Ok(Row {
            address,
            name,
            fields,
        })
    }
}

/// A cell that a spreadsheet would take for a formula, made plain text by a leading apostrophe;
/// [`restored`] undoes it.
pub fn neutralised(cell: &str) -> std::borrow::Cow<'_, str> {
    if is_formula(cell) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

/// The cell as it was before [`neutralised`].
pub fn restored(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest,
        _ => cell,
    }
}

/// Apostrophes in front are passed over, so that neutralising twice is undone twice.
fn is_formula(cell: &str) -> bool {
    let inner = cell.trim_start_matches('\'');
    inner.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

struct Finder<'a> {
    names: &'a [String],
    taken: Vec<bool>,
}

impl Finder<'_> {
    fn folded(&self, column: usize) -> String {
        folded(&self.names[column])
    }

    /// The one column that holds `target`: as `map` says, else by its header.
    fn find(
        &mut self,
        target: &str,
        map: &[(String, String)],
        spellings: &[&str],
    ) -> anyhow::Result<Option<usize>> {
        let said: Vec<&str> = map
            .iter()
            .filter(|(_, t)| t == target)
            .map(|(c, _)| c.as_str())
            .collect();
        let fits = |column: &usize| {
            if said.is_empty() {
                let mapped = map.iter().any(|(name, _)| *name == self.names[*column]);
                !mapped
                    && !self.taken[*column]
                    && spellings.contains(&self.folded(*column).as_str())
            } else {
                said.contains(&self.names[*column].as_str())
            }
        };
        let found: Vec<usize> = (0..self.names.len()).filter(fits).collect();
        match found.as_slice() {
            [] => Ok(None),
            [column] => {
                self.taken[*column] = true;
                Ok(Some(*column))
            }
            several => {
                let names: Vec<&str> = several.iter().map(|c| self.names[*c].as_str()).collect();
                bail!(
                    "several columns hold `{target}`: `{}`; say which with `--map COLUMN={target}`",
                    names.join("`, `")
                );
            }
        }
    }
}

fn folded(header: &str) -> String {
    let letters = header.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn text(record: &Record, column: usize) -> Result<&str, String> {
    let text = std::str::from_utf8(record.cell(column));
    let text = text.map_err(|_| "the row is not UTF-8; save the file as UTF-8".to_owned())?;
    Ok(restored(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Columns, Row, neutralised, restored};
    use crate::import::csv::Records;
    use crate::subscriber::field::FieldTable;

    fn fields() -> FieldTable {
        let text = "[fields.first_name]\ntype = \"text\"\n[fields.issues]\ntype = \"number\"\n";
        FieldTable::parse(text).expect("two declarations")
    }

    /// The columns of the header, and what each row says.
    fn read(
        text: &str,
        map: &[(&str, &str)],
    ) -> anyhow::Result<(Columns, Vec<Result<Row, String>>)> {
        let map: Vec<_> = map
            .iter()
            .map(|(c, f)| ((*c).to_owned(), (*f).to_owned()))
            .collect();
        let mut records = Records::open(text.as_bytes())?;
        records.read()?;
        let columns = Columns::read(records.record(), &fields(), &map)?;
        let mut rows = Vec::new();
        while let Some(record) = records.read()? {
            rows.push(columns.row(record, &fields()));
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
                "`town` is no field; there are `email`, `name`",
            ),
        ] {
            let said = header_error(text, map);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_bad_row_gives_a_reason_that_names_no_address() {
        let text = "email,issues\nnobody\na@x.example,many\nb@x.example,1,2\nc@x.example\nd@x.example,1,,\n";
        let (_, rows) = read(text, &[]).expect("a header");
        let reasons: Vec<_> = rows
            .iter()
            .map(|row| row.as_ref().err().map(String::as_str))
            .collect();
        assert_eq!(
            reasons,
            [
                Some("an address needs one `@` between the mailbox and the domain"),
                Some("`issues` takes a number such as `3` or `3.5`"),
                Some("the row has 3 cells and the header 2"),
                None,
                None,
            ]
        );
    }

    #[test]
    fn a_cell_that_begins_like_a_formula_is_plain_text() {
        for cell in ["=1+1", "+49 30", "-1", "@x", "\tx", "\rx", "'=1"] {
            assert_eq!(neutralised(cell), format!("'{cell}"));
        }
        for cell in ["", "Ada", "O'Hara", "'tis", "a=b"] {
            assert_eq!(neutralised(cell), cell);
        }
    }

    proptest! {
        #[test]
        fn what_is_neutralised_comes_back(cell in "['=+@a-]{0,6}", any in any::<String>()) {
            assert_eq!(restored(&neutralised(&cell)), cell);
            assert_eq!(restored(&neutralised(&any)), any);
        }
    }
}
