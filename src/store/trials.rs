//! Subject tests: what each subject came to, and the decision, made once.

use crate::id::RunId;
use crate::store::{Result, Store};
use crate::trial::{By, Score, Variant};

impl Store {
    /// What the two subjects came to among the deliveries below `test_to`: readers whom they reached, and
    /// those of them who did what decides, machines left out, as far as events are folded. Whose copy counts nothing
    /// is in neither.
    pub async fn trial_scores(&self, run: RunId, test_to: i64, by: By) -> Result<(Score, Score)> {
        let acted = match by {
            By::Clicks => "j.clicked = 'human'",
            By::Opens => "j.opened in ('human', 'gmail')",
        };
        let statement = format!(
            "select d.seq % 2, count(*), cast(coalesce(sum(case when {acted} then 1 else 0 end), 0) as bigint)
             from deliveries d left join judged j on j.run_id = d.run_id and j.seq = d.seq
             where d.run_id = $1 and d.seq < $2 and d.state = 'sent'
               and coalesce(d.copy, '') not like '%\"untracked\":true%' and coalesce(j.withdrawn, 0) = 0 group by 1"
        );
        let found: Vec<(i64, i64, i64)> = read!(self, conn => {
            sqlx::query_as(sqlx::AssertSqlSafe(statement))
                .bind(run.0)
                .bind(test_to)
                .fetch_all(conn)
                .await?
        });
        let mut scores = [Score::default(), Score::default()];
        for (seq, sent, readers) in found {
            scores[place(seq)] = Score { sent, readers };
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
