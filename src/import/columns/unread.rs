//! Columns that nobody reads, and whether they say all the same that somebody wants no mail.
//!
//! Promises: a cell that looks so is never passed over in silence; a column that an author called nothing is, and one of
//! another channel than mail, or of what somebody pays. Leaves the words to `services`.

use crate::address::EmailAddress;
use crate::import::columns::{Columns, bare, text};
use crate::import::csv::Record;
use crate::import::services::{Service, Standing, doubts, folded, words};
use crate::import::signs::{Sign, is_none, says_no, says_yes};
use crate::subscriber::clean_name;

/// Longer cells are sentences; they are no word for how a reader stands.
const WORD: usize = 40;
/// Digits of a number that counts something: more are a day or a time.
const DIGITS: usize = 6;
/// Numbers up to this may stand for words: 0 for no, 2 for whoever left.
const CODES: f64 = 9.0;

/// A column that is not read.
#[derive(Debug)]
pub(super) struct Unread {
    column: usize,
    name: Name,
    /// Whether a word that many tables write for other things counts, too: where nothing else says how readers stand.
    any_word: bool,
}

/// What a column's name speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Other,
    /// Of what keeps a reader from mail.
    Gone(Standing),
    /// Of what keeps a reader from mail, or of something else that ends.
    Perhaps,
    /// Of consent to it.
    Wanted(Wanted),
}

/// What else a name of consent speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    /// Of how many there are: numbers are none of its words.
    counts: bool,
    /// Of where it was given and the like: only a no is one there.
    about: bool,
    /// Of an agreement, of which there are not many.
    agreed: bool,
}

impl Name {
    fn of(header: &str) -> Name {
        let (name, words) = (folded(header), words(header));
        let within = |parts: &Vec<String>| parts.iter().any(|part| name.contains(part.as_str()));
        let among = |these: &Vec<String>| these.iter().any(|word| words.contains(word));
        let mut gone = doubts().gone.iter().rev();
        match gone.find(|(_, parts)| within(parts)) {
            Some((&standing, _)) => Name::Gone(standing),
            None if among(&doubts().perhaps) => Name::Perhaps,
            None if within(&doubts().wanted) || among(&doubts().wanted_words) => {
                Name::Wanted(Wanted {
                    counts: among(&doubts().counted) && !within(&doubts().agreed),
                    about: among(&doubts().about),
                    agreed: within(&doubts().agreed),
                })
            }
            None => Name::Other,
        }
    }

    /// Whether it may speak of mail at all, and not of another channel or of what somebody pays alone.
    fn may_be_of_mail(header: &str) -> bool {
        let begins = |word: &String| {
            let mut other = doubts().other.iter();
            other.any(|part| word.starts_with(part.as_str()))
        };
        let name = folded(header);
        let mut of_mail = doubts().of_mail.iter();
        of_mail.any(|part| name.contains(part.as_str())) || !words(header).iter().any(begins)
    }
}

/// How a column is read of which the author said that it tells how readers stand.
pub(super) fn sign(header: &str) -> Sign {
    match Name::of(header) {
        Name::Gone(standing) => Sign::Gone(standing),
        Name::Perhaps => Sign::Gone(Standing::Left),
        Name::Wanted(_) | Name::Other => Sign::Wanted,
    }
}

/// What is not read of a table: the `free` columns, and those `held` by a field only because they are called like it.
/// `words` says whether another column tells how readers stand.
pub(super) fn of<'a>(
    names: &[String],
    free: &[usize],
    held: impl Iterator<Item = &'a usize>,
    words: bool,
) -> Vec<Unread> {
    let free = free.iter().map(|&column| Unread {
        column,
        name: Name::of(&names[column]),
        any_word: !words,
    });
    let held = held.map(|&column| Unread {
        column,
        name: Name::Other,
        any_word: false,
    });
    let all = free.chain(held);
    all.filter(|unread| Name::may_be_of_mail(&names[unread.column]))
        .collect()
}

impl Unread {
    /// Whether `cell` looks as if its reader wanted no mail.
    fn doubts(&self, cell: &str) -> bool {
        if cell.len() > WORD && matches!(self.name, Name::Other | Name::Perhaps) {
            return false;
        }
        let filled = || !is_none(cell) && !cell.contains("://");
        match self.name {
            Name::Gone(_) if filled() => {
                return Service::any().standing(cell) != Some(Standing::Joined);
            }
            Name::Perhaps if self.any_word && filled() && number(cell).is_none_or(|n| n == 1.0) => {
                return Service::any().standing(cell) != Some(Standing::Joined);
            }
            Name::Wanted(wanted) if wanted.doubts(cell) => return true,
            _ => {}
        }
        // A number, a time or an address of a page is no word.
        if cell.bytes().any(|octet| octet.is_ascii_digit()) {
            return false;
        }
        let word = folded(cell);
        let stem = |part: &String| word.contains(part.as_str());
        let of_any = || {
            Service::any()
                .standing(&word)
                .is_some_and(|said| said != Standing::Joined)
        };
        doubts().cells.iter().any(stem) || (self.any_word && of_any())
    }
}

impl Wanted {
    /// Whether the cell is neither a yes nor a time nor empty.
    fn doubts(self, cell: &str) -> bool {
        if let Some(number) = number(cell) {
            return !self.counts && is_code(number) && (!self.about || number == 0.0);
        }
        let mut parts = cell.split(|letter: char| !letter.is_alphabetic());
        let is_dated = cell.bytes().any(|octet| octet.is_ascii_digit());
        let word = folded(cell);
        let refused = doubts()
            .refused
            .iter()
            .any(|part| word.contains(part.as_str()));
        if refused
            || says_no(cell)
            || (is_dated && parts.any(|part| part.len() > 1 && says_no(part)))
        {
            return true;
        }
        !self.about && !is_yes(cell) && !cell.contains("://") && EmailAddress::parse(cell).is_err()
    }
}

/// Whether the cell is a yes, a time, or both.
fn is_yes(cell: &str) -> bool {
    let known = |cell: &str| {
        let word = folded(cell);
        let yes = |known: &String| *known == word || known == cell;
        doubts().yes.iter().any(yes) || Service::any().standing(&word) == Some(Standing::Joined)
    };
    if !cell.bytes().any(|octet| octet.is_ascii_digit()) {
        return says_yes(cell).is_some() || known(cell);
    }
    // What else stands in a time: months, and the zone.
    let mut parts = cell.split(|letter: char| !letter.is_alphabetic());
    parts.all(|part| {
        let word = folded(part);
        let month = word.chars().take(3).collect::<String>();
        word.is_empty()
            || doubts().times.contains(&word)
            || doubts().months.contains(&month)
            || says_yes(part) == Some(true)
            || known(part)
    })
}

/// Whether the number may stand for a word that is no yes.
fn is_code(number: f64) -> bool {
    number != 1.0 && number.abs() <= CODES && number.fract() == 0.0
}

/// The number that the cell is; a day and a time are none.
fn number(cell: &str) -> Option<f64> {
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    cell.parse().ok().filter(|_| digits <= DIGITS)
}

/// A cell that is not read though it looks as if its reader wanted no mail: the first of its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub column: String,
    pub cell: String,
    pub line: u64,
    /// Whether another column, or the file's name, tells how readers stand.
    pub told: bool,
}

/// Looks through a table for such cells.
pub(in crate::import) struct Look<'a> {
    columns: &'a Columns,
    found: Vec<Option<Doubt>>,
    /// Small numbers in columns that speak of consent: 0 is a no, and who knows what 2 is, unless the column turns out to
    /// count.
    codes: Vec<Option<Doubt>>,
    counts: Vec<bool>,
    /// The last cell of each column that looked like nothing: most columns say few things.
    plain: Vec<Vec<u8>>,
}

impl<'a> Look<'a> {
    /// None where every column is read, or the file itself says that its readers are gone.
    pub(in crate::import) fn at(columns: &'a Columns) -> Option<Look<'a>> {
        let unread = columns.unread.len();
        let nothing = unread == 0 || columns.standing.ends();
        (!nothing).then(|| Look {
            columns,
            found: vec![None; unread],
            codes: vec![None; unread],
            counts: vec![false; unread],
            plain: vec![Vec::new(); unread],
        })
    }

    pub(in crate::import) fn look(&mut self, record: &Record) {
        let Look {
            columns,
            found,
            codes,
            counts,
            plain,
        } = self;
        if record.flaw.is_some() {
            return;
        }
        for (place, unread) in columns.unread.iter().enumerate() {
            let octets = record.cell(unread.column);
            if octets.is_empty() || found[place].is_some() || plain[place] == octets {
                continue;
            }
            let cell = text(record, unread.column).unwrap_or_default().trim();
            let gone = || columns.standing_in(record).is_ok_and(Standing::ends);
            let reader = || {
                let address = text(record, columns.email).unwrap_or_default();
                EmailAddress::parse(bare(address)).is_ok()
            };
            let is_wanted = matches!(unread.name, Name::Wanted(_));
            let is_code = is_wanted && number(cell).is_some_and(is_code);
            let agreed = matches!(unread.name, Name::Wanted(Wanted { agreed: true, .. }));
            counts[place] |=
                !agreed && number(cell).is_some_and(|n| n.abs() > CODES || n.fract() != 0.0);
            let known = is_code && codes[place].is_some();
            match unread.doubts(cell) {
                true if !known && reader() && !gone() => {
                    let doubt = Doubt {
                        column: columns.header[unread.column].clone(),
                        cell: clean_name(cell),
                        line: record.line,
                        told: !columns.signs.is_empty() || columns.standing != Standing::Joined,
                    };
                    let first = match is_code {
                        true => &mut codes[place],
                        false => &mut found[place],
                    };
                    *first = Some(doubt);
                }
                true if !known => {}
                _ => {
                    plain[place].clear();
                    plain[place].extend_from_slice(octets);
                }
            }
        }
    }

    pub(in crate::import) fn found(self) -> impl Iterator<Item = Doubt> {
        let codes = self.codes.into_iter().zip(self.counts);
        let codes = codes.map(|(code, counts)| code.filter(|_| !counts));
        let found = self.found.into_iter().zip(codes);
        found.filter_map(|(found, code)| found.or(code))
    }
}

#[cfg(test)]
mod tests;
