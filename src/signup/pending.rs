//! Readers whom an import or the author brought as pending, asked by one mail each whether they want the list.
//!
//! Promises: only at the author's word, and an address once in a month, whatever it is asked for; half of an hour's confirm
//! mails is left to the form, whose readers wait for theirs.

use crate::address::EmailAddress;
use crate::app::App;
use crate::id::{ListId, SubscriptionKey};
use crate::publication;
use crate::run;
use crate::signup::fold;
use crate::store::asking::{Ask, Asked};

/// Readers read at a time.
const STEP: u32 = 500;

/// What came of asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Who wait to confirm.
    pub waiting: u64,
    pub asked: u64,
    /// Asked within the last month, by whomever, and so left alone.
    pub lately: u64,
    /// Such a mail has no room in the coming day.
    pub later: u64,
}

/// How many wait on `list`, of one import or of all.
pub async fn count(app: &App, list: ListId, import: Option<i64>) -> anyhow::Result<Tally> {
    let waiting = app.store.count_waiting(list, import).await?;
    Ok(Tally {
        waiting: u64::try_from(waiting).unwrap_or(0),
        ..Tally::default()
    })
}

/// Asks them, the longest waiting first.
pub async fn ask(app: &App, list: ListId, import: Option<i64>) -> anyhow::Result<Tally> {
    let mut tally = count(app, list, import).await?;
    if tally.waiting == 0 {
        return Ok(tally);
    }
    let mail = publication::compile_system(&app.config, &app.emails(), "confirm")?;
    let revision = run::keep_revision(app, &mail, &[]).await?;
    let signup = &app.config.signup;
    let mut after = (i64::MIN, i64::MIN);
    let mut gone = 0;
    'all: loop {
        let page = app.store.waiting_on(list, import, after, STEP).await?;
        let Some(last) = page.last() else {
            break;
        };
        after = (last.created_at, last.key);
        for reader in page {
            let now = app.clock.now();
            let Ok(address) = EmailAddress::parse(&reader.address) else {
                gone += 1;
                continue;
            };
            let folded = fold(&address);
            let ask = Ask {
                subscription: SubscriptionKey(reader.key),
                limit: app.keyring.address_hash(&format!("limit\0{folded}")),
                mailed_after: now.before(signup.address_window),
                per_hour: (signup.confirms_per_hour / 2).max(1),
                revision: &revision,
                at: now,
            };
            match app.store.ask_to_confirm(&ask).await? {
                Asked::Now => tally.asked += 1,
                Asked::Lately => tally.lately += 1,
                Asked::Gone => gone += 1,
                Asked::Full => break 'all,
            }
        }
    }
    tally.later = tally
        .waiting
        .saturating_sub(tally.asked + tally.lately + gone);
    Ok(tally)
}
