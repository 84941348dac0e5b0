//! Subject tests: what each subject came to, and the decision, made once.

use std::collections::HashSet;

use crate::event::{self, Evidence};
use crate::id::RunId;
use crate::store::{Result, Store};
use crate::trial::{By, Score, Variant};

/// Deliveries whose events are read at a time.
const PAGE: i64 = 4096;

impl Store {
    /// What the two subjects came to among the deliveries below `test_to`: readers whom they reached, and
    /// those of them who did what decides, machines left out.
    pub async fn trial_scores(&self, run: RunId, test_to: i64, by: By) -> Result<(Score, Score)> {
        let mut scores = [Score::default(), Score::default()];
        let sent: Vec<(i64, i64)> = read!(self, conn => {
            sqlx::query_as(
                "select seq % 2, count(*) from deliveries
                 where run_id = $1 and seq < $2 and state = 'sent' group by 1",
            )
            .bind(run.0)
            .bind(test_to)
            .fetch_all(conn)
            .await?
        });
        for (variant, count) in sent {
            scores[place(variant)].sent = count;
        }
        let mut first = 0;
        while first < test_to {
            let behind = (first + PAGE).min(test_to);
            let events: Vec<(i64, String)> = read!(self, conn => {
                sqlx::query_as(
                    "select e.seq, e.evidence
                     from events e join deliveries d on d.run_id = e.run_id and d.seq = e.seq
                     where e.run_id = $1 and e.seq >= $2 and e.seq < $3 and e.kind = $4 and d.state = 'sent'",
                )
                .bind(run.0)
                .bind(first)
                .bind(behind)
                .bind(by.kind().name())
                .fetch_all(conn)
                .await?
            });
            let mut readers = HashSet::new();
            for (seq, evidence) in events {
                let evidence: Evidence = serde_json::from_str(&evidence).unwrap_or_default();
                if !event::by_machine(by.kind(), &evidence) && readers.insert(seq) {
                    scores[place(seq)].readers += 1;
                }
            }
            first = behind;
        }
        let [a, b] = scores;
        Ok((a, b))
    }

    /// Puts a decided test in the place of `before`. False if another node decided first.
    pub async fn decide_trial(&self, run: RunId, before: &str, after: &str) -> Result<bool> {
        transact!(self, conn => {
            let changed = sqlx::query("update runs set trial = $3 where id = $1 and trial = $2")
                .bind(run.0)
                .bind(before)
                .bind(after)
                .execute(conn)
                .await?;
            changed.rows_affected() == 1
        })
    }
}

/// Where the score of the subject stands that the delivery `seq` of a test has.
fn place(seq: i64) -> usize {
    match Variant::of(seq) {
        Variant::A => 0,
        Variant::B => 1,
    }
}
