//! What each column of a file means, and what a row says about a reader.
//!
//! Promises: a row becomes a whole [`Row`] or a reason that names no address. Leaves what services call their
//! columns to `services`, and the question whether the reader is known to the store.

use anyhow::{Context, bail};

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::import::csv::Record;
use crate::import::formula::restored;
use crate::import::rejects::IN_FRONT;
use crate::import::services::{Service, Standing, folded};
use crate::import::signs::{Sign, is_none};
use crate::import::when::{self, Here};
use crate::subscriber::clean_name;
use crate::subscriber::field::{BUILT_IN, FieldTable, Fields};
use crate::subscriber::tag::{TAGS_LIMIT, Tag};

pub(super) mod cut;

/// The header leaves open what a column holds, and a map would say it.
#[derive(Debug, thiserror::Error)]
#[error("{what}; say which with `--map COLUMN={field}`")]
pub(super) struct Unclear {
    /// Without the way to say it: a page has another one.
    pub what: String,
    field: String,
}

/// Characters of an unknown status that are told.
const SHOWN: usize = 40;

/// Which column holds what.
#[derive(Debug)]
pub struct Columns {
    /// Whose export this is.
    pub service: &'static Service,
    email: usize,
    name: Option<usize>,
    /// Given and family name, when no column holds the whole name.
    parts: [Option<usize>; 2],
    fields: Vec<(usize, String)>,
    /// Fields that may stand in an object, and where that is.
    inner: Vec<String>,
    json: Option<usize>,
    /// What says how a reader stands; the gravest counts.
    signs: Vec<(usize, Sign)>,
    joined: Vec<usize>,
    left: Vec<usize>,
    tags: Option<usize>,
    /// How readers stand in this file at least.
    standing: Standing,
    header: Vec<String>,
    /// Headers that mean nothing here.
    pub ignored: Vec<String>,
}

/// One reader as a file gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub address: EmailAddress,
    pub name: String,
    pub fields: Fields,
    pub standing: Standing,
    /// When the reader joined there.
    pub joined: Option<Timestamp>,
    /// When the reader left there.
    pub left: Option<Timestamp>,
    pub tags: Vec<Tag>,
}

impl Row {
    /// A reader who joined, and of whom nothing else is known.
    pub fn new(address: EmailAddress) -> Row {
        Row {
            address,
            name: String::new(),
            fields: Fields::default(),
            standing: Standing::Joined,
            joined: None,
            left: None,
            tags: Vec::new(),
        }
    }
}

impl Columns {
    /// Reads the header of the file `file`. `map` says what a column means, as `(column, email | name |
    /// field)`, where the header alone does not.
    pub fn read(
        header: &Record,
        file: &str,
        table: &FieldTable,
        map: &[(String, String)],
    ) -> anyhow::Result<Columns> {
        let names = names(header)?;
        check_map(&names, table, map)?;
        let service = Service::of(&names);
        let mut columns = Finder {
            names: &names,
            taken: vec![false; names.len()],
        };
        let mut signs: Vec<(usize, Sign)> = Vec::new();
        signs.extend(columns.rejected_with().map(|column| (column, Sign::Word)));
        let email = columns.find("email", map, &service.email)?;
        let name = columns.find("name", map, &service.name_of)?;
        let mut fields = Vec::new();
        let mut inner = Vec::new();
        for field in table.names() {
            match columns.find(field, map, &[folded(field)])? {
                Some(column) => fields.push((column, field.to_owned())),
                None => inner.push(field.to_owned()),
            }
        }
        // A declared field of the author's may be called `status`, too; what a service says is read anyway.
        let twice = service.is_known();
        let status = columns.first(&service.status, twice);
        signs.extend(status.map(|column| (column, Sign::Word)));
        let joined = columns.all(&service.joined, twice);
        let mut left = columns.all(&service.left, twice);
        columns.signs(service, twice, &mut signs);
        let tags = columns.first(&service.tags, twice);
        let json = columns.first(&service.json, twice);
        let mut part = |spellings: &[String]| {
            let column = columns.first(spellings, true);
            column.filter(|_| name.is_none())
        };
        let parts = [part(&service.first), part(&service.last)];
        // What people add to a service's export counts as in any table.
        left.extend(columns.all(&Service::any().left, false));
        columns.signs(Service::any(), false, &mut signs);
        signs.extend(
            left.iter()
                .map(|&column| (column, Sign::Gone(Standing::Left))),
        );
        let Some(email) = email else {
            if header.cells().any(|cell| cell.contains(&b'@')) {
                bail!(
                    "the first line holds an address; a header line such as `email,name` is missing"
                );
            }
            bail!(Unclear {
                what: format!(
                    "no column holds the address; there are `{}`",
                    names.join("`, `")
                ),
                field: "email".to_owned(),
            });
        };
        let taken = columns.taken.iter().zip(&names);
        let free = taken.filter(|(taken, _)| !**taken);
        let ignored = free.map(|(_, name)| name.clone()).collect();
        Ok(Columns {
            service,
            email,
            name,
            parts,
            fields,
            inner,
            json,
            signs,
            joined,
            left,
            tags,
            standing: service.standing_of_file(file),
            header: names,
            ignored,
        })
    }

    /// Every column's name.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The name of the column that holds `field`.
    pub fn held(&self, field: &str) -> Option<&str> {
        let column = match field {
            "email" => Some(self.email),
            "name" => self.name,
            declared => {
                let mut fields = self.fields.iter();
                fields
                    .find(|(_, field)| field == declared)
                    .map(|(column, _)| *column)
            }
        };
        column.map(|column| self.header[column].as_str())
    }

    /// How readers stand in this file at least.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether a row may say that its reader left, or is not to be mailed.
    pub fn may_end(&self) -> bool {
        self.standing.ends() || !self.signs.is_empty()
    }

    /// What whoever imports this file must know: nothing where its name says how its readers stand.
    pub fn note(&self) -> &'static str {
        match self.standing {
            Standing::Joined => &self.service.note,
            _ => "",
        }
    }

    /// What `record` says, or why it is refused. Times after now are none.
    pub fn row(&self, record: &Record, table: &FieldTable, here: &Here) -> Result<Row, String> {
        if record.unclosed {
            return Err("a quote is opened and never closed".to_owned());
        }
        let address =
            EmailAddress::parse(text(record, self.email)?).map_err(|error| error.to_string())?;
        let standing = self.standing_in(record)?;
        let (name, fields, tags) = match self.particulars(record, table) {
            // Leaving takes no more than an address: what else the row says must not keep her here.
            Err(_) if standing.ends() => Default::default(),
            read => read?,
        };
        Ok(Row {
            address,
            name,
            fields,
            standing,
            joined: time(record, &self.joined, here),
            left: time(record, &self.left, here),
            tags,
        })
    }

    /// The first column that says when a reader joined and is filled, and what it holds.
    pub(super) fn joined_cell<'a>(&self, record: &'a Record) -> Option<(&str, &'a str)> {
        let mut cells = self.joined.iter().filter_map(|&column| {
            let cell = text(record, column).ok()?.trim();
            (!is_none(cell)).then_some((self.header[column].as_str(), cell))
        });
        cells.next()
    }

    /// What the row says of the reader besides: name, fields and tags.
    fn particulars(
        &self,
        record: &Record,
        table: &FieldTable,
    ) -> Result<(String, Fields, Vec<Tag>), String> {
        let width = self.header.len();
        if record.width() > width && (width..record.width()).any(|c| !record.cell(c).is_empty()) {
            return Err(format!(
                "the row has {} cells and the header {width}",
                record.width()
            ));
        }
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
        self.inner_fields(record, table, &mut fields)?;
        Ok((name, fields, self.tags_in(record)?))
    }

    /// How the reader stands: the gravest that the file or a column says. A doubt is none where another column says
    /// that she is gone.
    fn standing_in(&self, record: &Record) -> Result<Standing, String> {
        let (mut standing, mut doubt) = (self.standing, None);
        for &(column, sign) in &self.signs {
            let read = text(record, column).and_then(|cell| {
                let known = sign.read(self.service, cell);
                known.ok_or_else(|| self.doubtful(column, cell))
            });
            match read {
                Ok(said) => standing = standing.max(said),
                Err(why) => doubt = doubt.or(Some(why)),
            }
        }
        match doubt {
            Some(why) if !standing.ends() => Err(why),
            _ => Ok(standing),
        }
    }

    fn doubtful(&self, column: usize, cell: &str) -> String {
        let word: String = clean_name(cell).chars().take(SHOWN).collect();
        let said = match word.as_str() {
            "" => "empty".to_owned(),
            word => format!("`{word}`"),
        };
        let name = &self.header[column];
        format!("`{name}` is {said}, and nobody knows whether such a reader wants mail")
    }

    fn tags_in(&self, record: &Record) -> Result<Vec<Tag>, String> {
        let Some(column) = self.tags else {
            return Ok(Vec::new());
        };
        let mut tags = Vec::new();
        for tag in text(record, column)?.split(',') {
            // Whatever stands around a name in other exports is no part of it.
            let tag = Tag::named(tag).filter(|tag| !tags.contains(tag));
            tags.extend(tag.filter(|_| tags.len() < TAGS_LIMIT));
        }
        Ok(tags)
    }

    /// Declared fields that have no column but stand in the object of further fields.
    fn inner_fields(
        &self,
        record: &Record,
        table: &FieldTable,
        fields: &mut Fields,
    ) -> Result<(), String> {
        let Some(column) = self.json.filter(|_| !self.inner.is_empty()) else {
            return Ok(());
        };
        let object = text(record, column)?.trim();
        if object.is_empty() {
            return Ok(());
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(object)
            .map_err(|_| format!("`{}` holds no JSON object", self.header[column]))?;
        for field in &self.inner {
            let found = object.iter().find(|(key, _)| folded(key) == folded(field));
            let value = match found.map(|(_, value)| value) {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
                    value.to_string()
                }
                _ => continue,
            };
            let value = table.value(field, &value);
            if let Some(value) = value.map_err(|error| error.to_string())? {
                fields.0.insert(field.clone(), value);
            }
        }
        Ok(())
    }
}

/// The cells of a header as texts.
pub(super) fn names(header: &Record) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for cell in header.cells() {
        let name = std::str::from_utf8(cell)
            .context("the header is not UTF-8; save the file as UTF-8 (Excel: `CSV UTF-8`)")?;
        names.push(clean_name(name));
    }
    Ok(names)
}

/// Whether `map` speaks of columns and fields that are there.
fn check_map(names: &[String], table: &FieldTable, map: &[(String, String)]) -> anyhow::Result<()> {
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
    Ok(())
}

/// The first time that is filled and understood.
fn time(record: &Record, columns: &[usize], here: &Here) -> Option<Timestamp> {
    let cells = columns.iter().map(|&column| record.cell(column));
    let mut times = cells.filter_map(|cell| when::parse(std::str::from_utf8(cell).ok()?, here));
    times.next()
}

struct Finder<'a> {
    names: &'a [String],
    taken: Vec<bool>,
}

impl Finder<'_> {
    fn folded(&self, column: usize) -> String {
        folded(&self.names[column])
    }

    /// The columns of these spellings, in the order of the spellings; also ones that something else is read
    /// from, if `twice`.
    fn all(&mut self, spellings: &[String], twice: bool) -> Vec<usize> {
        let mut found = Vec::new();
        for spelling in spellings {
            let fits = |&c: &usize| (twice || !self.taken[c]) && self.folded(c) == *spelling;
            found.extend((0..self.names.len()).find(fits));
        }
        for &column in &found {
            self.taken[column] = true;
        }
        found
    }

    /// The column in which an earlier import noted how the table stood whose rows it rejected.
    fn rejected_with(&mut self) -> Option<usize> {
        let names: Vec<String> = self.names.iter().map(|name| folded(name)).collect();
        let in_front = |names: &[String]| names == IN_FRONT;
        let first = names.windows(IN_FRONT.len()).rposition(in_front)?;
        let column = first + IN_FRONT.len() - 1;
        self.taken[column] = true;
        Some(column)
    }

    /// Adds the columns by which such a file says who is gone, and who wants mail.
    fn signs(&mut self, service: &Service, twice: bool, signs: &mut Vec<(usize, Sign)>) {
        for (&standing, spellings) in &service.gone {
            let found = self.all(spellings, twice).into_iter();
            signs.extend(found.map(|column| (column, Sign::Gone(standing))));
        }
        let found = self.all(&service.wanted, twice).into_iter();
        signs.extend(found.map(|column| (column, Sign::Wanted)));
    }

    /// The first of [`Finder::all`].
    fn first(&mut self, spellings: &[String], twice: bool) -> Option<usize> {
        let found = self.all(spellings, twice);
        found.first().copied()
    }

    /// The one column that holds `target`: as `map` says, else by its header.
    fn find(
        &mut self,
        target: &str,
        map: &[(String, String)],
        spellings: &[String],
    ) -> anyhow::Result<Option<usize>> {
        let said: Vec<&str> = map
            .iter()
            .filter(|(_, t)| t == target)
            .map(|(c, _)| c.as_str())
            .collect();
        let fits = |column: &usize| {
            if said.is_empty() {
                let mapped = map.iter().any(|(name, _)| *name == self.names[*column]);
                !mapped && !self.taken[*column] && spellings.contains(&self.folded(*column))
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
                let alike = names.iter().all(|name| *name == names[0]);
                if alike && !said.is_empty() {
                    self.taken[several[0]] = true;
                    return Ok(Some(several[0]));
                }
                let first = match alike {
                    true => " (of one name, the first counts)",
                    false => "",
                };
                let names = names.join("`, `");
                bail!(Unclear {
                    what: format!("several columns hold `{target}`: `{names}`{first}"),
                    field: target.to_owned(),
                });
            }
        }
    }
}

fn text(record: &Record, column: usize) -> Result<&str, String> {
    let text = std::str::from_utf8(record.cell(column));
    let text = text.map_err(|_| "the row is not UTF-8; save the file as UTF-8".to_owned())?;
    Ok(restored(text))
}

#[cfg(test)]
mod tests;
