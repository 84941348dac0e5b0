//! What is wrong with the database, in words, and what to do about it.
//!
//! Promises: said once, without the driver's own words where ours say more; who chooses by a fault asks its kind.

use std::fmt;

use sqlx::Error;
use sqlx::migrate::MigrateError;

use crate::store::StoreError;

/// What a fault of the database asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Locked,
    Full,
    Damaged,
    ReadOnly,
    Disk,
    Unopened,
    Unreached,
    /// The user or the password is not the right one.
    Barred,
    Busy,
    Other,
}

fn kind(error: &Error) -> Kind {
    match error {
        Error::Database(told) => of_code(told.code().as_deref().unwrap_or_default()),
        Error::Io(_) | Error::Tls(_) => Kind::Unreached,
        Error::PoolTimedOut => Kind::Busy,
        _ => Kind::Other,
    }
}

/// SQLite's codes are numbers of at most four digits, the lowest octet of which is the class; PostgreSQL's have five
/// characters.
fn of_code(code: &str) -> Kind {
    if code.len() >= 5 {
        return match code {
            "53100" => Kind::Full,
            "XX001" | "XX002" => Kind::Damaged,
            "25006" => Kind::ReadOnly,
            "58030" => Kind::Disk,
            "28P01" | "28000" => Kind::Barred,
            "57P03" | "57P01" | "57P02" => Kind::Unreached,
            "53300" => Kind::Busy,
            _ => Kind::Other,
        };
    }
    match code.parse::<u32>().map(|code| code & 255) {
        Ok(5 | 6) => Kind::Locked,
        Ok(8) => Kind::ReadOnly,
        Ok(10) => Kind::Disk,
        Ok(11 | 26) => Kind::Damaged,
        Ok(13) => Kind::Full,
        Ok(14) => Kind::Unopened,
        _ => Kind::Other,
    }
}

/// Why and where, in the words of whoever found it.
fn cause(error: &Error) -> String {
    match error {
        Error::Database(told) => told.message().to_owned(),
        Error::Io(fault) => fault.to_string(),
        Error::Tls(fault) => fault.to_string(),
        other => other.to_string(),
    }
}

impl StoreError {
    /// A uniqueness rule of the schema said no: the row is already there.
    pub fn is_duplicate(&self) -> bool {
        let database = self.0.as_database_error();
        database.is_some_and(|error| error.is_unique_violation())
    }

    /// Two transactions stood in each other's way, and this one was undone whole: it may be asked again.
    pub fn is_conflict(&self) -> bool {
        let code = self.0.as_database_error().and_then(|error| error.code());
        // PostgreSQL's deadlock_detected and serialization_failure.
        code.is_some_and(|code| matches!(code.as_ref(), "40P01" | "40001"))
    }

    /// The database may be whole and take this later: it is locked, full or away.
    pub fn is_passing(&self) -> bool {
        matches!(
            kind(&self.0),
            Kind::Locked | Kind::Full | Kind::Disk | Kind::Unreached | Kind::Busy
        )
    }

    /// Another process holds the lock of a SQLite file.
    pub(crate) fn is_locked(&self) -> bool {
        kind(&self.0) == Kind::Locked
    }

    /// It refuses what it was given, whenever it is asked: a value that it cannot hold, or a rule of the schema.
    pub fn is_of_values(&self) -> bool {
        let Error::Database(told) = &self.0 else {
            return false;
        };
        let code = told.code().unwrap_or_default();
        match code.len() {
            // PostgreSQL: data exception, integrity constraint violation.
            5 => code.starts_with("22") || code.starts_with("23"),
            // SQLite: TOOBIG, CONSTRAINT, MISMATCH, RANGE.
            _ => matches!(
                code.parse::<u32>().map(|code| code & 255),
                Ok(18 | 19 | 20 | 25)
            ),
        }
    }

    /// The disk is full, or does as a full one does: SQLite says no more of a file that cannot grow.
    pub fn is_full(&self) -> bool {
        matches!(kind(&self.0), Kind::Full | Kind::Disk)
    }

    /// Nobody answers at its place, or it is about to begin or to end: it may be there later.
    pub fn is_away(&self) -> bool {
        match &self.0 {
            Error::Tls(_) => false,
            _ => matches!(kind(&self.0), Kind::Unreached | Kind::Busy),
        }
    }

    /// The file is not a whole database.
    pub fn is_damaged(&self) -> bool {
        kind(&self.0) == Kind::Damaged
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = cause(&self.0);
        match kind(&self.0) {
            Kind::Locked => f.write_str(
                "the database is locked by another program; say it again when that one is done, or end it",
            ),
            Kind::Full => f.write_str("the disk with the database is full; make room, then say it again"),
            Kind::Damaged => write!(
                f,
                "the database is damaged ({cause}); send nothing and go back to the last backup"
            ),
            Kind::ReadOnly => write!(
                f,
                "the database may only be read ({cause}); look at who owns it and its folder"
            ),
            Kind::Disk => write!(
                f,
                "the disk with the database does not read or write ({cause}); look at it and at the room on it"
            ),
            Kind::Unopened => write!(
                f,
                "the database cannot be opened ({cause}); look at who owns it and its folder"
            ),
            Kind::Unreached => write!(
                f,
                "the database is not reached ({cause}); start it, or correct `database.url`"
            ),
            Kind::Barred => write!(
                f,
                "the database does not let us in ({cause}); correct user and password in `database.url`"
            ),
            Kind::Busy => f.write_str(
                "the database gave no connection in time: it does not answer, or others hold all it has",
            ),
            Kind::Other => match &self.0 {
                Error::Database(told) => match told.code() {
                    Some(code) => write!(f, "the database refused: {cause} ({code})"),
                    None => write!(f, "the database refused: {cause}"),
                },
                _ => f.write_str(&cause),
            },
        }
    }
}

/// Its words are all there is to say: a source would say the driver's once more.
impl std::error::Error for StoreError {}

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        StoreError(error)
    }
}

/// Why the schema was not brought up to date.
pub(super) fn of_migration(error: MigrateError) -> anyhow::Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            StoreError(error).into()
        }
        MigrateError::VersionMissing(version) => anyhow::anyhow!(
            "a newer pressrun has used this database (its migration {version}); use that version, for this one does \
             not know what it reads"
        ),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, of_code};

    #[test]
    fn codes_of_both_databases_are_known() {
        for (code, expected) in [
            ("5", Kind::Locked),
            ("517", Kind::Locked),
            ("13", Kind::Full),
            ("11", Kind::Damaged),
            ("26", Kind::Damaged),
            ("4874", Kind::Disk),
            ("2067", Kind::Other),
            ("53100", Kind::Full),
            ("28P01", Kind::Barred),
            ("57P03", Kind::Unreached),
            ("23505", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(of_code(code), expected, "{code}");
        }
    }
}
