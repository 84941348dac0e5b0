//! A test site: both listeners on port 0 over a database of its own, a fixed clock, seeded chance.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use pressrun::access;
use pressrun::app::App;
use pressrun::chance::Chance;
use pressrun::clock::{Clock, Timestamp};
use pressrun::config::Config;
use pressrun::http::listener::Limits;
use pressrun::http::{
    Site, ViewRenderer, admin, listener, public_router, serve_admin, serve_public,
};
use pressrun::id::{DeliveryKey, RunId, SubscriptionKey};
use pressrun::keyring::Keyring;
use pressrun::token::{Claim, sign};
use pressrun::track::journal::Journal;
use pressrun::track::leavers::Leavers;
use pressrun::track::{Tracker, fold};
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, watch};

use super::db::Db;
use super::wire::{Answer, request};
use crate::harness::{Database, Engine};

/// 1 November 2026, 12:00 UTC.
pub const NOON: Timestamp = Timestamp(1_793_534_400_000);
pub const RUN: RunId = RunId(2);

const CONFIG: &str = r#"
[publication]
name = "Field <Notes>"
url = "http://127.0.0.1:8080"
postal_address = "1 Press Lane"
list = "weekly"
language = "en"
description = "Notes from the field & the forest."
[from]
name = "Ada"
address = "ada@example.org"
[database]
url = "sqlite:pressrun.db"
connections = 8
[http]
public = "127.0.0.1:8080"
admin = "127.0.0.1:8081"
admin_hosts = ["press.example"]
trusted_proxies = ["127.0.0.1"]
connections = 500
connections_per_address = 400
[relay.main]
kind = "smtp"
url = "smtp://127.0.0.1:25"
tls = "none"
connections = 1
messages_per_connection = 100
connect_timeout = "30s"
command_timeout = "60s"
dot_timeout = "10m"
[send]
relay = "main"
retry = ["5m"]
jitter = 0.2
give_up = "48h"
uncertain = "hold"
linger = "2ms"
lease = "60s"
probe = "10s"
drain = "30s"
[dkim]
selector = "press"
[tracking]
opens = true
clicks = true
[signup]
open = true
per_network_per_minute = 5
per_network_per_hour = 20
address_window = "24h"
confirms_per_hour = 600
form_max_age = "2h"
form_min_age = "3s"
confirm_window = "72h"
remind = false
check_mx = false
[paths]
keyring = "keyring.toml"
emails = "emails"
state = "state"
[log]
level = "info"
format = "text"
"#;

pub struct TestSite {
    pub app: App,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub db: Db,
    pub tracker: Tracker,
    stop: watch::Sender<()>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    session: OnceCell<String>,
    _database: Database,
}

impl TestSite {
    pub async fn new(engine: Engine) -> TestSite {
        TestSite::with(engine, CONFIG, |_| {}).await
    }

    /// With other words in the configuration and other limits.
    pub async fn with(engine: Engine, config: &str, limit: impl Fn(&mut Limits)) -> TestSite {
        let database = Database::new(engine).await;
        TestSite::begin(database, engine, config, limit).await
    }

    /// With files of the author's in its folder.
    pub async fn prepared(engine: Engine, config: &str, prepare: impl Fn(&Path)) -> TestSite {
        let database = Database::new(engine).await;
        prepare(database.path());
        TestSite::begin(database, engine, config, |_| {}).await
    }

    async fn begin(
        database: Database,
        engine: Engine,
        config: &str,
        limit: impl Fn(&mut Limits),
    ) -> TestSite {
        let file = database.path().join("pressrun.toml");
        let config = config.replace("sqlite:pressrun.db", &database.url);
        std::fs::write(&file, config).expect("a configuration");
        let chance = Chance::seeded(11);
        let keyring = Keyring::generate(&chance, NOON);
        let path = database.path().join("keyring.toml");
        keyring.create(&path).expect("a keyring");
        let app = App {
            config: Arc::new(Config::load(&file).expect("the configuration")),
            base: database.path().to_owned(),
            store: database.store().await,
            keyring: Arc::new(keyring),
            clock: Clock::fixed(NOON),
            chance,
        };
        app.claim().await.expect("a database of nobody's");
        let tracker = Tracker::of(&app);
        let site = Site {
            tracker: tracker.clone(),
            view: renderer(),
            confirm_revision: "confirm".into(),
            address_revision: "address".into(),
            moved_revision: "moved".into(),
            back_revision: "back".into(),
            data_revision: "data".into(),
            erase_revision: "erase".into(),
            welcome_revision: Some("welcome".into()),
            goodbye_revision: Some("goodbye".into()),
        };
        let (stop, closing) = watch::channel(());
        let mut limits = Limits::new(&app.config.http);
        limit(&mut limits);
        let leavers = Leavers::start(app.store.clone(), Journal::of(&app));
        let mut tasks = Vec::new();
        let mut bound = Vec::new();
        for router in [
            public_router(app.clone(), site, leavers, &limits),
            admin::router(app.clone(), file.clone(), closing, &limits),
        ] {
            let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            bound.push(socket.local_addr().expect("an address"));
            let mut stopped = stop.subscribe();
            let limits = limits.clone();
            tasks.push(tokio::spawn(async move {
                let stopped = async move {
                    stopped.changed().await.ok();
                };
                listener::run(socket, router, limits, stopped).await;
            }));
        }
        let db = Db::open(engine, &database).await;
        db.exec(
            "insert into lists (id, slug, title, label, created_at)
             values (1, 'weekly', 'The Weekly', 'abc', 0), (2, 'daily', 'The Daily', 'def', 0)",
        )
        .await;
        db.exec(
            "insert into revisions (hash, slug, content, created_at)
             values ('rev', 'week-1', '{}', 0), ('confirm', 'confirm', '{}', 0),
                    ('welcome', 'welcome', '{}', 0), ('address', 'address', '{}', 0), ('moved', 'moved', '{}', 0),
                    ('back', 'back', '{}', 0),
                    ('data', 'data', '{}', 0), ('erase', 'erase', '{}', 0), ('goodbye', 'goodbye', '{}', 0)",
        )
        .await;
        TestSite {
            app,
            public: bound[0],
            admin: bound[1],
            db,
            tracker,
            stop,
            tasks,
            session: OnceCell::new(),
            _database: database,
        }
    }

    /// Serves both sites once more by the program's own entrances: the public one, then the admin one.
    pub async fn serve_again(&self) -> (Served, Served) {
        let tracker = Tracker::start(self.app.store.clone(), self.app.clock.clone());
        let site = Site {
            tracker: tracker.clone(),
            view: renderer(),
            confirm_revision: "confirm".into(),
            address_revision: "address".into(),
            moved_revision: "moved".into(),
            back_revision: "back".into(),
            data_revision: "data".into(),
            erase_revision: "erase".into(),
            welcome_revision: None,
            goodbye_revision: None,
        };
        let app = self.app.clone();
        let public = Served::start(tracker.clone(), |listener, stopped| {
            serve_public(app, site, listener, stopped)
        });
        let app = self.app.clone();
        let file = app.base.join("pressrun.toml");
        let admin = Served::start(tracker, |listener, stopped| {
            serve_admin(app, file, listener, stopped)
        });
        tokio::join!(public, admin)
    }

    /// The same configuration with some words changed.
    pub fn config(changes: &[(&str, &str)]) -> String {
        let mut text = CONFIG.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        text
    }

    /// A finished run to `readers` confirmed readers of the weekly; reader and subscription of delivery
    /// n have the keys 1000 + n. Three links.
    pub async fn seed_run(&self, readers: u32) {
        self.db
            .exec(&format!(
                "insert into runs (id, kind, slug, title, list_id, revision, headers, relay, policy,
                     status, cutoff, frozen_to, recipients, created_at, started_at)
                 values (2, 'issue', 'week-1', 'Week 1', 1, 'rev', '{{}}', 'main', 'hold',
                     'finished', 0, 0, {readers}, {at}, {at})",
                at = NOON.0 - 60_000
            ))
            .await;
        self.db
            .exec(
                "insert into links (revision, link, url, name) values
                 ('rev', 0, 'https://one.example/a?b=c', '1 - Read more'),
                 ('rev', 1, 'https://two.example/', '2 - Paper'),
                 ('rev', 2, 'javascript:alert(1)', '3 - Broken')",
            )
            .await;
        for seq in 0..readers {
            self.seed_reader(seq).await;
        }
        for block in 0..=(readers.saturating_sub(1) / DeliveryKey::BLOCK) {
            let first = block * DeliveryKey::BLOCK;
            let sent = DeliveryKey::BLOCK.min(readers - first);
            self.db
                .exec(&format!(
                    "insert into blocks (run_id, block, sent) values (2, {block}, {sent})"
                ))
                .await;
        }
    }

    async fn seed_reader(&self, seq: u32) {
        let key = 1000 + seq;
        self.db
            .exec(&format!(
                "insert into subscribers (id, address, canonical, hash, name, fields, created_at)
                 values ({key}, 'Reader{seq}@example.org', 'reader{seq}@example.org',
                         unhex('{hash}'), '', '{{}}', 0)",
                hash = self.hash_hex(&format!("reader{seq}@example.org"))
            ))
            .await;
        for (list, key) in [(1, key), (2, 100_000 + key)] {
            self.db
                .exec(&format!(
                    "insert into subscriptions
                         (key, list_id, subscriber_id, status, source, created_at, confirmed_at)
                     values ({key}, {list}, {subscriber}, 'confirmed', 'cli', 0, 0)",
                    subscriber = 1000 + seq
                ))
                .await;
        }
        self.db
            .exec(&format!(
                "insert into deliveries (run_id, seq, subscriber_id, state, due_at, settled_at)
                 values (2, {seq}, {key}, 'sent', 0, {})",
                NOON.0 - 5_000
            ))
            .await;
    }

    pub fn hash_hex(&self, canonical: &str) -> String {
        let hash = self.app.keyring.address_hash(canonical);
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn token(&self, claim: Claim) -> String {
        sign(&self.app.keyring, &claim)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &kind, body).await
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        request(self.public, method, path, headers, body).await
    }

    /// Asks the admin site under `host`, logged in.
    pub async fn ask_admin(&self, path: &str, host: &str) -> Answer {
        let cookie = self.cookie().await;
        let headers = [("Host", host), ("Cookie", cookie.as_str())];
        request(self.admin, "GET", path, &headers, "").await
    }

    /// That the admin site knows none of these pages, also where one is logged in.
    pub async fn has_no_admin_page(&self, paths: &[&str]) {
        for path in paths {
            let status = self.ask_admin(path, "localhost").await.status;
            assert_eq!(status, 404, "{path}");
        }
    }

    /// Sends a form to the admin site as its own page does, logged in.
    pub async fn press_admin(&self, path: &str, body: &str) -> Answer {
        let cookie = self.cookie().await;
        self.press_admin_as(path, body, &cookie).await
    }

    /// The same with this cookie.
    pub async fn press_admin_as(&self, path: &str, body: &str, cookie: &str) -> Answer {
        let origin = format!("http://{}", self.admin);
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", origin.as_str()),
            ("Cookie", cookie),
        ];
        request(self.admin, "POST", path, &headers, body).await
    }

    /// The cookie of a session on the admin site; begun by a link at the first call.
    pub async fn cookie(&self) -> String {
        let begin = async {
            let token = access::new_link(&self.app).await.expect("a link");
            let answer = self
                .press_admin_as(&format!("/login/{token}"), "", "")
                .await;
            session_of(&answer).expect("a session")
        };
        self.session.get_or_init(|| begin).await.clone()
    }

    /// One counter of the run's blocks, summed, once all that is in the log is counted.
    pub async fn counter(&self, column: &str) -> i64 {
        fold::catch_up(&self.app.store).await.expect("a fold");
        let sum = format!(
            "select cast(coalesce(sum({column}), 0) as bigint) from blocks where run_id = 2"
        );
        self.db.number(&sum).await
    }

    pub async fn status(&self, key: i64) -> String {
        let query = format!("select status from subscriptions where key = {key}");
        self.db.text(&query).await.unwrap_or_default()
    }

    /// Runs the program on this site's configuration: exit code, stdout, stderr.
    pub fn command(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pressrun"))
            .arg("--config")
            .arg(self.app.base.join("pressrun.toml"))
            .args(arguments)
            .output()
            .expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// Stops both listeners and the writer; a request that is still under way fails the test.
    pub async fn stop(self) {
        self.stop.send(()).ok();
        for task in self.tasks {
            let ended = tokio::time::timeout(Duration::from_secs(60), task).await;
            ended.expect("a listener ends at once").expect("no panic");
        }
        self.tracker.close().await;
        self.db.close().await;
        self.app.store.close().await;
    }
}

/// The session's cookie that an answer sets, as the browser sends it back.
pub fn session_of(answer: &Answer) -> Option<String> {
    let (pair, _) = answer.header("set-cookie")?.split_once(';')?;
    Some(pair.to_owned())
}

/// One site that serves until it is told to stop.
pub struct Served {
    pub at: SocketAddr,
    pub tracker: Tracker,
    pub stop: watch::Sender<()>,
    pub task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Served {
    async fn start<F: Future<Output = anyhow::Result<()>> + Send + 'static>(
        tracker: Tracker,
        serve: impl FnOnce(TcpListener, BoxFuture<'static, ()>) -> F,
    ) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let (stop, mut stopped) = watch::channel(());
        let stopped = async move {
            stopped.changed().await.ok();
        };
        let task = tokio::spawn(serve(listener, Box::pin(stopped)));
        Served {
            at,
            tracker,
            stop,
            task,
        }
    }
}

pub fn delivery(seq: u32) -> DeliveryKey {
    DeliveryKey { run: RUN, seq }
}

pub fn unsubscribe(seq: u32) -> Claim {
    Claim::Unsubscribe(SubscriptionKey(1000 + i64::from(seq)), delivery(seq))
}

fn renderer() -> ViewRenderer {
    Arc::new(|key| {
        Box::pin(async move {
            Ok((key.seq == 0).then(|| "<p style=\"color:red\">the copy</p>".to_owned()))
        })
    })
}
