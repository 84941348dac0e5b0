//! The coming run at full size against the embedded sink: when would it end, and what holds it up?
//!
//! Promises: the real engine, ledger, signer and settings, on a database of its own, on the disk of the
//! publication's, in a folder that is gone afterwards; the publication's database is read once, for where its readers have their
//! mailboxes, and nothing leaves this machine. Memory is bounded as in a run.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use tokio::sync::watch;

use super::PAGE;
use super::caps;
use super::providers::{self, DIRECT, USUAL};
use crate::app::App;
use crate::config::{Config, RelayKind};
use crate::deliver::trouble::Trouble;
use crate::deliver::{Engine, Taken};
use crate::delivery::Counts;
use crate::doctor;
use crate::id::{RunId, SubscriberId};
use crate::publication::Built;
use crate::rehearse::speed::stage::{Folder, people, stage};
use crate::run;
use crate::smtp::sink::mailboxes::{Mailboxes, Provider};
use crate::smtp::sink::{Keep, Sink, SinkOptions};
use crate::status::RunStatus;
use crate::store::audience::Whom;
use crate::store::runs::{Begun, Plan};

mod stage;

const LOOK: Duration = Duration::from_millis(100);
/// Messages over each connection before anything can be told of it.
const FEW: u64 = 10;
/// What is near enough to a limit to be held up by it.
const NEAR: f64 = 0.8;
/// The share of the time from which on durable writes hold a run up.
const HALF: f64 = 0.5;

/// What to rehearse.
#[derive(Clone, Debug)]
pub struct Wish {
    /// As many recipients, instead of the list's own.
    pub recipients: Option<u64>,
    /// As if every mailbox provider was connected to, instead of a relay that takes everything.
    pub direct: bool,
    /// The rehearsal ends here, and the rest is reckoned from its rate.
    pub at_most: Duration,
}

/// What holds a run up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bottleneck {
    /// Every connection waits for answers all the time.
    Connections,
    Processor,
    /// Commits wait for the disk.
    Disk,
    /// What a minute, an hour or a day of the relays allows.
    Caps,
    /// It was over before anything could be told, or nothing alone held it up.
    None,
}

/// Recipients at one provider, and how many of them it turned away at first.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    pub provider: &'static str,
    pub recipients: u64,
    pub deferred: u64,
}

/// How the run is going to be.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    pub issue: String,
    pub list: String,
    pub recipients: u64,
    /// Messages that were sent in the rehearsal; fewer than `recipients` when it was broken off.
    pub sent: u64,
    pub connections: usize,
    /// Until the recipients stand in the ledger.
    pub freeze_seconds: f64,
    /// What the rehearsal took from there.
    pub measured_seconds: f64,
    pub per_second: f64,
    /// From Send until everyone was tried once.
    pub first_pass_seconds: f64,
    /// From Send until those turned away at first have their mail, too.
    pub finish_seconds: f64,
    pub bottleneck: Bottleneck,
    /// Messages a second that the connections allow at these answers.
    pub connection_limit: f64,
    /// The share of this machine's processors that sender and sink used together.
    pub processor: f64,
    pub durable_write_ms: f64,
    /// Of this process, the sink in it too.
    pub memory_mib: u64,
    pub providers: Vec<Share>,
}

/// Rehearses `built` for `list`. `progress` hears how many of how many are done.
pub async fn run(
    app: &App,
    built: Built,
    list: &str,
    wish: &Wish,
    mut progress: impl FnMut(u64, u64),
) -> anyhow::Result<Forecast> {
    let mix = mix(app, list, wish.recipients).await?;
    let recipients: u64 = mix.iter().sum();
    ensure!(
        recipients > 0,
        "nobody is on `{list}` yet; `--recipients N` rehearses with as many made-up readers"
    );
    let first = app.config.first_relay();
    let (_, first) = first.context("`send.relay` names no relay that is described")?;
    let direct = wish.direct || first.kind == RelayKind::Mx;
    let providers = match direct {
        true => DIRECT.to_vec(),
        false => vec![providers::relay(first.kind)],
    };
    let folder = Folder::new(app)?;
    let mailboxes = Arc::new(Mailboxes::new(&providers));
    let sink = Sink::bind(SinkOptions {
        keep: Keep::Nothing,
        mailboxes: Some(mailboxes.clone()),
        ..SinkOptions::default()
    });
    let sink = sink.await?;
    let stage = stage(app, &folder.0, &sink.url()).await?;
    people(&stage, &folder.0, list, &mix).await?;
    let write = doctor::files::measure(&folder.0.join("durable"))?;
    let issue = built.compiled.slug.clone();
    let progress = |done| progress(done, recipients);
    let Played { watched, used, end } = play(&stage, built, list, wish.at_most, progress).await?;
    stage.store.close().await;
    sink.shutdown().await;
    end?;
    let wait = mean_wait(&providers, &mix, direct);
    let measured = Measured::of(app, &watched, used, write, wait);
    let per_second = measured.per_second;
    let at_this_rate = recipients as f64 / per_second.max(0.001);
    let capped = caps::length(app, recipients, per_second).await?;
    let capped = capped.map_or(0.0, |length| length.as_secs_f64());
    let first_pass_seconds = measured.freeze + at_this_rate.max(capped);
    let shares = shares(&mailboxes, &mix, direct, recipients);
    let deferred: u64 = shares.iter().map(|share| share.deferred).sum();
    let retry = app.config.send.retry.first().copied().unwrap_or_default();
    Ok(Forecast {
        issue,
        list: list.to_owned(),
        recipients,
        sent: measured.sent,
        connections: measured.connections,
        freeze_seconds: measured.freeze,
        measured_seconds: measured.elapsed,
        per_second,
        first_pass_seconds,
        finish_seconds: match deferred {
            0 => first_pass_seconds,
            _ => first_pass_seconds + retry.as_secs_f64(),
        },
        bottleneck: measured.bottleneck(capped > at_this_rate + 60.0),
        connection_limit: measured.connection_limit,
        processor: measured.processor,
        durable_write_ms: write.as_secs_f64() * 1000.0,
        memory_mib: memory_peak(),
        providers: shares,
    })
}

/// How the run on the stage went.
struct Played {
    watched: Watched,
    /// The processor time that it took.
    used: Duration,
    /// Why it did not go to its end, if it failed.
    end: anyhow::Result<()>,
}

/// Sends the issue to the made-up readers, until all have it or the time is over.
async fn play(
    stage: &App,
    built: Built,
    list: &str,
    at_most: Duration,
    progress: impl FnMut(u64),
) -> anyhow::Result<Played> {
    let begun = Instant::now();
    let used = processor_time();
    let id = match run::begin_planned(stage, built, list, &Plan::default(), true)
        .await?
        .begun
    {
        Begun::New(id) => id,
        _ => bail!("the rehearsal's own database holds a run already"),
    };
    let mut watched = Watched::default();
    let (stop, stopped) = watch::channel(false);
    let Taken::Engine(engine) = Engine::take(stage.clone(), stopped).await? else {
        bail!("another process sends from the rehearsal's database");
    };
    let engine = tokio::spawn(engine.run());
    let until = begun + at_most;
    let end = watched.watch(stage, id, begun, until, progress).await;
    stop.send(true).ok();
    engine.await??;
    let used = processor_time().saturating_sub(used);
    Ok(Played { watched, used, end })
}

/// What the run on the stage says of this machine. Times are in seconds.
struct Measured {
    sent: u64,
    connections: usize,
    freeze: f64,
    /// From there on.
    elapsed: f64,
    per_second: f64,
    /// Messages a second that the connections allow.
    connection_limit: f64,
    /// The share of all processors that was used.
    processor: f64,
    /// The share of the time that durable writes took.
    writing: f64,
}

impl Measured {
    /// The run took the processor time `used`, a durable write takes `write`, and a message costs a connection `wait`.
    fn of(
        app: &App,
        watched: &Watched,
        used: Duration,
        write: Duration,
        wait: Duration,
    ) -> Measured {
        let connections = connections(&app.config);
        let elapsed = watched.elapsed.saturating_sub(watched.frozen).as_secs_f64();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let all = watched.elapsed.as_secs_f64().max(0.001);
        // The ledger commits for half of the connections at a time, a message of each.
        let commits = watched.sent as f64 / (connections as f64 / 2.0).max(1.0);
        Measured {
            sent: watched.sent,
            connections,
            freeze: watched.frozen.as_secs_f64(),
            elapsed,
            per_second: watched.sent as f64 / elapsed.max(0.001),
            connection_limit: connections as f64 / wait.as_secs_f64().max(1e-6),
            processor: used.as_secs_f64() / all / cores as f64,
            writing: commits * write.as_secs_f64() / elapsed.max(0.001),
        }
    }

    /// What held the run up, unless the relays' caps will.
    fn bottleneck(&self, capped: bool) -> Bottleneck {
        if capped {
            Bottleneck::Caps
        } else if self.sent < FEW * self.connections as u64 {
            Bottleneck::None
        } else if self.per_second > NEAR * self.connection_limit {
            Bottleneck::Connections
        } else if self.processor > NEAR {
            Bottleneck::Processor
        } else if self.writing > HALF {
            Bottleneck::Disk
        } else {
            Bottleneck::None
        }
    }
}

/// How many readers of the list there are at each provider of [`DIRECT`].
async fn mix(app: &App, list: &str, wanted: Option<u64>) -> anyhow::Result<[u64; 4]> {
    let mut mix = [0; 4];
    if let Some(list) = app.store.list(list).await? {
        let now = app.clock.now();
        let mut after = SubscriberId(0);
        loop {
            let page = {
                let everybody = Whom::default();
                app.store
                    .audience(list.id, everybody, now, after, PAGE)
                    .await?
            };
            let Some(last) = page.last() else { break };
            after = SubscriberId(last.id);
            for reader in &page {
                let domain = reader
                    .address
                    .rsplit_once('@')
                    .map_or("", |(_, domain)| domain);
                let at = DIRECT.iter().position(|one| one.domains.contains(&domain));
                mix[at.unwrap_or(DIRECT.len() - 1)] += 1;
            }
        }
    }
    let Some(wanted) = wanted else {
        return Ok(mix);
    };
    // The same shares, for another number of readers; the usual ones where nobody is known.
    let shares = if mix.iter().sum::<u64>() == 0 {
        USUAL
    } else {
        mix
    };
    let all: u64 = shares.iter().sum();
    let mut scaled =
        shares.map(|share| (u128::from(share) * u128::from(wanted) / u128::from(all)) as u64);
    let largest = (0..scaled.len()).max_by_key(|&at| shares[at]).unwrap_or(0);
    scaled[largest] += wanted - scaled.iter().sum::<u64>();
    Ok(scaled)
}

/// Connections of the relays that carry the run while none of them is broken.
fn connections(config: &Config) -> usize {
    let names = config.relays_of("").unwrap_or_default();
    let relays = names.into_iter().filter_map(|name| config.relay.get(name));
    let first = config.first_relay().map(|(_, relay)| relay.priority);
    let first = relays.filter(|relay| Some(relay.priority) == first);
    first.map(|relay| relay.connections).sum()
}

/// What one message costs a connection, on average.
fn mean_wait(providers: &[Provider], mix: &[u64; 4], direct: bool) -> Duration {
    let one = |provider: &Provider| provider.round_trip + provider.accept;
    if !direct {
        return one(&providers[0]);
    }
    let all: u64 = mix.iter().sum::<u64>().max(1);
    let weighted = providers
        .iter()
        .zip(mix)
        .map(|(provider, share)| one(provider).mul_f64(*share as f64 / all as f64));
    weighted.sum()
}

fn shares(mailboxes: &Mailboxes, mix: &[u64; 4], direct: bool, all: u64) -> Vec<Share> {
    let seen = mailboxes.seen().into_iter().enumerate();
    seen.map(|(index, seen)| Share {
        provider: seen.name,
        recipients: if direct { mix[index] } else { all },
        deferred: seen.turned_away + seen.capped,
    })
    .collect()
}

#[derive(Debug, Default)]
struct Watched {
    frozen: Duration,
    elapsed: Duration,
    sent: u64,
}

impl Watched {
    /// Looks at the run until it ends, or until the time is over.
    async fn watch(
        &mut self,
        stage: &App,
        id: RunId,
        begun: Instant,
        until: Instant,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        loop {
            let run = stage
                .store
                .run(id)
                .await?
                .context("the rehearsal's run is gone")?;
            let counts: Counts = stage.store.counts(id).await?;
            self.elapsed = begun.elapsed();
            self.sent = u64::try_from(counts.sent).unwrap_or_default();
            if run.status == RunStatus::Freezing {
                self.frozen = self.elapsed;
            }
            progress(self.sent);
            match run.status {
                RunStatus::Freezing | RunStatus::Sending => {}
                RunStatus::Finished => return Ok(()),
                other => bail!(
                    "the rehearsal's run is {other}: {}",
                    run.reason.unwrap_or_default()
                ),
            }
            let trouble = Trouble::told(stage).await?;
            if let Some(trouble) = trouble.filter(Trouble::is_standstill) {
                bail!("the rehearsal came to a stop: {}", trouble.sentence());
            }
            if Instant::now() >= until {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The processor time of this process, in user and system mode.
fn processor_time() -> Duration {
    // Fields 14 and 15 of the line, the 12th and 13th behind the name, in hundredths of a second.
    let line = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = line.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|text| text.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that this process held at a time, in MiB; 0 where the system does not tell.
fn memory_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let values: BTreeMap<&str, &str> = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let peak = values
        .get("VmHWM")
        .and_then(|text| text.trim().strip_suffix(" kB"));
    peak.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1024
}
