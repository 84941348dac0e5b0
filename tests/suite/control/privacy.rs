//! What is counted of readers in the mails themselves, and what the logs say of them.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::Stdio;

use pressrun::smtp::sink::SinkOptions;

use crate::control::desk::Desk;
use crate::deliver::rig::until;
use crate::harness::Engine;
use crate::http::wire::request;
use crate::on_both;

pub const LINKED: &str = "---\ntitle: Bees\npreheader: \"Six hives on six roofs, and what they say.\"\n---\n\
    Read [the paper](https://bees.example/paper?a=1&b=2).\n";

/// Quoted-printable, undone as far as these mails need it.
pub fn words(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).replace("=\r\n", "");
    text.replace("=3D", "=").replace("=26", "&")
}

/// The token behind `path` in the mail.
pub fn token(mail: &str, path: &str) -> String {
    let rest = mail
        .split(path)
        .nth(1)
        .unwrap_or_else(|| panic!("no {path} in {mail}"));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    rest.chars().take_while(|c| fits(*c)).collect()
}

on_both!(
    who_is_not_to_be_counted_gets_true_links_and_no_pixel,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        desk.write("bees", LINKED);
        desk.configure("privacy.unasked", "false");
        desk.raw("update subscribers set tracking = 'on' where address = 'reader0@example.org'")
            .await;
        let said = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        for mail in desk.sink.accepted() {
            let text = words(&mail.message);
            let asked = mail.rcpt == ["reader0@example.org"];
            assert_eq!(text.contains("/o/"), asked, "{text}");
            assert_eq!(text.contains("/c/"), asked, "{text}");
            assert_eq!(
                text.contains("https://bees.example/paper?a=1"),
                !asked,
                "{text}"
            );
        }
        desk.configure("privacy.tracking", "\"off\"");
        let said = desk.run(&["send", "bees", "--again", "--yes"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        let mails = desk.sink.accepted();
        assert_eq!(mails.len(), 6);
        for mail in &mails[3..] {
            let text = words(&mail.message);
            assert!(!text.contains("/o/") && !text.contains("/c/"), "{text}");
            assert!(text.contains("https://bees.example/paper?a=1"), "{text}");
        }
    }
);

on_both!(
    no_address_and_no_token_stands_in_a_log,
    async |engine: Engine| {
        let desk = Desk::new(engine, 2, SinkOptions::default()).await;
        desk.write("bees", LINKED);
        for (key, value) in [
            ("log.level", "\"debug\""),
            ("http.public", "\"127.0.0.1:0\""),
            ("http.admin", "\"127.0.0.1:0\""),
            ("signup.form_min_age", "\"1ms\""),
            ("signup.check_mx", "false"),
            ("signup.lists", "[\"weekly\", \"wekly\"]"),
            ("send.retry", "[\"10ms\"]"),
            ("send.give_up", "\"1s\""),
        ] {
            desk.configure(key, value);
        }
        for address in [
            "refused+550-5.1.1@example.net",
            "late+450@example.net",
            "unknown+cut-after-dot@example.net",
        ] {
            let said = desk
                .run(&[
                    "subscribers",
                    "add",
                    address,
                    "--list",
                    "weekly",
                    "--status",
                    "confirmed",
                ])
                .await;
            assert_eq!(said.code, 0, "{said:?}");
        }
        let (out, log) = (desk.news().join("out"), desk.news().join("log"));
        let mut serve = desk.command(&["serve"]);
        // Beside the `send` below it is another machine, as far as PostgreSQL is concerned.
        serve.env("PRESSRUN_SEND__NODE", "server");
        serve.stdout(File::create(&out).expect("a file"));
        serve
            .stderr(File::create(&log).expect("a file"))
            .stdin(Stdio::null());
        let mut serve = serve.spawn().expect("the program runs");
        let at = || {
            let said = fs::read_to_string(&out).ok()?;
            let site = said.split("readers' site on http://").nth(1)?;
            site.split(',').next()?.parse::<SocketAddr>().ok()
        };
        assert!(
            until(async || at().is_some()).await,
            "the site does not listen"
        );
        let site = at().expect("an address");
        let said = desk.run(&["send", "bees", "--yes"]).await;
        assert!(matches!(said.code, 0 | 3), "{said:?}");
        assert!(until(async || desk.sink.accepted().len() >= 3).await);
        let mut secrets = vec![
            "@example.".to_owned(),
            "newcomer".into(),
            "reader0".into(),
            "refused+".into(),
        ];
        let mails = desk.sink.accepted();
        for mail in &mails {
            let text = words(&mail.message);
            for path in ["/o/", "/c/", "/view/", "/preferences/", "/u/"] {
                let token = token(&text, path);
                for method in ["GET", "HEAD"] {
                    request(site, method, &format!("{path}{token}"), &[], "").await;
                }
                request(site, "GET", &format!("{path}{token}x"), &[], "").await;
                secrets.push(token);
            }
        }
        let form = request(site, "GET", "/subscribe/form", &[], "").await;
        let form: serde_json::Value = serde_json::from_slice(&form.body).expect("JSON");
        let form = form["form"].as_str().expect("a form").to_owned();
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = format!("email=newcomer%40example.org&form={form}");
        assert_eq!(
            request(site, "POST", "/subscribe", &kind, &body)
                .await
                .status,
            200
        );
        secrets.push(form);
        assert!(
            until(async || desk.sink.accepted().len() > mails.len()).await,
            "no confirm mail: {}",
            fs::read_to_string(&log).unwrap_or_default()
        );
        let mails = desk.sink.accepted();
        let confirm = mails
            .iter()
            .find(|mail| mail.rcpt == ["newcomer@example.org"]);
        let confirm = token(&words(&confirm.expect("a mail").message), "/confirm/");
        let address = format!("/confirm/{confirm}");
        assert_eq!(
            request(site, "POST", &address, &kind, "answer=confirm")
                .await
                .status,
            200
        );
        secrets.push(confirm);
        let leave = secrets[8].clone();
        request(
            site,
            "POST",
            &format!("/u/{leave}"),
            &kind,
            "List-Unsubscribe=One-Click",
        )
        .await;
        serve.kill().expect("a child");
        serve.wait().expect("an end");
        let log = fs::read_to_string(&log).expect("a log");
        assert!(
            log.contains("signup outcome=Mailed"),
            "nothing was logged: {log}"
        );
        assert!(
            log.contains("`signup.lists` names `wekly`") && !log.contains("names `weekly`"),
            "a list that is not there is told: {log}"
        );
        for secret in secrets {
            assert!(!log.contains(&secret), "`{secret}` in {log}");
        }
    }
);
