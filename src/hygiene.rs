//! Addresses that stopped taking mail: found, asked once more, and suppressed only when that comes back, too.
//!
//! Promises: nobody is mailed or suppressed without being told to, by a command or by `hygiene.probe_every`; a
//! probe that was taken must stay taken for some days, because servers also return what they took; what is not the
//! recipient's own refusal suppresses nobody.

use std::time::Duration;

use serde::Serialize;

use crate::access;
use crate::address::masked;
use crate::app::App;
use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::SubscriberId;
use crate::publication;
use crate::reply::reason::is_about_sender;
use crate::reply::{Reply, Stage};
use crate::run::keep_revision;
use crate::store::probes::{Probe, Verdict};
use crate::subscriber::List;

/// Between two looks at whether it is time for a round.
const LOOK: Duration = Duration::from_secs(600);
/// Where the time of the last round stands: one machine of several does it, and a restart is no reason for another.
const TURN: &str = "probed_at";
/// Who did it, for the audit.
const WHO: &str = "hygiene.probe_every";
/// Readers of one look.
const STEP: u32 = 500;
/// Addresses shown, masked.
const SHOWN: usize = 10;

/// What is looked for, and whether anything is done.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// How many copies running came back.
    pub copies: u32,
    /// How long a probe must stay taken.
    pub wait: Duration,
    pub act: bool,
}

/// What there is, or what was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Readers to be probed, or who were.
    pub failing: u64,
    /// Some of them, masked.
    pub shown: Vec<String>,
    /// Probes on their way, or taken too short a while ago; those of this call among them.
    pub under_way: u64,
    /// Probes that arrived: their readers stay.
    pub kept: u64,
    /// Probes that came back: their addresses are suppressed.
    pub suppressed: u64,
}

/// Probes as often as the configuration says, until it is dropped.
pub async fn keep(app: App) {
    if app.config.hygiene.probe_every.is_zero() {
        return;
    }
    loop {
        if let Err(error) = round(&app).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "addresses that take no mail wait for the next round"
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One round on every list, if it is time for one; nothing if it is not.
pub async fn round(app: &App) -> anyhow::Result<Option<Found>> {
    let hygiene = &app.config.hygiene;
    let now = app.clock.now();
    let before = now.before(hygiene.probe_every);
    if hygiene.probe_every.is_zero() || !app.store.take_turn(TURN, now, before).await? {
        return Ok(None);
    }
    let wish = Wish {
        copies: hygiene.probe_after,
        wait: hygiene.probe_wait,
        act: true,
    };
    let mut found = Found::default();
    decide(app, wish, now, &mut found).await?;
    for list in app.store.lists().await? {
        ask(app, &list, wish, now, &mut found).await?;
    }
    if found.failing + found.suppressed + found.kept > 0 {
        let Found {
            failing,
            suppressed,
            kept,
            ..
        } = found;
        tracing::info!(asked = failing, suppressed, kept, "probed addresses");
        let what = format!("probed addresses: {failing} asked, {suppressed} suppressed");
        access::note_command(app, WHO, &what, "").await?;
    }
    Ok(Some(found))
}

/// Decides the probes that have come to an end, on every list, and begins those for readers of `list` whose last
/// copies came back; only counts them unless `wish.act`.
pub async fn probe(app: &App, list: &List, wish: Wish) -> anyhow::Result<Found> {
    let now = app.clock.now();
    let mut found = Found::default();
    decide(app, wish, now, &mut found).await?;
    ask(app, list, wish, now, &mut found).await?;
    Ok(found)
}

/// Begins the probes for readers of `list` whose last copies came back; only counts them unless `wish.act`.
async fn ask(
    app: &App,
    list: &List,
    wish: Wish,
    now: Timestamp,
    found: &mut Found,
) -> anyhow::Result<()> {
    let revision = match wish.act {
        true => {
            let mail = publication::compile_system(&app.config, &app.emails(), "probe")?;
            Some(keep_revision(app, &mail, &[]).await?)
        }
        false => None,
    };
    let mut after = SubscriberId(0);
    loop {
        let page = app.store.failing(list.id, wish.copies, after, STEP).await?;
        let Some(last) = page.last() else { break };
        after = SubscriberId(last.id);
        for reader in &page {
            if let Some(revision) = &revision {
                let id = SubscriberId(reader.id);
                if !app.store.begin_probe(id, list.id, revision, now).await? {
                    continue;
                }
                found.under_way += 1;
            }
            found.failing += 1;
            if found.shown.len() < SHOWN {
                found.shown.push(masked(&reader.address));
            }
        }
    }
    Ok(())
}

async fn decide(app: &App, wish: Wish, now: Timestamp, found: &mut Found) -> anyhow::Result<()> {
    let mut after = SubscriberId(0);
    loop {
        let page = app.store.undecided_probes(after, STEP).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = SubscriberId(last.subscriber_id);
        for probe in &page {
            let Some(verdict) = verdict(probe, wish.wait, now) else {
                found.under_way += 1;
                continue;
            };
            match verdict {
                Verdict::Kept => found.kept += 1,
                Verdict::Suppressed => found.suppressed += 1,
            }
            if wish.act {
                carry_out(app, probe, verdict, now).await?;
            }
        }
    }
}

async fn carry_out(
    app: &App,
    probe: &Probe,
    verdict: Verdict,
    now: Timestamp,
) -> anyhow::Result<()> {
    if verdict == Verdict::Suppressed {
        let hash = app.keyring.address_hash(&probe.canonical);
        app.store
            .suppress(&probe.canonical, &hash, "bounced", now)
            .await?;
    }
    let reader = SubscriberId(probe.subscriber_id);
    Ok(app.store.decide_probe(reader, verdict, now).await?)
}

/// What a probe came to; none as long as nobody can know.
fn verdict(probe: &Probe, wait: Duration, now: Timestamp) -> Option<Verdict> {
    let waited = |since: i64| now.since(Timestamp(since)) >= wait;
    match State::parse(&probe.state)? {
        State::Bounced | State::Expired => {
            Some(match is_about_sender(Stage::Rcpt, &reply(probe)) {
                true => Verdict::Kept,
                false => Verdict::Suppressed,
            })
        }
        State::Sent => waited(probe.settled_at?).then_some(Verdict::Kept),
        State::Queued | State::AtDot => None,
        // Nobody knows whether it arrived: it is not the reader's fault, and it came back neither.
        State::Uncertain => waited(probe.asked_at).then_some(Verdict::Kept),
        // Refused for what stood in it, or taken because the reader left: not the address.
        State::Failed | State::Suppressed | State::Unsubscribed | State::Cancelled => {
            Some(Verdict::Kept)
        }
    }
}

fn reply(probe: &Probe) -> Reply {
    Reply {
        code: probe
            .code
            .and_then(|code| code.try_into().ok())
            .unwrap_or_default(),
        enhanced: probe.enhanced.clone(),
        text: probe.reply.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::verdict;
    use crate::clock::Timestamp;
    use crate::store::probes::{Probe, Verdict};

    #[test]
    fn only_a_probe_that_came_back_suppresses_and_one_that_was_taken_waits() {
        let day = Duration::from_secs(86_400);
        let now = Timestamp(10 * 86_400_000);
        let of = |state: &str, settled: Option<i64>| {
            let probe = Probe {
                subscriber_id: 1,
                asked_at: 86_400_000,
                canonical: String::new(),
                state: state.into(),
                settled_at: settled,
                code: None,
                enhanced: None,
                reply: None,
            };
            verdict(&probe, day, now)
        };
        let (long_ago, just_now) = (Some(0), Some(now.0 - 1));
        assert_eq!(of("bounced", just_now), Some(Verdict::Suppressed));
        assert_eq!(of("expired", just_now), Some(Verdict::Suppressed));
        assert_eq!(of("sent", just_now), None);
        assert_eq!(of("sent", long_ago), Some(Verdict::Kept));
        assert_eq!(of("uncertain", just_now), Some(Verdict::Kept));
        for state in ["failed", "suppressed", "unsubscribed", "cancelled"] {
            assert_eq!(of(state, just_now), Some(Verdict::Kept), "{state}");
        }
        assert_eq!(of("queued", None), None);
        assert_eq!(of("at_dot", None), None);
    }

    #[test]
    fn a_refusal_that_speaks_of_the_sender_suppresses_nobody() {
        let of = |state: &str, code: i64, enhanced: &str, reply: &str| {
            let probe = Probe {
                subscriber_id: 1,
                asked_at: 0,
                canonical: String::new(),
                state: state.into(),
                settled_at: Some(0),
                code: Some(code),
                enhanced: (!enhanced.is_empty()).then(|| enhanced.to_owned()),
                reply: Some(reply.into()),
            };
            verdict(&probe, Duration::ZERO, Timestamp(1))
        };
        for (state, code, enhanced, reply) in [
            ("bounced", 550, "5.7.1", "your host is on a block list"),
            ("bounced", 550, "", "blocked by DMARC policy"),
            ("bounced", 554, "5.1.8", "sender domain not found"),
            ("expired", 421, "4.7.28", "unusual rate of mail"),
            ("expired", 451, "4.7.0", "greylisted, try again later"),
        ] {
            assert_eq!(
                of(state, code, enhanced, reply),
                Some(Verdict::Kept),
                "{reply}"
            );
        }
        for (state, code, enhanced, reply) in [
            ("bounced", 550, "5.2.1", "mailbox disabled"),
            ("expired", 452, "4.2.2", "mailbox full"),
            ("expired", 451, "4.4.1", "no answer from host"),
        ] {
            assert_eq!(
                of(state, code, enhanced, reply),
                Some(Verdict::Suppressed),
                "{reply}"
            );
        }
    }
}
