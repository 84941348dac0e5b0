//! What an import would take from its list, before it takes anything.
//!
//! Promises: an import that ends the mail of more than one reader in twenty is not begun, but for five who are not half
//! of the list, unless whoever imports said that the file means it: a column that means something else takes a whole
//! list off. Leaves what a row means to `decide`.

use anyhow::{Context, ensure};
use tokio::sync::mpsc;

use crate::app::App;
use crate::clock::Timestamp;
use crate::id::ListId;
use crate::import::decide::Terms;
use crate::import::parse::Parser;
use crate::import::when::Here;
use crate::import::writer::{AHEAD, look};
use crate::import::{Import, field_table};
use crate::store::import::Wanted;

/// One reader in so many.
const SHARE: u64 = 20;
/// So few go unasked though they are more, as long as they are not half of the list: of a short one a single reader is
/// more than one in twenty.
const FEW: u64 = 5;

/// Readers of a list, and those of them whom an import takes off it or bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toll {
    pub ends: u64,
    pub readers: u64,
}

impl Toll {
    /// Whether so many may not go unasked.
    pub fn is_heavy(self) -> bool {
        let few = self.ends <= 1 || (self.ends <= FEW && self.ends * 2 <= self.readers);
        !few && self.ends.saturating_mul(SHARE) > self.readers
    }

    /// `12 of 100 readers of `weekly` (12 %) would get no mail any more, which is more than 5 %`.
    pub fn words(self, list: &str) -> String {
        let Toll { ends, readers } = self;
        let percent = ends.saturating_mul(100).div_ceil(readers.max(1));
        format!(
            "{ends} of {readers} readers of `{list}` ({percent} %) would get no mail any more, which is more than 5 %"
        )
    }
}

/// What the import would take from the list; nothing is written. Only files that may say that somebody left are read,
/// and only such rows looked up.
async fn weighed(app: &App, import: &Import, list: ListId, now: Timestamp) -> anyhow::Result<Toll> {
    let mut toll = Toll::default();
    let import = Import {
        dry_run: true,
        ..import.clone()
    };
    let parser = Parser::open(
        &import,
        field_table(app)?,
        app.keyring.clone(),
        Here::of(app, now),
    )?;
    if !parser.may_end() || !app.store.has_readers().await? {
        return Ok(toll);
    }
    let (sender, mut batches) = mpsc::channel(AHEAD);
    let name = import.file.display().to_string();
    let reader = tokio::task::spawn_blocking(move || parser.run(0, &sender).context(name));
    let terms = Terms {
        status: import.status,
        confirm: false,
        calls_back: false,
        voucher: None,
        import: None,
        at: now,
    };
    while let Some(batch) = batches.recv().await {
        let rows = batch.rows.into_iter().zip(batch.wanted);
        let (rows, wanted): (Vec<_>, Vec<Wanted>) =
            rows.filter(|(row, _)| row.standing.ends()).unzip();
        if !rows.is_empty() {
            toll.ends += look(app, list, (&rows, &wanted), terms).await?.ends;
        }
    }
    reader.await.context("the reading thread")??;
    if toll.ends > 0 {
        toll.readers = app.store.readers_on(list).await?;
    }
    Ok(toll)
}

/// Refuses an import that takes much of the list and whose author did not say that the file means it.
pub(super) async fn ask(
    app: &App,
    import: &Import,
    list: ListId,
    now: Timestamp,
) -> anyhow::Result<()> {
    if import.accept_taken_off {
        return Ok(());
    }
    let toll = weighed(app, import, list, now).await?;
    ensure!(
        !toll.is_heavy(),
        "{}; nothing was written. If that is what the file means, say so: `--accept taken-off`",
        toll.words(&import.list)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Toll;

    #[test]
    fn one_reader_in_twenty_or_five_of_many_go_unasked_and_no_more() {
        for (ends, readers, heavy) in [
            (0, 0, false),
            (0, 5, false),
            (1, 10, false),
            (1, 1, false),
            (5, 10, false),
            (5, 9, true),
            (2, 2, true),
            (6, 119, true),
            (6, 120, false),
            (50_000, 1_000_000, false),
            (50_001, 1_000_000, true),
        ] {
            assert_eq!(
                Toll { ends, readers }.is_heavy(),
                heavy,
                "{ends} of {readers}"
            );
        }
        let words = Toll {
            ends: 12,
            readers: 100,
        }
        .words("weekly");
        assert!(
            words.starts_with("12 of 100 readers of `weekly` (12 %)"),
            "{words}"
        );
        // More than five is not told as five.
        let near = Toll {
            ends: 51,
            readers: 1_000,
        };
        assert!(near.words("weekly").contains("(6 %)"));
    }
}
