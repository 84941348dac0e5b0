//! Which column of a header is which.
//!
//! Promises: no column is read twice but where a service's own names say two things of it. Leaves what the cells mean
//! to `columns`.

use anyhow::bail;

use crate::import::columns::Unclear;
use crate::import::rejects::IN_FRONT;
use crate::import::services::{Service, folded};
use crate::import::signs::Sign;
use crate::subscriber::field::FieldTable;

/// Declared fields, each with its column, and those that have none.
type Declared = (Vec<(usize, String)>, Vec<String>);

/// The columns of a header, and which of them something is read from.
pub(super) struct Finder<'a> {
    pub(super) names: &'a [String],
    pub(super) taken: Vec<bool>,
    /// Those that mean nothing here.
    aside: Vec<bool>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(names: &'a [String]) -> Finder<'a> {
        Finder {
            names,
            taken: vec![false; names.len()],
            aside: vec![false; names.len()],
        }
    }

    /// Nothing is read from these columns, whatever they are called.
    pub(super) fn pass_over(&mut self, columns: &[usize]) {
        for &column in columns {
            self.aside[column] = true;
        }
    }

    /// The columns that `map` says hold `target`; they are taken.
    pub(super) fn said(&mut self, map: &[(String, String)], target: &str) -> Vec<usize> {
        let said = |name: &String| {
            map.iter()
                .any(|(column, to)| column == name && to == target)
        };
        let found: Vec<usize> = (0..self.names.len())
            .filter(|&c| said(&self.names[c]))
            .collect();
        for &column in &found {
            self.taken[column] = true;
        }
        found
    }

    fn folded(&self, column: usize) -> String {
        folded(&self.names[column])
    }

    /// The columns of these spellings, in the order of the spellings; also ones that something else is read
    /// from, if `twice`.
    pub(super) fn all(&mut self, spellings: &[String], twice: bool) -> Vec<usize> {
        let mut found = Vec::new();
        for spelling in spellings {
            let free = |c: usize| !self.aside[c] && (twice || !self.taken[c]);
            let fits = |&c: &usize| free(c) && self.folded(c) == *spelling;
            found.extend((0..self.names.len()).find(fits));
        }
        for &column in &found {
            self.taken[column] = true;
        }
        found
    }

    /// The column in which an earlier import noted how the table stood whose rows it rejected.
    pub(super) fn rejected_with(&mut self) -> Option<usize> {
        let names: Vec<String> = self.names.iter().map(|name| folded(name)).collect();
        let in_front = |names: &[String]| names == IN_FRONT;
        let first = names.windows(IN_FRONT.len()).rposition(in_front)?;
        let column = first + IN_FRONT.len() - 1;
        if self.aside[column] {
            return None;
        }
        self.taken[column] = true;
        Some(column)
    }

    /// Adds the columns by which such a file says who is gone, and who wants mail.
    pub(super) fn signs(&mut self, service: &Service, twice: bool, signs: &mut Vec<(usize, Sign)>) {
        for (&standing, spellings) in &service.gone {
            let found = self.all(spellings, twice).into_iter();
            signs.extend(found.map(|column| (column, Sign::Gone(standing))));
        }
        let found = self.all(&service.wanted, twice).into_iter();
        signs.extend(found.map(|column| (column, Sign::Wanted)));
    }

    /// The first of [`Finder::all`].
    pub(super) fn first(&mut self, spellings: &[String], twice: bool) -> Option<usize> {
        let found = self.all(spellings, twice);
        found.first().copied()
    }

    /// Finds the declared fields; those that have no column may stand in an object.
    pub(super) fn declared(
        &mut self,
        table: &FieldTable,
        service: &Service,
        map: &[(String, String)],
    ) -> anyhow::Result<Declared> {
        let (mut fields, mut inner) = (Vec::new(), Vec::new());
        for field in table.names() {
            let spellings = [
                folded(field),
                format!("{}{}", service.inside, folded(field)),
            ];
            match self.find(field, map, &spellings)? {
                Some(column) => fields.push((column, field.to_owned())),
                None => inner.push(field.to_owned()),
            }
        }
        Ok((fields, inner))
    }

    /// The one column that holds `target`: as `map` says, else by its header.
    pub(super) fn find(
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
