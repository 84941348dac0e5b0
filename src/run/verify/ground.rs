//! What the proof of a run stands on: a database that is whole, this machine's newest, and this keyring's.

use std::path::Path;

use crate::app::{App, keys};
use crate::deliver::guard::Generation;
use crate::run::seal;
use crate::store::soundness::Stray;

/// Readers looked at in one go.
const READERS: u32 = 5_000;

/// What was found of the database itself.
#[derive(Debug, Default)]
pub struct Ground {
    pub faults: Vec<String>,
    /// Whether the rows can be looked at at all.
    pub holds: bool,
}

/// Whether the database is one that a proof can stand on: not damaged, none of this program's tables gone, and not
/// older than this machine knows.
pub async fn look(app: &App) -> anyhow::Result<Ground> {
    let mut ground = Ground {
        holds: true,
        ..Ground::default()
    };
    if let Some(fault) = app.store.unsound().await? {
        ground.faults.push(format!(
            "the file is damaged ({fault}): stop sending and go back to the last backup"
        ));
    }
    let strays = app.store.strays().await?;
    ground.holds = !strays.iter().any(Stray::is_needed);
    ground.faults.extend(strays.iter().map(Stray::words));
    if strays.contains(&Stray::Table("meta".to_owned())) {
        return Ok(ground);
    }
    let state = app.path(&app.config.paths.state);
    ground
        .faults
        .extend(Generation::within(&state).behind(&app.store).await?);
    Ok(ground)
}

/// What is wrong with a database that holds no tables, beside the state folder `state`: none is, unless runs were sent.
pub fn of_nothing(state: &Path) -> anyhow::Result<Option<String>> {
    let seen = Generation::within(state).seen()?;
    Ok(seen.filter(|seen| *seen > 0).map(|seen| {
        format!(
            "the database is empty, and this machine has seen generation {seen} of it: go back to the last backup"
        )
    }))
}

/// What belongs to no single run: rows that name one which is gone, hashes under which no suppression is found, and a
/// keyring that is not the database's.
pub(super) async fn whole(app: &App) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let sealed = seal::sealed(app).await?;
    let lost = app.store.lost_runs(&sealed).await?;
    faults.extend(
        lost.iter()
            .map(|run| format!("run {run} was begun and sealed, and its row is gone")),
    );
    let dangling = app.store.dangling().await?;
    faults.extend(dangling.into_iter().map(|(table, rows)| {
        let rows = match rows {
            1 => "1 row".to_owned(),
            many => format!("{many} rows"),
        };
        format!("{rows} of `{table}` name something that is gone")
    }));
    match app.store.belongs_to(&app.keyring).await? {
        true => {
            let found = keys::compare(&app.store, &app.keyring).await?;
            faults.extend(found.faults());
            faults.extend(hashes(app).await?);
        }
        false => faults.push(
            "the keyring does not belong to this database: nobody suppressed is recognised, and no link already sent \
             opens"
                .to_owned(),
        ),
    }
    Ok(faults)
}

/// Each reader's hash is that of her address: by another, no suppression binds her.
async fn hashes(app: &App) -> anyhow::Result<Option<String>> {
    let (mut after, mut wrong) = (i64::MIN, 0_u64);
    loop {
        let page = app.store.hashes(after, READERS).await?;
        let Some((last, ..)) = page.last() else { break };
        after = *last;
        let strange = page
            .iter()
            .filter(|(_, canonical, hash)| app.keyring.address_hash(canonical) != hash.as_slice());
        wrong += u64::try_from(strange.count()).unwrap_or(u64::MAX);
    }
    let number = match wrong {
        0 => return Ok(None),
        1 => "1 reader has".to_owned(),
        many => format!("{many} readers have"),
    };
    Ok(Some(format!(
        "{number} a hash that is not that of the address: no suppression binds them"
    )))
}
