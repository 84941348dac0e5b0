//! A rig for the engine: a publication with its own database and readers, a scripted sink as its relay.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use pressrun::app::App;
use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::compile::{Compiled, Context, Link, Segment, Slot, Template};
use pressrun::config::Config;
use pressrun::deliver::trouble::Trouble;
use pressrun::deliver::{Engine as Sender, Taken};
use pressrun::delivery::{Counts, State};
use pressrun::id::{ListId, RunId};
use pressrun::keyring::Keyring;
use pressrun::run;
use pressrun::smtp::sink::script::Script;
use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;
use pressrun::store::runs::{Begun, NewRun, Plan, Run};
use pressrun::store::verify::DeliveryRow;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::{Database, Engine};

/// Long enough for a machine that compiles beside the tests; nothing waits for it in a good run.
const PATIENCE: Duration = Duration::from_secs(180);
/// The same for the long form of the fault tests.
const LONG: Duration = Duration::from_secs(1_800);

/// What a test wants otherwise.
pub struct Wish {
    pub readers: Vec<String>,
    pub connections: usize,
    pub sink: SinkOptions,
    /// Lines for `[relay.main]` and for `[send]`.
    pub relay: &'static str,
    pub send: &'static str,
    /// The relay's, where it is not the sink.
    pub url: Option<String>,
    /// Sections of the test's own.
    pub sections: String,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish {
            readers: readers(40),
            connections: 4,
            sink: SinkOptions::default(),
            relay: "",
            send: "",
            url: None,
            sections: String::new(),
        }
    }
}

pub struct Rig {
    pub app: App,
    pub sink: Sink,
    pub database: Database,
    engine: Engine,
    wish_send: String,
    wish_relay: String,
    wish_sections: String,
}

/// An engine at work.
pub struct Sending {
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<anyhow::Result<()>>,
}

impl Sending {
    pub async fn stop(self) {
        self.stop.send(true).expect("an engine that listens");
        self.ended().await;
    }

    async fn ended(self) {
        let ended = self.task.await.expect("no panic");
        ended.expect("an engine without a fault");
    }
}

/// `count` readers whose mail goes through.
pub fn readers(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("reader{number}@example.org"))
        .collect()
}

/// `count` readers; of each word, so many ask for that fault by their local part.
pub fn faulty(count: usize, words: &[(usize, &str)]) -> Vec<String> {
    let mut all = readers(count);
    let faults = words.iter().flat_map(|&(times, word)| vec![word; times]);
    // Spread out, so that faults meet different connections.
    for (index, word) in faults.enumerate() {
        let at = (index * 7 + 3) % count;
        all[at] = format!("reader{at}+{word}@example.org");
    }
    all
}

pub fn script(text: &str) -> Script {
    Script::parse(text).expect("a script")
}

impl Rig {
    pub async fn new(engine: Engine, wish: Wish) -> Rig {
        let database = Database::new(engine).await;
        let sink = Sink::bind(wish.sink).await.expect("a sink");
        let keyring = Keyring::generate(&Chance::seeded(3), Timestamp(0));
        keyring
            .create(&database.path().join("keyring.toml"))
            .expect("a keyring");
        let relay = format!(
            "{}url = \"{}\"\nconnections = {}\n{}",
            if wish.relay.contains("tls = ") {
                ""
            } else {
                "tls = \"none\"\n"
            },
            wish.url.unwrap_or_else(|| sink.url()),
            wish.connections,
            wish.relay
        );
        let app = open(&database, &relay, wish.send, &wish.sections).await;
        database
            .raw("insert into lists values (1, 'weekly', 'The Weekly', 'l1', 0)")
            .await;
        let numbered: Vec<(usize, &String)> = (1..).zip(&wish.readers).collect();
        // SQLite copies the whole text for each statement in it.
        for some in numbered.chunks(1_000) {
            let reader = |&(id, address): &(usize, &String)| {
                let hash = keyring.address_hash(address);
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                let hash = match engine {
                    Engine::Sqlite => format!("x'{hash}'"),
                    Engine::Postgres => format!("'\\x{hash}'"),
                };
                format!("({id}, '{address}', '{address}', {hash}, 'R {id}', '{{}}', 0)")
            };
            let standing = |(id, _): &(usize, &String)| {
                format!("({id}, 1, {id}, 'confirmed', 'cli', 0, 5, null)")
            };
            let readers: Vec<String> = some.iter().map(reader).collect();
            let standings: Vec<String> = some.iter().map(standing).collect();
            let sql = format!(
                "insert into subscribers (id, address, canonical, hash, name, fields, created_at)
                 values {};
                 insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at, left_at)
                 values {}",
                readers.join(", "),
                standings.join(", ")
            );
            database.raw(&sql).await;
        }
        Rig {
            app,
            sink,
            database,
            engine,
            wish_send: wish.send.to_owned(),
            wish_relay: relay,
            wish_sections: wish.sections,
        }
    }

    /// The same publication opened once more, as another process or another machine would.
    pub async fn another(&self, send: &str) -> App {
        let send = format!("{}\n{send}", self.wish_send);
        open(&self.database, &self.wish_relay, &send, &self.wish_sections).await
    }

    /// More lines for `[relay.main]`, and more relays behind them.
    pub async fn more_relays(&mut self, relay: &str, send: &str) {
        self.wish_relay += &format!("\n{relay}");
        self.wish_send += &format!("\n{send}");
        self.app = open(
            &self.database,
            &self.wish_relay,
            &self.wish_send,
            &self.wish_sections,
        )
        .await;
    }

    /// A run of a small issue to everyone on the list.
    pub async fn begin(&self) -> RunId {
        self.begin_as(&Plan::default(), "Little").await
    }

    /// The same through the relays named; those of `send.relay` when none is.
    pub async fn begin_through(&self, relay: &str) -> RunId {
        let plan = Plan::default();
        new_run(self.ask_through(relay, &plan, "Little", true).await)
    }

    /// A run of the small issue with this preheader, as planned.
    pub async fn begin_as(&self, plan: &Plan, preheader: &str) -> RunId {
        new_run(self.ask(plan, preheader, true).await)
    }

    /// What comes of asking for a run of the small issue.
    pub async fn ask(&self, plan: &Plan, preheader: &str, again: bool) -> Begun {
        self.ask_through("", plan, preheader, again).await
    }

    async fn ask_through(&self, relay: &str, plan: &Plan, preheader: &str, again: bool) -> Begun {
        let app = &self.app;
        let compiled = Compiled {
            preheader: Template(vec![Segment::Literal(preheader.into())]),
            ..small_issue()
        };
        let revision = run::keep_revision(app, &compiled, &[])
            .await
            .expect("a revision");
        let headers = run::headers(app, Some(ListId(1)), "small")
            .await
            .expect("headers");
        let new = NewRun {
            slug: "small",
            title: "Small",
            list: ListId(1),
            revision: &revision,
            headers: &serde_json::to_string(&headers).expect("JSON"),
            relay,
            parts: &[],
            policy: app.config.send.uncertain,
        };
        let begun = app
            .store
            .begin_run(&new, plan, None, again, app.clock.now())
            .await;
        begun.expect("an answer")
    }

    pub async fn start(&self) -> Sending {
        start(&self.app).await
    }

    /// Stops an engine whose copies the sink holds: it has heard it before any of them is answered.
    pub async fn stop_held(&self, sending: Sending) {
        sending.stop.send(true).expect("an engine that listens");
        self.sink.release();
        sending.ended().await;
    }

    /// Waits until nothing stands at the dot and nothing more is taken.
    pub async fn at_rest(&self, run: RunId) -> Counts {
        let rests = until(async || {
            let before = self.sink.counts().accepted;
            tokio::time::sleep(Duration::from_millis(60)).await;
            let counts = self.app.store.counts(run).await.expect("counters");
            counts.at_dot == 0 && self.sink.counts().accepted == before
        });
        assert!(rests.await, "{:?}", self.sink.counts());
        self.balanced(run).await
    }

    /// Sends until the run is finished.
    pub async fn finish(&self, run: RunId) -> Counts {
        let sending = self.start().await;
        self.wait_status(run, RunStatus::Finished).await;
        sending.stop().await;
        self.balanced(run).await
    }

    pub async fn run(&self, run: RunId) -> Run {
        let found = self.app.store.run(run).await.expect("a read");
        found.expect("the run")
    }

    pub async fn wait_status(&self, run: RunId, status: RunStatus) -> Run {
        let reached = async || self.run(run).await.status == status;
        let done = until(reached).await;
        let found = self.run(run).await;
        let counts = self.app.store.counts(run).await.expect("counters");
        assert!(
            done,
            "waited for {status}: {found:?}, {counts:?}, {}",
            self.trouble().await
        );
        found
    }

    pub async fn wait_accepted(&self, number: usize) {
        let reached = until(async || self.sink.counts().accepted >= number as u64).await;
        assert!(
            reached,
            "waited for {number} messages: {:?}",
            self.sink.counts()
        );
    }

    pub async fn trouble(&self) -> String {
        let told = Trouble::told(&self.app).await.expect("a read");
        told.map(|trouble| trouble.sentence()).unwrap_or_default()
    }

    pub async fn wait_trouble(&self) -> String {
        assert!(until(async || !self.trouble().await.is_empty()).await);
        self.trouble().await
    }

    /// Waits until the first delivery of the run is as `asked`.
    pub async fn wait_row(&self, run: RunId, asked: impl Fn(&DeliveryRow) -> bool) {
        let reached = async || self.rows(run).await.first().is_some_and(&asked);
        let reached = until(reached).await;
        let (rows, run) = (self.rows(run).await, self.run(run).await);
        assert!(reached, "{rows:?} of {run:?}");
    }

    /// Waits until of a run's deliveries, each tried once, two are put off and charged, and all others sent.
    pub async fn two_are_put_off(&self, run: RunId, what: &str) {
        let reached = async || {
            let rows = self.rows(run).await;
            let queued = rows.iter().filter(|row| row.state == "queued").count();
            let sent = rows.iter().filter(|row| row.state == "sent").count();
            queued == 2 && sent + 2 == rows.len() && rows.iter().all(|row| row.attempts == 1)
        };
        assert!(until(reached).await, "{what}: {:?}", self.rows(run).await);
    }

    pub async fn rows(&self, run: RunId) -> Vec<DeliveryRow> {
        let rows = self.app.store.deliveries(run, None, -1, 100_000).await;
        rows.expect("the rows")
    }

    /// The counters, after they were held against rows and recipients.
    pub async fn balanced(&self, run: RunId) -> Counts {
        let found = self.run(run).await;
        let verified = run::verify::one(&self.app, &found).await.expect("a look");
        assert!(verified.balanced, "{:?}", verified.faults);
        verified.counts
    }

    /// How many messages the sink took for each address.
    pub fn accepted(&self) -> BTreeMap<String, usize> {
        let mut taken = BTreeMap::new();
        for message in self.sink.accepted() {
            for recipient in message.rcpt {
                *taken.entry(recipient).or_default() += 1;
            }
        }
        taken
    }

    /// The sink's log against the ledger: nothing lost, doubled, or sent without having been taken.
    pub async fn assert_true(&self, run: RunId) {
        let taken = self.accepted();
        for row in self.rows(run).await {
            let address = row.address.clone().expect("an address");
            let times = taken.get(&address).copied().unwrap_or(0);
            let state = State::parse(&row.state).expect("a state");
            let right = match state {
                State::Sent => times == 1,
                State::Uncertain => times <= 1,
                _ => times == 0,
            };
            assert!(right, "{times} messages taken for {row:?}");
        }
    }

    /// Two numbers of each row that a statement of the test's own gives.
    pub async fn pairs(&self, statement: &str) -> Vec<(i64, i64)> {
        let statement = AssertSqlSafe(statement.to_owned());
        match self.engine {
            Engine::Sqlite => {
                let file = self.database.path().join("pressrun.db");
                let options = SqliteConnectOptions::new().filename(file);
                let mut conn = options.connect().await.expect("a connection");
                let rows = sqlx::query_as(statement).fetch_all(&mut conn).await;
                rows.expect("rows")
            }
            Engine::Postgres => {
                let options: PgConnectOptions = self.database.url.parse().expect("a URL");
                let mut conn = options.connect().await.expect("a connection");
                let rows = sqlx::query_as(statement).fetch_all(&mut conn).await;
                rows.expect("rows")
            }
        }
    }
}

/// Takes the engine of `app` and lets it run.
pub async fn start(app: &App) -> Sending {
    let (stop, stopped) = watch::channel(false);
    let Taken::Engine(engine) = Sender::take(app.clone(), stopped).await.expect("a try") else {
        panic!("another engine is at work");
    };
    let task = tokio::spawn(engine.run());
    Sending { stop, task }
}

fn patience() -> Duration {
    match std::env::var("PRESSRUN_FAULTS").is_ok_and(|form| form == "long") {
        true => LONG,
        false => PATIENCE,
    }
}

/// Polls until it is so; false after the patience is at its end.
pub async fn until<F: Future<Output = bool>>(check: impl Fn() -> F) -> bool {
    let end = Instant::now() + patience();
    while Instant::now() < end {
        if check().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

async fn open(database: &Database, relay: &str, send: &str, sections: &str) -> App {
    let defaults = [
        ("retry", "retry = [\"30ms\"]"),
        ("jitter", "jitter = 0.0"),
        ("probe", "probe = \"10ms\""),
        ("linger", "linger = \"0s\""),
        ("give_up", "give_up = \"1h\""),
        ("node", "node = \"one\""),
    ];
    // What a test says takes the place of the rig's own; the last one wins.
    let key = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
    let mut keys: BTreeMap<String, String> = defaults
        .iter()
        .map(|&(key, line)| (key.to_owned(), line.to_owned()))
        .collect();
    for line in send.lines().filter(|line| !line.trim().is_empty()) {
        keys.insert(key(line.trim()), line.trim().to_owned());
    }
    let send: Vec<String> = keys.into_values().collect();
    let text = format!(
        "[publication]\nname = \"The Weekly\"\nurl = \"https://news.example.org\"\n\
         postal_address = \"1 Press Lane\"\n[from]\naddress = \"author@news.example.org\"\n\
         [database]\nurl = \"{}\"\n[relay.main]\n{relay}\n[send]\n{}\n{sections}\n",
        database.url,
        send.join("\n")
    );
    let config = Config::from_text(&text).expect("a configuration");
    App::open(config, database.path()).await.expect("an app")
}

fn new_run(begun: Begun) -> RunId {
    match begun {
        Begun::New(run) => run,
        other => panic!("no new run: {other:?}"),
    }
}

pub fn small_issue() -> Compiled {
    let text = |text: &str| Segment::Literal(text.into());
    let name = |context| {
        Segment::Slot(Slot::Field {
            name: "name".into(),
            default: "reader".into(),
            context,
            notation: None,
        })
    };
    Compiled {
        slug: "small".into(),
        title: "Small".into(),
        subject: Template(vec![text("Small news for "), name(Context::Header)]),
        preheader: Template(vec![Segment::Literal("Little".into())]),
        html: Template(vec![
            text("<p>Dear "),
            name(Context::Html),
            text(",</p>\n<p><a href=\""),
            Segment::Slot(Slot::Click(0)),
            text("\">more</a> <a href=\""),
            Segment::Slot(Slot::Unsubscribe),
            text("\">leave</a></p>\n"),
        ]),
        text: Template(vec![
            text("Dear "),
            name(Context::Text),
            text(",\n\nleave: "),
            Segment::Slot(Slot::Unsubscribe),
            text("\n"),
        ]),
        links: vec![Link {
            url: "https://example.org/".into(),
            name: "1 - more".into(),
        }],
        images: Vec::new(),
        only: Vec::new(),
    }
}
