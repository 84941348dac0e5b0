//! Columns that nobody reads and that look as if they said who wants no mail.
//!
//! Promises: an import with such a column is not begun, nor counted, before its author said what the column means: who
//! left elsewhere under a name that nobody knows is not mailed here. Leaves which cells look so to `columns::unread`.

use anyhow::{Context, ensure};

use crate::import::columns::NOTHING;
use crate::import::columns::unread::Doubt;
use crate::import::parse::Parser;
use crate::subscriber::field::STANDING;

/// Columns that are told.
const TOLD: usize = 8;

/// Somebody must say what these columns mean.
#[derive(Debug, thiserror::Error)]
#[error("{}; nothing was written. {}", self.words(), self.way())]
pub struct Unsaid(Vec<Doubt>);

impl Unsaid {
    /// The columns in question.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|doubt| doubt.column.as_str())
    }

    /// `` `Email Marketing` is not read, and says `Unsubscribed` in line 3 ``, of each column.
    pub fn words(&self) -> String {
        let words = |doubt: &Doubt| {
            let Doubt {
                column, cell, line, ..
            } = doubt;
            format!("`{column}` is not read, and says `{cell}` in line {line}")
        };
        let told: Vec<String> = self.0.iter().take(TOLD).map(words).collect();
        format!(
            "{}, which looks as if that reader wanted no mail",
            told.join("; ")
        )
    }

    /// Where another column tells how readers stand, this one mostly means something else: to take it for the same may
    /// take all of them off.
    fn way(&self) -> String {
        let column = self.columns().next().unwrap_or_default();
        let stands = format!("`--map \"{column}={STANDING}\"` if it says how readers stand there");
        let nothing = format!("`--map \"{column}={NOTHING}\"` if it means something else");
        match self.0.first().is_some_and(|doubt| doubt.told) {
            true => format!("Say what it means: {nothing}, and {stands}, too"),
            false => format!("Say what it means: {stands}, and {nothing}"),
        }
    }
}

/// The parser again, unless somebody must say what a column means.
pub(super) async fn ask(parser: Parser) -> anyhow::Result<Parser> {
    let look = move || (parser.doubts(), parser);
    let looked = tokio::task::spawn_blocking(look).await;
    let (doubts, parser) = looked.context("the reading thread")?;
    let doubts = doubts?;
    ensure!(doubts.is_empty(), Unsaid(doubts));
    Ok(parser)
}
