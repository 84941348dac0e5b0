//! A subscription's status as the database keeps it: its name, read into its type.
//!
//! Promises: a name that no version of this program wrote is an error of the row that holds it, and is not guessed at.

use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Type};

use crate::subscriber::Status;

impl<DB: Database> Type<DB> for Status
where
    str: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        <str as Type<DB>>::type_info()
    }

    fn compatible(column: &DB::TypeInfo) -> bool {
        <str as Type<DB>>::compatible(column)
    }
}

impl<'r, DB: Database> Decode<'r, DB> for Status
where
    &'r str: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Status, BoxDynError> {
        let name = <&str as Decode<DB>>::decode(value)?;
        Ok(Status::try_from(name.to_owned())?)
    }
}
