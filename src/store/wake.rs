//! Hearing at once what another process did: a run begun, paused or resumed, a system mail queued.
//!
//! Promises: a word is told for each, soon and at most once too often; a word that is lost (a connection cut) is
//! no harm, because senders look for themselves as well. On SQLite, and behind a pooler in transaction mode,
//! which cannot keep a listener, nothing is ever told.

use sqlx::postgres::PgListener;

use crate::store::{Result, Store};

/// The channel of the triggers in migration 0016.
const CHANNEL: &str = "pressrun";

impl Store {
    /// Calls `told` at each word, until the connection ends with an error; where nothing is told, for ever.
    pub async fn listen(&self, told: impl Fn()) -> Result<()> {
        let listening = match self {
            Store::Postgres(db) => db.listening(),
            Store::Sqlite(_) => None,
        };
        let Some(pool) = listening else {
            return std::future::pending().await;
        };
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            listener.recv().await?;
            told();
        }
    }
}
