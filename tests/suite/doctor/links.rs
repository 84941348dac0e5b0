//! Links that the doctor mints: the public site knows each of them, or is told to be another's.

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::keyring::Keyring;
use pressrun::smtp::sink::{Sink, SinkOptions};
use serde_json::Value;

use super::returned::serve;
use super::{Clinic, Wish, level};
use crate::harness::{Database, Engine, Port};
use crate::on_both;

const ISSUE: &str = "---\ntitle: \"Bees, and where they live\"\npreheader: \"Six hives on six roofs, and what \
     the neighbours say.\"\n---\nThese are [the hives](https://bees.house/hives).\n";

/// What is said of the links, each check's words.
fn said(json: &str) -> String {
    let told: Value = serde_json::from_str(json).expect("JSON");
    let checks = told["checks"].as_array().expect("checks").iter();
    let links = checks.filter(|check| check["check"] == "site-links");
    let words = links.map(|check| check["says"].as_str().expect("a text").to_owned());
    words.collect::<Vec<_>>().join("; ")
}

on_both!(
    the_site_is_asked_for_one_link_of_each_kind,
    async |engine: Engine| {
        let database = Database::new(engine).await;
        let sink = Sink::bind(SinkOptions::default()).await.expect("a sink");
        let (public, admin) = (Port::free(), Port::free());
        let url = format!("http://127.0.0.1:{}", public.number);
        let http = format!(
            "[http]\npublic = \"127.0.0.1:{}\"\nadmin = \"127.0.0.1:{}\"",
            public.number, admin.number
        );
        let wish = Wish {
            url: &url,
            relay: format!("url = \"{}\"\ntls = \"none\"", sink.url()),
            database: &database.url,
            more: &http,
            ..Wish::default()
        };
        let clinic = Clinic::at(database.path(), &wish, None);
        let emails = clinic.folder.join("emails");
        pressrun::publication::Publication::write_defaults(&emails).expect("the defaults");
        let issue = emails.join("issues/bees");
        std::fs::create_dir_all(&issue).expect("a folder");
        std::fs::write(issue.join("issue.md"), ISSUE).expect("an issue");
        let mut site = serve(&clinic, &url).await;
        let look = ["doctor", "--json", "--only", "site"];
        let (code, out, error) = clinic.run(&look).await;
        assert_eq!(code, 0, "{out}{error}");
        assert_eq!(
            said(&out),
            "links minted now lead home: unsubscribe, preferences"
        );
        let file = clinic.folder.join("readers.csv");
        std::fs::write(file, "email\nreader@example.org\n").expect("a reader");
        let import = [
            "subscribers",
            "import",
            "readers.csv",
            "--list",
            "weekly",
            "--consent",
            "asked",
        ];
        let (code, out, error) = clinic.run(&import).await;
        assert_eq!(code, 0, "{out}{error}");
        let (code, out, error) = clinic.run(&["send", "bees", "--yes"]).await;
        assert_eq!(code, 0, "{out}{error}");
        let (code, told) = clinic.doctor(&["--only", "site"]).await;
        assert_eq!((level(&told, "site-links"), code), ("ok", 0), "{told:?}");
        let (_, out, _) = clinic.run(&look).await;
        let all =
            "links minted now lead home: unsubscribe, preferences, click, open, view, confirm";
        assert!(said(&out).starts_with(all), "{out}");
        // Another keyring's links are none here; the pixel is one for everybody.
        let config = clinic.folder.join("pressrun.toml");
        let text = std::fs::read_to_string(config).expect("a configuration");
        let text = format!("{text}[paths]\nkeyring = \"ring.toml\"\n");
        std::fs::write(clinic.folder.join("other.toml"), text).expect("a file");
        let other = Keyring::generate(&Chance::seeded(5), Timestamp(0));
        other
            .create(&clinic.folder.join("ring.toml"))
            .expect("a keyring");
        let look = [&["--config", "other.toml"], &look[..]].concat();
        let (code, out, _) = clinic.run(&look).await;
        assert_eq!(code, 1, "{out}");
        let told = said(&out);
        for kind in ["unsubscribe", "preferences", "click", "view", "confirm"] {
            assert!(told.contains(&format!("({kind}, ")), "{told}");
        }
        assert!(told.contains("answers 404"), "{told}");
        site.kill().await.expect("a dead site");
    }
);
