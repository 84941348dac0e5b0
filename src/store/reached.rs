//! The readers behind a run's numbers, one by one: whose copy came back, who left by it, who opened it, who pressed on a
//! link.
//!
//! Promises: a page reads the blocks that hold any of them alone, or goes by the key of what was judged; nothing is
//! counted.

use crate::id::RunId;
use crate::store::{Result, Store};

/// One copy with what its number is about.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Reached {
    pub seq: i64,
    /// Below 0 of whoever is erased.
    pub subscriber_id: i64,
    pub address: Option<String>,
    pub state: String,
    pub settled_at: Option<i64>,
    pub code: Option<i64>,
    pub enhanced: Option<String>,
    pub reply: Option<String>,
    pub opened_at: Option<i64>,
    pub clicked_at: Option<i64>,
    pub departed_at: Option<i64>,
    pub complained_at: Option<i64>,
    /// Who opened and who clicked, as was judged: the name of a class.
    pub opened: Option<String>,
    pub clicked: Option<String>,
    /// 1 where its reader wants nothing counted any more since she got it; none where nothing of it was judged.
    pub withdrawn: Option<i64>,
    /// Why she left the run's list, where she has said it.
    pub reason: Option<String>,
    pub words: Option<String>,
}

/// Up to `limit` copies behind the number `after`.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    pub after: i64,
    pub limit: u32,
}

impl Store {
    /// Copies of a run in the state of this name, or of `departed` and `complained` readers.
    pub async fn reached_copies(
        &self,
        run: RunId,
        what: &str,
        stretch: Stretch,
    ) -> Result<Vec<Reached>> {
        self.reached(BY_BLOCK, run, what, stretch).await
    }

    /// Copies that readers `opened` or `clicked`, as was judged.
    pub async fn read_copies(
        &self,
        run: RunId,
        what: &str,
        stretch: Stretch,
    ) -> Result<Vec<Reached>> {
        self.reached(BY_VERDICT, run, what, stretch).await
    }

    /// Copies in which readers clicked and by which this link was asked for.
    pub async fn link_copies(
        &self,
        run: RunId,
        link: u32,
        stretch: Stretch,
    ) -> Result<Vec<Reached>> {
        let Stretch { after, limit } = stretch;
        read!(self, conn => {
            let found = sqlx::query_as(BY_LINK)
                .bind(run.0)
                .bind(after)
                .bind(i64::from(link))
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }

    async fn reached(
        &self,
        statement: &'static str,
        run: RunId,
        what: &str,
        stretch: Stretch,
    ) -> Result<Vec<Reached>> {
        let Stretch { after, limit } = stretch;
        read!(self, conn => {
            let found = sqlx::query_as(statement)
                .bind(run.0)
                .bind(after)
                .bind(what)
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            Ok(found)
        })
    }
}

/// Of the blocks that hold any.
pub const BY_BLOCK: &str = "
    select d.seq, d.subscriber_id, u.address, d.state, d.settled_at, d.code, d.enhanced, d.reply,
        d.opened_at, d.clicked_at, d.departed_at, d.complained_at, j.opened, j.clicked, j.withdrawn,
        w.reason, w.words
    from blocks b
        cross join runs r
        cross join deliveries d
        left join judged j on j.run_id = d.run_id and j.seq = d.seq
        left join subscribers u on u.id = d.subscriber_id
        left join subscriptions n on n.subscriber_id = d.subscriber_id and n.list_id = r.list_id
        -- Her last word alone is kept: it is of her last leaving, and of none before it.
        left join leave_reasons w on w.subscription = n.key and w.at >= d.departed_at
            and d.departed_at >= coalesce(n.left_at, d.departed_at)
    where b.run_id = $1 and b.block >= ($2 + 1) / 256 and r.id = b.run_id and d.run_id = b.run_id
      and d.seq >= b.block * 256 and d.seq < b.block * 256 + 256 and +d.seq > $2
      and case $3
          when 'departed' then b.departed when 'complained' then b.complained when 'sent' then b.sent
          when 'bounced' then b.bounced when 'failed' then b.failed when 'expired' then b.expired
          when 'suppressed' then b.suppressed when 'unsubscribed' then b.unsubscribed
          when 'uncertain' then b.uncertain when 'cancelled' then b.cancelled
          when 'queued' then b.queued when 'at_dot' then b.at_dot else 0 end > 0
      and case $3
          when 'departed' then d.departed_at is not null
          when 'complained' then d.complained_at is not null
          else d.state = $3 end
    order by b.block, d.seq limit $4";

/// By what was judged.
pub const BY_VERDICT: &str = "
    select d.seq, d.subscriber_id, u.address, d.state, d.settled_at, d.code, d.enhanced, d.reply,
        d.opened_at, d.clicked_at, d.departed_at, d.complained_at, j.opened, j.clicked, j.withdrawn,
        cast(null as text) as reason, cast(null as text) as words
    from judged j
        join deliveries d on d.run_id = j.run_id and d.seq = j.seq
        left join subscribers u on u.id = d.subscriber_id
    where j.run_id = $1 and j.seq > $2 and d.state <> 'bounced'
      and case $3 when 'opened' then j.opened in ('human', 'gmail') else j.clicked = 'human' end
    order by j.seq limit $4";

/// By link.
pub const BY_LINK: &str = "
    select d.seq, d.subscriber_id, u.address, d.state, d.settled_at, d.code, d.enhanced, d.reply,
        d.opened_at, d.clicked_at, d.departed_at, d.complained_at, j.opened, j.clicked, j.withdrawn,
        cast(null as text) as reason, cast(null as text) as words
    from reader_clicks c
        join judged j on j.run_id = c.run_id and j.seq = c.seq
        join deliveries d on d.run_id = c.run_id and d.seq = c.seq
        left join subscribers u on u.id = d.subscriber_id
    where c.run_id = $1 and c.seq > $2 and c.link = $3 and j.clicked = 'human' and d.state <> 'bounced'
    order by c.seq limit $4";
