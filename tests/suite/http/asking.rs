//! Readers who were brought as pending, and the one mail that asks them.

use pressrun::id::{ListId, SubscriptionKey};
use pressrun::import::{self, Import};
use pressrun::signup::pending::{Tally, ask, count};
use pressrun::subscriber::Status;
use pressrun::token::Claim;

use super::site::TestSite;
use crate::harness::Engine;
use crate::on_both;

impl TestSite {
    async fn bring(&self, addresses: &str, status: Status, consent: &str, confirm: bool) {
        let file = self.app.base.join("brought.csv");
        std::fs::write(&file, format!("email\n{addresses}")).expect("a file");
        let import = Import {
            file,
            list: "weekly".into(),
            status,
            confirm,
            consent: consent.into(),
            map: Vec::new(),
            accept_taken_off: false,
            by: None,
            dry_run: false,
        };
        import::run(&self.app, &import, |_| {})
            .await
            .expect("an import");
    }

    async fn asked(&self, import: Option<i64>) -> Tally {
        ask(&self.app, ListId(1), import).await.expect("asked")
    }
}

on_both!(
    who_was_brought_as_pending_is_asked_once_and_at_the_authors_word_only,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let file = "ann@example.org\na.b@gmail.com\nab+x@gmail.com\nno@example.org\n";
        site.bring(file, Status::Pending, "", false).await;
        let hash = site.hash_hex("no@example.org");
        site.db
            .exec(&format!(
                "insert into suppressions (hash, reason, created_at) values (unhex('{hash}'), 'complained', 0)"
            ))
            .await;
        let mails = "select count(*) from system_mails where kind = 'confirm' and list_id = 1";
        let (code, told, _) = site.command(&["subscribers", "ask", "--list", "weekly"]);
        assert_eq!(code, Some(0), "{told}");
        assert!(
            told.contains("have not confirmed: 4") && told.contains("`--yes`"),
            "{told}"
        );
        assert_eq!(site.db.number(mails).await, 0);
        let tally = Tally {
            waiting: 4,
            asked: 2,
            lately: 1,
            later: 0,
        };
        assert_eq!(site.asked(Some(1)).await, tally);
        assert_eq!(site.db.number(mails).await, 2);
        // Again, and as another import: nobody gets a second one.
        let tally = Tally {
            waiting: 4,
            asked: 0,
            lately: 3,
            later: 0,
        };
        assert_eq!(site.asked(None).await, tally);
        assert_eq!(site.asked(Some(2)).await, Tally::default());
        assert_eq!(site.db.number(mails).await, 2);
        // It is no form, so that the public form asks nobody for work because of it.
        assert_eq!(
            site.db
                .number("select cast(coalesce(sum(forms), 0) as bigint) from confirm_hours")
                .await,
            0
        );
        let key = "select n.key from subscriptions n join subscribers s on s.id = n.subscriber_id
                   where s.canonical = 'ann@example.org'";
        let key = SubscriptionKey(site.db.number(key).await);
        let issued = u32::try_from(site.app.clock.now().seconds()).expect("before 2106");
        let link = format!("/confirm/{}", site.token(Claim::Confirm(key, issued)));
        assert_eq!(site.post(&link, "answer=confirm").await.status, 200);
        let left = count(&site.app, ListId(1), None).await.expect("a count");
        assert_eq!(left.waiting, 3);
        // A second import with a consent tells those it left pending, and confirms them only where it is told to.
        let file = site.app.base.join("again.csv");
        std::fs::write(&file, "email\na.b@gmail.com\nann@example.org\n").expect("a file");
        let file = file.to_str().expect("a path");
        let again = [
            "subscribers",
            "import",
            file,
            "--list",
            "weekly",
            "--consent",
            "asked",
        ];
        let (_, told, _) = site.command(&again);
        assert!(told.contains("+0 new, 2 known"), "{told}");
        assert!(!told.contains("as confirmed"), "{told}");
        assert!(
            told.contains("pending before this, and left so: 1"),
            "{told}"
        );
        assert!(
            told.contains("pressrun subscribers ask --list weekly"),
            "{told}"
        );
        let mut sure = again.to_vec();
        sure.extend(["--status", "confirmed"]);
        let (_, told, _) = site.command(&sure);
        assert!(
            told.contains("1 confirmed now") && !told.contains("left so"),
            "{told}"
        );
        site.stop().await;
    }
);

on_both!(
    half_of_an_hours_confirm_mails_is_left_to_the_form,
    async |engine: Engine| {
        let config = TestSite::config(&[("confirms_per_hour = 600", "confirms_per_hour = 4")]);
        let site = TestSite::with(engine, &config, |_| {}).await;
        let many: String = (0..60)
            .map(|n| format!("reader{n}@example.org\n"))
            .collect();
        site.bring(&many, Status::Pending, "", false).await;
        let tally = Tally {
            waiting: 60,
            asked: 48,
            lately: 0,
            later: 12,
        };
        assert_eq!(site.asked(None).await, tally);
        let most = "select max(mails) from confirm_hours";
        assert_eq!(site.db.number(most).await, 2);
        let now = site.app.clock.now().0;
        let due = format!("select count(*) from deliveries where run_id = 1 and due_at <= {now}");
        assert_eq!(site.db.number(&due).await, 2);
        site.stop().await;
    }
);
