//! The database and the clocks: a commit must be durable, and time must be one.

use secrecy::ExposeSecret;

use super::{Desk, Findings};
use crate::app::keys;
use crate::clock::Timestamp;
use crate::deliver::{self, setup};
use crate::keyring::Keyring;
use crate::lists;
use crate::notice::failing::{ADVICE, failing};
use crate::store::durability::Durability;
use crate::store::{Store, StoreError};

/// Opened for a look: nothing is migrated, nothing is made.
pub(super) async fn open(desk: &Desk<'_>) -> anyhow::Result<Option<Store>> {
    let url = desk.config.database.url.expose_secret();
    if let Some(file) = url.strip_prefix("sqlite:")
        && !desk.base.join(file.trim_start_matches("//")).is_file()
    {
        return Ok(None);
    }
    Store::connect(url, desk.base, 2).await.map(Some)
}

pub(super) async fn look(desk: &Desk<'_>, out: &mut Findings) {
    let store = match open(desk).await {
        Ok(Some(store)) => store,
        Ok(None) => {
            return out.warn(
                "database",
                "there is no database yet",
                "the first command that needs one makes it, for example `pressrun lists show`",
            );
        }
        Err(error) => return closed(&error, out),
    };
    match store.durability().await {
        Ok(found) => tell(&found, out),
        Err(error) => out.error(
            "database",
            format!("the database does not answer: {error}"),
            "look at its own log",
        ),
    }
    tables(&store, out).await;
    if let Ok(missing) = lists::not_there(desk.config, &store).await {
        for slug in missing {
            out.warn(
                "signup-lists",
                format!("`signup.lists` names `{slug}`, and no list is called so: nobody can sign up for it"),
                format!("correct the name, or run `pressrun lists add {slug} --title TITLE`"),
            );
        }
    }
    if let Some(keyring) = &desk.keyring {
        owner(&store, keyring, out).await;
    }
    senders(desk, &store, out).await;
    webhook(desk, &store, out).await;
    generation(desk, &store, out).await;
    store.close().await;
}

/// A database that cannot be opened.
fn closed(error: &anyhow::Error, out: &mut Findings) {
    let damaged = error
        .downcast_ref::<StoreError>()
        .is_some_and(StoreError::is_damaged);
    let advice = match damaged {
        true => "stop sending and go back to the last backup",
        false => "start it, or correct `database.url`",
    };
    out.error(
        "database",
        format!("the database cannot be opened: {error:#}"),
        advice,
    );
}

/// Whether the keyring is the one under which the database was written.
async fn owner(store: &Store, keyring: &Keyring, out: &mut Findings) {
    match store.belongs_to(keyring).await {
        Ok(true) => {
            out.ok("keyring-owner", "the keyring and the database belong together");
            known_keys(store, keyring, out).await;
        }
        Ok(false) => out.error(
            "keyring-owner",
            "the keyring (`paths.keyring`) does not belong to this database: nobody suppressed is recognised, \
             and no link already sent opens",
            "restore the keyring that was there from a backup",
        ),
        Err(_) => out.unknown("keyring-owner", "the database holds no tables yet"),
    }
}

/// Whether the processes that send go by the configuration at hand, and by the same on all machines.
async fn senders(desk: &Desk<'_>, store: &Store, out: &mut Findings) {
    match setup::is_outdated(store, desk.config, "").await {
        Ok(None) => {}
        Ok(Some(why)) => out.warn(
            "sender",
            why,
            "a run begun now would go out half by the old configuration",
        ),
        // No tables yet: another check tells it.
        Err(_) => {}
    }
    for amiss in setup::amiss(store, desk.config).await.unwrap_or_default() {
        out.warn(
            "nodes",
            amiss,
            "what differs between machines is said until it does not",
        );
    }
}

/// Whether the webhook takes notices.
async fn webhook(desk: &Desk<'_>, store: &Store, out: &mut Findings) {
    match failing(store, desk.config).await {
        Ok(Some(failing)) => out.warn("webhook", failing.says, ADVICE),
        Ok(None) if desk.config.notify.webhook.is_some() => {
            out.ok(
                "webhook",
                "the webhook took the last notice that it was asked about, if any",
            );
        }
        // No tables yet: another check tells it.
        Ok(None) | Err(_) => {}
    }
}

/// Whether this machine remembers a newer database than this one.
async fn generation(desk: &Desk<'_>, store: &Store, out: &mut Findings) {
    let state = desk.base.join(&desk.config.paths.state);
    match deliver::is_older(store, &state).await {
        Ok(None) => out.ok(
            "generation",
            "the database is the newest that this machine knows of",
        ),
        Ok(Some(why)) => out.error(
            "generation",
            format!("nothing is sent: {why}"),
            "look at what was sent meanwhile, then say `pressrun resume --yes`",
        ),
        // No tables yet, or `state` is in the way: other checks tell it.
        Err(_) => {}
    }
}

/// Whether a database that is up to date holds all that its migrations made; of another one nobody asks.
async fn tables(store: &Store, out: &mut Findings) {
    if !matches!(store.migration().await, Ok(Some(here)) if here == Store::newest_migration()) {
        return;
    }
    match store.strays().await {
        Ok(strays) if strays.is_empty() => {
            out.ok("tables", "every table, index and trigger is there")
        }
        Ok(strays) => {
            for stray in strays {
                out.error(
                    "tables",
                    stray.words(),
                    "send nothing and go back to the last backup: somebody changed the schema by hand",
                );
            }
        }
        Err(error) => out.unknown("tables", error.to_string()),
    }
    match store.dangling().await {
        Ok(rows) => {
            for (table, number) in rows {
                out.error(
                    "references",
                    format!("{number} rows of `{table}` name something that is gone"),
                    "go back to the last backup, or ask `pressrun verify` what else does not hold",
                );
            }
        }
        Err(error) => out.unknown("references", error.to_string()),
    }
}

/// Whether each key that the database knows is in the keyring, and the same.
async fn known_keys(store: &Store, keyring: &Keyring, out: &mut Findings) {
    match keys::compare(store, keyring).await {
        Ok(found) if found.faults().is_empty() => out.ok(
            "keyring-keys",
            "every key that the database knows is in the keyring",
        ),
        Ok(found) => {
            for fault in found.faults() {
                out.error("keyring-keys", fault, keys::NEWEST);
            }
        }
        Err(_) => out.unknown("keyring-keys", "the database holds no tables yet"),
    }
}

fn tell(found: &Durability, out: &mut Findings) {
    match found {
        Durability::Sqlite {
            version,
            journal,
            synchronous,
            octets,
            integrity,
            ahead,
        } => {
            out.ok(
                "database",
                format!("SQLite {version}, {} MiB", octets / (1024 * 1024)),
            );
            sqlite_commit(journal, *synchronous, out);
            pages(integrity.as_deref(), out);
            if *ahead {
                out.error(
                    "schema",
                    "a newer pressrun has used this database",
                    "use that version; an older one does not know what it reads",
                );
            }
        }
        Durability::Postgres {
            version,
            settings,
            standby,
            followers,
        } => {
            out.ok("database", format!("PostgreSQL {version}"));
            let setting = |name: &str| {
                let found = settings.iter().find(|(known, _)| known == name);
                found.map_or("", |(_, setting)| setting.as_str())
            };
            postgres_commit(setting, out);
            let waits = !setting("synchronous_standby_names").is_empty();
            replication(*standby, *followers, waits, out);
        }
    }
}

fn sqlite_commit(journal: &str, synchronous: i64, out: &mut Findings) {
    if journal == "wal" && synchronous >= 2 {
        out.ok(
            "commit",
            "a commit is on the disk before anything leaves (WAL, synchronous full)",
        );
    } else {
        out.error(
            "commit",
            format!(
                "a commit may be lost in a power cut (journal {journal}, synchronous {synchronous})"
            ),
            "the file may lie where WAL is not possible; move it to a disk of this machine",
        );
    }
}

/// What a look through all pages of the file found; none when it is too large for that.
fn pages(integrity: Option<&str>, out: &mut Findings) {
    match integrity {
        Some("ok") => out.ok("integrity", "every page of the file is sound"),
        Some(fault) => out.error(
            "integrity",
            format!("the file is damaged: {fault}"),
            "stop sending and go back to the last backup",
        ),
        None => out.unknown(
            "integrity",
            "the file is too large for a look through all its pages",
        ),
    }
}

fn postgres_commit<'a>(setting: impl Fn(&str) -> &'a str, out: &mut Findings) {
    let off: Vec<&str> = ["fsync", "full_page_writes"]
        .into_iter()
        .filter(|name| setting(name) != "on")
        .collect();
    let commit = setting("synchronous_commit");
    if !off.is_empty() {
        out.error(
            "commit",
            format!(
                "a power cut may damage the database: {} is off",
                off.join(" and ")
            ),
            "switch it on in postgresql.conf and restart the server",
        );
    } else if commit == "off" {
        out.error(
            "commit",
            "a commit may be lost in a crash: synchronous_commit is off",
            "the connection asks for `on`; something between here and the server takes it back",
        );
    } else {
        out.ok(
            "commit",
            format!("a commit is on the disk before anything leaves (synchronous_commit {commit})"),
        );
    }
}

/// Whether other servers follow, and a commit `waits` for them.
fn replication(standby: bool, followers: i64, waits: bool, out: &mut Findings) {
    if standby {
        out.error(
            "replication",
            "the server is a standby and takes no writes",
            "let `database.url` name the primary",
        );
    } else if followers > 0 && !waits {
        out.warn(
            "replication",
            "standbys follow asynchronously: after a failover, the last markers may be missing",
            "after a failover say `pressrun resume --yes` only when you know which mails left",
        );
    } else {
        out.ok("replication", format!("{followers} standbys follow"));
    }
}

/// Seconds by which clocks may differ before anyone minds, and before times are wrong.
const DRIFT: i64 = 5;
const WRONG: i64 = 60;

pub(super) async fn clock(desk: &Desk<'_>, out: &mut Findings) {
    let Ok(Some(store)) = open(desk).await else {
        return out.unknown(
            "newest-row",
            "there is no database to hold the clock against",
        );
    };
    let now = desk.clock.now();
    match store.instants().await {
        Ok(found) => {
            let ahead = found.newest - now.0;
            if ahead > WRONG * 1000 {
                out.error(
                    "newest-row",
                    format!(
                        "the clock says {}, and the database holds something of {}",
                        now.to_rfc3339(),
                        Timestamp(found.newest).to_rfc3339()
                    ),
                    "set the clock (NTP); the database may also be another machine's",
                );
            } else {
                out.ok("newest-row", "nothing in the database is of the future");
            }
            if let Some(database) = found.database {
                differ(
                    "database-clock",
                    "PostgreSQL's clock",
                    database - now.0,
                    out,
                );
            }
        }
        Err(_) => out.unknown("newest-row", "the database holds no tables yet"),
    }
    store.close().await;
}

/// Tells how far another clock is ahead, in milliseconds.
pub(super) fn differ(check: &'static str, whose: &str, ahead: i64, out: &mut Findings) {
    let seconds = ahead.abs() / 1000;
    let says = format!("{whose} is {seconds} s away from this machine's");
    let advice = "let both machines follow NTP";
    if seconds > WRONG {
        out.error(check, says, advice);
    } else if seconds > DRIFT {
        out.warn(check, says, advice);
    } else {
        out.ok(check, format!("{whose} and this machine's agree"));
    }
}
