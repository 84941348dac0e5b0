//! A publication with a list, readers and a folder of its own, and what the tests ask of it.

use pressrun::address::EmailAddress;
use pressrun::app::App;
use pressrun::chance::Chance;
use pressrun::clock::{Clock, Timestamp};
use pressrun::config::Config;
use pressrun::id::SubscriptionKey;
use pressrun::import::{self, Import, Summary, export};
use pressrun::keyring::Keyring;
use pressrun::lists;
use pressrun::subscriber::{Status, Subscriber, Subscription};

use crate::harness::{Database, Engine};

/// 2026-07-31T08:00:00Z.
pub const NOON: Timestamp = Timestamp(1_785_484_800_000);

/// A publication with a list, readers and a folder of its own.
pub struct Desk {
    pub app: App,
    pub database: Database,
}

impl Desk {
    /// Why the reader behind `key`, who has left, says that she did.
    pub async fn says(&self, key: SubscriptionKey, reason: &str, words: &str) {
        let (key, at) = (key.0, self.app.clock.now().0);
        let said = format!(
            "insert into leave_reasons (subscription, at, reason, words) values ({key}, {at}, '{reason}', '{words}')
             on conflict (subscription) do update
             set at = excluded.at, reason = excluded.reason, words = excluded.words"
        );
        self.database.raw(&said).await;
    }

    pub async fn new(engine: Engine) -> Desk {
        let database = Database::new(engine).await;
        let base = database.path();
        let chance = Chance::seeded(7);
        Keyring::generate(&chance, NOON)
            .create(&base.join("keyring.toml"))
            .expect("a keyring");
        std::fs::create_dir(base.join("emails")).expect("a folder");
        let fields = "[fields.city]\ntype = \"text\"\n[fields.issues]\ntype = \"number\"\n";
        std::fs::write(base.join("emails/fields.toml"), fields).expect("a file");
        let config = format!(
            "[publication]\nname = \"Weekly\"\nurl = \"https://news.example\"\n\
             postal_address = \"Here\"\n[from]\naddress = \"a@news.example\"\n\
             [relay.main]\nurl = \"smtp://relay.example\"\n[database]\nurl = \"{}\"\n",
            database.url
        );
        let config = Config::from_text(&config).expect("a configuration");
        let mut app = App::open(config, base).await.expect("an open app");
        app.clock = Clock::fixed(NOON);
        app.chance = chance;
        Desk { app, database }
    }

    /// An import of `text`, confirmed and not said so.
    pub fn job(&self, text: &str) -> Import {
        let file = self.database.path().join("readers.csv");
        std::fs::write(&file, text).expect("a file");
        Import {
            file,
            list: "weekly".into(),
            status: Status::Confirmed,
            confirm: false,
            consent: "they asked".into(),
            map: Vec::new(),
            accept_taken_off: true,
            by: None,
            dry_run: false,
        }
    }

    pub async fn import(&self, text: &str) -> Summary {
        self.run(&self.job(text)).await
    }

    pub async fn run(&self, job: &Import) -> Summary {
        let summary = import::run(&self.app, job, |_| {})
            .await
            .expect("an import");
        let counted = [
            summary.tally.added,
            summary.tally.confirmed,
            summary.tally.updated,
            summary.tally.known,
            summary.tally.left,
            summary.tally.taken_off,
            summary.tally.barred,
            summary.tally.unsubscribed,
            summary.tally.suppressed,
            summary.duplicates,
            summary.rejected,
        ];
        assert_eq!(
            counted.iter().sum::<u64>(),
            summary.rows,
            "every row is counted once"
        );
        summary
    }

    pub async fn reader(&self, address: &str) -> Option<(Subscriber, Vec<Subscription>)> {
        let address = EmailAddress::parse(address).expect("an address");
        let store = &self.app.store;
        let reader = store
            .subscriber(&address.canonical())
            .await
            .expect("a read")?;
        let subscriptions = store.subscriptions(reader.id).await.expect("a read");
        Some((reader, subscriptions))
    }

    pub async fn status(&self, address: &str) -> Option<Status> {
        let (_, subscriptions) = self.reader(address).await?;
        assert!(subscriptions.len() < 2);
        subscriptions
            .first()
            .map(|subscription| subscription.status)
    }

    pub async fn leave(&self, address: &str) {
        let (_, subscriptions) = self.reader(address).await.expect("a reader");
        let key = subscriptions[0].key;
        assert!(self.app.store.leave(key, NOON).await.expect("a write"));
        assert!(!self.app.store.leave(key, NOON).await.expect("a write"));
    }

    pub async fn suppress(&self, address: &str) {
        let address = EmailAddress::parse(address).expect("an address");
        let hash = self.app.keyring.address_hash(&address.canonical());
        assert!(
            self.app
                .store
                .suppress(&address.canonical(), &hash, "complained", NOON)
                .await
                .expect("a write")
        );
        assert!(
            !self
                .app
                .store
                .suppress(&address.canonical(), &hash, "bounced", NOON)
                .await
                .expect("a write")
        );
        let found = self.app.store.suppression(&hash).await.expect("a read");
        assert_eq!(found, Some(("complained".into(), NOON)));
    }

    /// The list as CSV.
    pub async fn exported(&self) -> String {
        let list = lists::find(&self.app, "weekly").await.expect("the list");
        let mut out = Vec::new();
        export::csv(&self.app, list.id, None, &mut out)
            .await
            .expect("an export");
        String::from_utf8(out).expect("text")
    }

    /// All that is kept, as JSON lines.
    pub async fn lines(&self) -> String {
        let mut out = Vec::new();
        export::lines(&self.app, None, None, &mut out)
            .await
            .expect("an export");
        String::from_utf8(out).expect("text")
    }
}
