//! What each column of a file means, and what a row says about a reader.
//!
//! Promises: a row becomes a whole [`Row`] or a reason that names no address. Leaves what services call their
//! columns to `services`, and the question whether the reader is known to the store.

use anyhow::{Context, anyhow, bail};

use crate::address::EmailAddress;
use crate::clock::Timestamp;
use crate::import::columns::finder::Finder;
use crate::import::columns::particulars::Particulars;
use crate::import::columns::unread::Unread;
use crate::import::csv::Record;
use crate::import::csv::stray::Shape;
use crate::import::formula::restored;
use crate::import::services::{Service, Standing};
use crate::import::signs::{Sign, is_none};
use crate::import::when::{self, Here};
use crate::subscriber::clean_name;
use crate::subscriber::field::{BUILT_IN, FieldTable, Fields, STANDING};
use crate::subscriber::tag::Tag;

pub(super) mod cut;
mod finder;
mod particulars;
pub(super) mod unread;

/// What a map says of a column that means something else.
pub const NOTHING: &str = "-";

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
    /// Whose it may be besides: what a status means to one of them counts, too.
    others: Vec<&'static Service>,
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
    /// Columns of which nobody said that they mean nothing.
    unread: Vec<Unread>,
}

/// One reader as a file gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub address: EmailAddress,
    pub name: String,
    pub fields: Fields,
    pub standing: Standing,
    /// How the file says that the mailbox stands under another spelling, where that is gone: left or blocked.
    pub elsewhere: Standing,
    /// When the reader joined there.
    pub joined: Option<Timestamp>,
    /// When the reader left there.
    pub left: Option<Timestamp>,
    pub tags: Vec<Tag>,
    /// What fields take whose cells are no value of theirs; they stay empty.
    pub unfit: Vec<String>,
}

impl Row {
    /// A reader who joined, and of whom nothing else is known.
    pub fn new(address: EmailAddress) -> Row {
        Row {
            address,
            name: String::new(),
            fields: Fields::default(),
            standing: Standing::Joined,
            elsewhere: Standing::Joined,
            joined: None,
            left: None,
            tags: Vec::new(),
            unfit: Vec::new(),
        }
    }
}

impl Columns {
    /// Reads the header of the file `file`. `map` says what a column means, as `(column, email | name | field |
    /// standing | -)`, where the header alone does not.
    pub fn read(
        header: &Record,
        file: &str,
        table: &FieldTable,
        map: &[(String, String)],
    ) -> anyhow::Result<Columns> {
        let names = names(header)?;
        check_map(&names, table, map)?;
        let service = Service::of(&names);
        let mut columns = Finder::new(&names);
        let mut signs: Vec<(usize, Sign)> = Vec::new();
        let mut aside = columns.said(map, NOTHING);
        columns.pass_over(&aside);
        let said = columns.said(map, STANDING).into_iter();
        signs.extend(said.map(|column| (column, unread::sign(&names[column]))));
        signs.extend(columns.rejected_with().map(|column| (column, Sign::Word)));
        let email = columns.find("email", map, &service.email)?;
        let name = columns.find("name", map, &service.name_of)?;
        let (fields, inner) = columns.declared(table, service, map)?;
        let nothing = columns.all(&service.nothing, false);
        columns.pass_over(&nothing);
        aside.extend(nothing);
        // A declared field of the author's may be called `status`, too; what a service says is read anyway.
        let twice = service.is_known();
        let status = columns.all(&service.status, twice).into_iter();
        signs.extend(status.map(|column| (column, Sign::Word)));
        let hints = columns.all(&service.hints, false);
        signs.extend(hints.iter().map(|&column| (column, Sign::Hint)));
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
        let email = email.ok_or_else(|| no_address(header, &names))?;
        let free: Vec<usize> = (0..names.len()).filter(|&c| !columns.taken[c]).collect();
        let mut ignored = [&free[..], &aside].concat();
        ignored.sort_unstable();
        let unsaid = |column: &&usize| !map.iter().any(|(name, _)| *name == names[**column]);
        let held = fields.iter().map(|(column, _)| column).filter(unsaid);
        let held = held.chain(&hints);
        let says = |sign: &Sign| matches!(sign, Sign::Word | Sign::Wanted);
        let words = signs.iter().any(|(_, sign)| says(sign));
        let unread = unread::of(&names, &free, held, words);
        Ok(Columns {
            service,
            others: Service::others(&names, service),
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
            ignored: ignored
                .into_iter()
                .map(|column| names[column].clone())
                .collect(),
            unread,
            header: names,
        })
    }

    /// Every column's name.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// How its rows look.
    pub fn shape(&self) -> Shape {
        Shape {
            width: self.header.len(),
            email: self.email,
        }
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
        if let Some(flaw) = record.flaw {
            return Err(flaw.reason());
        }
        let address = EmailAddress::parse(bare(text(record, self.email)?));
        let address = address.map_err(|error| error.to_string())?;
        let standing = self.standing_in(record).map_err(|(_, why)| why)?;
        let Particulars {
            name,
            fields,
            tags,
            unfit,
        } = match self.particulars(record, table) {
            // Leaving takes no more than an address: what else the row says must not keep her here.
            Err(_) if standing.ends() => Particulars::default(),
            read => read?,
        };
        Ok(Row {
            address,
            name,
            fields,
            standing,
            elsewhere: Standing::Joined,
            joined: time(record, &self.joined, here),
            left: time(record, &self.left, here),
            tags,
            unfit,
        })
    }

    /// Whose mailbox the row says to be gone, whoever has it: she left, complained or is kept out. A bounce is of the address
    /// that bounced.
    pub(super) fn gone(&self, record: &Record) -> Option<(EmailAddress, Standing)> {
        if record.flaw.is_some() {
            return None;
        }
        let standing = self.standing_in(record).ok()?;
        if !standing.ends() || standing == Standing::Bounced {
            return None;
        }
        let address = EmailAddress::parse(bare(text(record, self.email).ok()?)).ok()?;
        Some((address, standing))
    }

    /// The column by whose word the row is refused: one that nobody knows.
    pub(super) fn doubted(&self, record: &Record) -> Option<&str> {
        let address = text(record, self.email).map(|cell| EmailAddress::parse(bare(cell)));
        if record.flaw.is_some() || !matches!(address, Ok(Ok(_))) {
            return None;
        }
        let (column, _) = self.standing_in(record).err()?;
        Some(&self.header[column])
    }

    /// The first column that says when a reader joined and is filled, and what it holds.
    pub(super) fn joined_cell<'a>(&self, record: &'a Record) -> Option<(&str, &'a str)> {
        let mut cells = self.joined.iter().filter_map(|&column| {
            let cell = text(record, column).ok()?.trim();
            (!is_none(cell)).then_some((self.header[column].as_str(), cell))
        });
        cells.next()
    }

    /// How the reader stands: the gravest that the file or a column says. A doubt is none where another column says
    /// that she is gone; else its column is told, and why.
    fn standing_in(&self, record: &Record) -> Result<Standing, (usize, String)> {
        let (mut standing, mut doubt) = (self.standing, None);
        for &(column, sign) in &self.signs {
            let read = text(record, column).and_then(|cell| {
                let known = sign.read(self.service, cell);
                let others = self
                    .others
                    .iter()
                    .filter_map(|other| sign.read(other, cell));
                let known = known.into_iter().chain(others).max();
                known.ok_or_else(|| self.doubtful(column, cell))
            });
            match read {
                Ok(said) => standing = standing.max(said),
                Err(why) => doubt = doubt.or(Some((column, why))),
            }
        }
        match doubt {
            Some(doubt) if !standing.ends() => Err(doubt),
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

/// No column holds the address.
fn no_address(header: &Record, names: &[String]) -> anyhow::Error {
    if header.cells().any(|cell| cell.contains(&b'@')) {
        return anyhow!(
            "the first line holds an address; a header line such as `email,name` is missing"
        );
    }
    anyhow!(Unclear {
        what: format!(
            "no column holds the address; there are `{}`",
            names.join("`, `")
        ),
        field: "email".to_owned(),
    })
}

/// Whether `map` speaks of columns and fields that are there.
fn check_map(names: &[String], table: &FieldTable, map: &[(String, String)]) -> anyhow::Result<()> {
    for (column, target) in map {
        let ours = BUILT_IN.into_iter().chain([STANDING, NOTHING]);
        if !ours.clone().any(|name| name == target) && table.kind(target).is_none() {
            let known: Vec<&str> = ours.chain(table.names()).collect();
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

/// The address of `Ada <ada@x.example>`, and of a link to it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let inner = text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'));
    let text = inner.map_or(text, |(_, address)| address).trim();
    let scheme = text
        .get(..7)
        .filter(|start| start.eq_ignore_ascii_case("mailto:"));
    scheme.map_or(text, |scheme| &text[scheme.len()..])
}

fn text(record: &Record, column: usize) -> Result<&str, String> {
    let text = std::str::from_utf8(record.cell(column));
    let text = text.map_err(|_| "the row is not UTF-8; save the file as UTF-8".to_owned())?;
    Ok(restored(text))
}

#[cfg(test)]
mod tests;
