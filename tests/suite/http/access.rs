//! Who gets in to the author's site: links, password, second factor, sessions, limits, and whose forms count.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use pressrun::access::{self, password, totp};
use pressrun::app::App;
use pressrun::clock::Timestamp;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret};

use super::site::{TestSite, session_of};
use super::wire::{Answer, request};
use crate::harness::Engine;
use crate::on_both;

const PASSWORD: &str = "correct horse battery staple";
const MINUTE: Duration = Duration::from_secs(60);

async fn with_password(engine: Engine) -> TestSite {
    let site = TestSite::new(engine).await;
    set(&site.app, PASSWORD).await;
    site
}

async fn set(app: &App, password: &str) {
    let set = password::set(app, SecretString::from(password)).await;
    set.expect("a password");
}

/// A login by password from an address behind the trusted proxy.
async fn log_in(site: &TestSite, from: &str, password: &str, code: &str) -> Answer {
    let body = format!("password={}&code={code}", password.replace(' ', "+"));
    let origin = format!("http://{}", site.admin);
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", origin.as_str()),
        ("X-Forwarded-For", from),
    ];
    request(site.admin, "POST", "/login", &headers, &body).await
}

async fn look(site: &TestSite, path: &str, cookie: &str) -> Answer {
    request(site.admin, "GET", path, &[("Cookie", cookie)], "").await
}

on_both!(
    without_a_session_every_page_leads_to_the_login_and_back,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        site.seed_run(1).await;
        for path in ["/issues", "/runs/2", "/sessions", "/audit?before=1-1"] {
            let answer = look(&site, path, "").await;
            assert_eq!(answer.status, 303, "{path}");
            let to = answer.header("location").expect("a way").to_owned();
            assert!(to.starts_with("/login?to=%2F"), "{to}");
            assert_eq!(look(&site, path, "pressrun=made-up").await.status, 303);
            let login = look(&site, &to, "").await;
            assert_eq!(login.status, 200);
            assert!(login.text().contains("pressrun admin login-link"));
            assert!(login.text().contains("No password is set yet"));
            assert!(!login.text().contains("Week 1"));
        }
        assert_eq!(
            look(&site, "/", "").await.header("location"),
            Some("/login")
        );
        assert_eq!(look(&site, "/style.css", "").await.status, 200);
        assert_eq!(look(&site, "/healthz", "").await.status, 200);
        set(&site.app, PASSWORD).await;
        let away = look(&site, "/login?to=//evil.example", "").await.text();
        assert!(away.contains("name=\"to\" value=\"&#x2f;\""), "{away}");
        let body = "password=correct+horse+battery+staple&to=/runs/2";
        let back = site.press_admin_as("/login", body, "").await;
        assert_eq!(back.header("location"), Some("/runs/2"));
        site.stop().await;
    }
);

on_both!(
    a_link_logs_in_once_within_a_quarter_of_an_hour_and_looking_uses_nothing_up,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let path = format!(
            "/login/{}",
            access::new_link(&site.app).await.expect("a link")
        );
        for _ in 0..2 {
            let page = look(&site, &path, "").await;
            assert_eq!(page.status, 200);
            assert!(page.header("set-cookie").is_none());
        }
        let first = site.press_admin_as(&path, "", "").await;
        assert_eq!((first.status, first.header("location")), (303, Some("/")));
        let line = first.header("set-cookie").expect("a cookie");
        for part in ["pressrun=", "; Path=/;", "; HttpOnly", "; SameSite=Strict"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("Secure"), "{line}");
        let cookie = session_of(&first).expect("a session");
        assert_eq!(look(&site, "/", &cookie).await.status, 200);
        let second = site.press_admin_as(&path, "", "").await;
        assert_eq!(second.status, 403);
        assert!(second.header("set-cookie").is_none());
        let late = format!(
            "/login/{}",
            access::new_link(&site.app).await.expect("a link")
        );
        site.app.clock.advance(access::LINK);
        let late = site.press_admin_as(&late, "", "").await;
        assert_eq!((late.status, late.body.clone()), (403, second.body.clone()));
        let made_up = site.press_admin_as("/login/made-up", "", "").await;
        assert_eq!(made_up.body, second.body);
        // 256 bits, of which the database holds no more than the hash.
        let (_, secret) = cookie.split_once('=').expect("a value");
        assert_eq!(secret.len(), 43);
        let hash: String = Sha256::digest(secret)
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let kept = format!("select count(*) from admin_sessions where hash = unhex('{hash}')");
        assert_eq!(site.db.number(&kept).await, 1);
        site.stop().await;
    }
);

on_both!(
    whatever_is_wrong_with_a_login_is_the_same_answer,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let none_set = log_in(&site, "203.0.113.1", PASSWORD, "").await;
        assert_eq!(none_set.status, 403);
        set(&site.app, PASSWORD).await;
        let wrong = log_in(&site, "203.0.113.1", "another password", "").await;
        let longer = log_in(&site, "203.0.113.1", &"x".repeat(5000), "").await;
        assert_eq!((wrong.status, longer.status), (403, 403));
        assert_eq!(wrong.body, longer.body);
        let right = log_in(&site, "203.0.113.1", PASSWORD, "").await;
        assert_eq!(right.status, 303);
        let offer = totp::offer(&site.app).expect("an offer");
        let code = code_of(&site, &offer.secret());
        assert!(!offer.accept(&site.app, "000000").await.expect("a try") || code == "000000");
        assert!(offer.accept(&site.app, &code).await.expect("a try"));
        // Used up by turning it on.
        let used = log_in(&site, "203.0.113.1", PASSWORD, &code).await;
        let no_code = log_in(&site, "203.0.113.1", PASSWORD, "").await;
        let wrong = log_in(&site, "203.0.113.1", "another password", &code).await;
        assert_eq!((used.status, no_code.status), (403, 403));
        assert_eq!(used.body, no_code.body);
        assert_eq!(used.body, wrong.body);
        site.app.clock.advance(MINUTE);
        let code = code_of(&site, &offer.secret());
        // A wrong password does not use the code up.
        assert_eq!(
            log_in(&site, "203.0.113.1", "another password", &code)
                .await
                .status,
            403
        );
        assert_eq!(
            log_in(&site, "203.0.113.2", PASSWORD, &code).await.status,
            303
        );
        assert_eq!(
            log_in(&site, "203.0.113.3", PASSWORD, &code).await.status,
            403
        );
        totp::turn_off(&site.app).await.expect("off");
        assert_eq!(log_in(&site, "203.0.113.4", PASSWORD, "").await.status, 303);
        site.stop().await;
    }
);

fn code_of(site: &TestSite, secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).expect("base32");
    let totp = Builder::new()
        .with_secret(secret)
        .build()
        .expect("a factor");
    let now = u64::try_from(site.app.clock.now().seconds()).expect("after 1970");
    totp.generate(now).to_string()
}

on_both!(
    failed_logins_make_their_network_wait_and_many_of_them_everybody,
    async |engine: Engine| {
        let site = with_password(engine).await;
        for _ in 0..5 {
            assert_eq!(
                log_in(&site, "203.0.113.1", "wrong password", "")
                    .await
                    .status,
                403
            );
        }
        let kept_out = log_in(&site, "203.0.113.1", PASSWORD, "").await;
        assert_eq!(
            kept_out.status, 403,
            "the right one is not looked at either"
        );
        assert_eq!(log_in(&site, "203.0.113.2", PASSWORD, "").await.status, 303);
        site.app.clock.advance(Duration::from_secs(15));
        assert_eq!(log_in(&site, "203.0.113.1", PASSWORD, "").await.status, 303);
        // In is in: its failures are forgotten.
        assert_eq!(
            log_in(&site, "203.0.113.1", "wrong password", "")
                .await
                .status,
            403
        );
        assert_eq!(log_in(&site, "203.0.113.1", PASSWORD, "").await.status, 303);
        for network in 0..30 {
            let from = format!("198.51.{network}.1");
            assert_eq!(log_in(&site, &from, "wrong password", "").await.status, 403);
        }
        assert_eq!(log_in(&site, "203.0.113.9", PASSWORD, "").await.status, 403);
        // Whom strangers keep out gets in by a link, and a new password forgets their tries.
        let link = access::new_link(&site.app).await.expect("a link");
        let answer = site.press_admin_as(&format!("/login/{link}"), "", "").await;
        assert_eq!(answer.status, 303);
        site.app.clock.advance(15 * MINUTE);
        assert_eq!(log_in(&site, "203.0.113.9", PASSWORD, "").await.status, 303);
        site.stop().await;
    }
);

on_both!(
    a_new_password_ends_every_session_and_every_link,
    async |engine: Engine| {
        let site = with_password(engine).await;
        let one = session_of(&log_in(&site, "203.0.113.1", PASSWORD, "").await).expect("a session");
        let two = site.cookie().await;
        let link = access::new_link(&site.app).await.expect("a link");
        for cookie in [&one, &two] {
            assert_eq!(look(&site, "/", cookie).await.status, 200);
        }
        let said = typed(&site, &["admin", "password"], "a sentence that is new\n");
        assert_eq!(
            said,
            (
                Some(0),
                "the password is set; sessions that ended: 2\n".to_owned()
            )
        );
        for cookie in [&one, &two] {
            assert_eq!(look(&site, "/", cookie).await.status, 303);
        }
        assert_eq!(
            site.press_admin_as(&format!("/login/{link}"), "", "")
                .await
                .status,
            403
        );
        assert_eq!(log_in(&site, "203.0.113.1", PASSWORD, "").await.status, 403);
        assert_eq!(
            log_in(&site, "203.0.113.1", "a sentence that is new", "")
                .await
                .status,
            303
        );
        let (code, _) = typed(&site, &["admin", "password"], "too short\n");
        assert_eq!(code, Some(1));
        assert_eq!(
            log_in(&site, "203.0.113.1", "a sentence that is new", "")
                .await
                .status,
            303
        );
        site.stop().await;
    }
);

/// Runs the program with `line` on its standard input: exit code and stdout.
fn typed(site: &TestSite, arguments: &[&str], line: &str) -> (Option<i32>, String) {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_pressrun"))
        .arg("--config")
        .arg(site.app.base.join("pressrun.toml"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(line.as_bytes()).expect("a line");
    drop(stdin);
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), said)
}

on_both!(
    the_commands_print_a_link_that_works_and_take_no_secret_as_an_argument,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let (code, link, _) = site.command(&["admin", "login-link"]);
        assert_eq!(code, Some(0));
        let path = link
            .trim()
            .strip_prefix("http://127.0.0.1:8081")
            .expect("a URL");
        assert_eq!(site.press_admin_as(path, "", "").await.status, 303);
        for refused in [
            &["admin", "password", PASSWORD][..],
            &["admin", "totp", "123456"],
        ] {
            assert_eq!(site.command(refused).0, Some(2), "{refused:?}");
        }
        let (code, _) = typed(&site, &["admin", "totp"], "123456\n");
        assert_eq!(
            code,
            Some(1),
            "there is no password beside which it would stand"
        );
        set(&site.app, PASSWORD).await;
        let (code, said) = typed(&site, &["admin", "totp"], "not a code\n");
        assert_eq!(code, Some(1));
        // No picture where no terminal shows it: it holds the same address.
        let secret = said.split_whitespace().nth(1).expect("a secret");
        let name = "Field%20%3CNotes%3E";
        let whole = format!(
            "secret  {secret}\naddress otpauth://totp/{name}:author?secret={secret}&issuer={name}\n"
        );
        assert_eq!(said, whole);
        assert_eq!(
            log_in(&site, "203.0.113.1", PASSWORD, "").await.status,
            303,
            "still off"
        );
        site.stop().await;
    }
);

on_both!(
    a_session_ends_when_idle_when_old_and_when_told_to,
    async |engine: Engine| {
        let site = with_password(engine).await;
        let begin = async || {
            session_of(&log_in(&site, "203.0.113.1", PASSWORD, "").await).expect("a session")
        };
        let (idle, busy) = (begin().await, begin().await);
        let half = access::IDLE / 2;
        for _ in 0..2 {
            site.app.clock.advance(half);
            assert_eq!(look(&site, "/sessions", &busy).await.status, 200);
        }
        assert_eq!(look(&site, "/", &idle).await.status, 303);
        while site.app.clock.now().since(crate::http::site::NOON) < access::WHOLE - half {
            site.app.clock.advance(half);
            assert_eq!(look(&site, "/sessions", &busy).await.status, 200);
        }
        site.app.clock.advance(half);
        assert_eq!(look(&site, "/", &busy).await.status, 303, "however busy");

        let (mine, lost) = (begin().await, begin().await);
        let page = look(&site, "/sessions", &mine).await.text();
        assert_eq!(page.matches("this one").count(), 1, "{page}");
        let ended = site
            .press_admin_as("/sessions/end", "id=others", &mine)
            .await;
        assert_eq!(ended.status, 303);
        assert_eq!(look(&site, "/", &lost).await.status, 303);
        assert_eq!(look(&site, "/", &mine).await.status, 200);
        let out = site.press_admin_as("/logout", "", &mine).await;
        assert_eq!(out.header("location"), Some("/login"));
        assert!(
            out.header("set-cookie")
                .expect("a cookie")
                .contains("Max-Age=0")
        );
        assert_eq!(look(&site, "/", &mine).await.status, 303);
        let mine = begin().await;
        let audit = look(&site, "/audit", &mine).await.text();
        for line in [
            "logged in",
            "by password",
            "ended all other sessions",
            "logged out",
        ] {
            assert!(audit.contains(line), "{line}: {audit}");
        }
        site.stop().await;
    }
);

on_both!(
    a_form_of_another_site_changes_nothing,
    async |engine: Engine| {
        let site = with_password(engine).await;
        let cookie = site.cookie().await;
        let own = format!("http://{}", site.admin);
        let neighbour = format!("http://127.0.0.1:{}", site.public.port());
        for path in [
            "/login",
            "/login/made-up",
            "/logout",
            "/sessions/end",
            "/nowhere",
        ] {
            for (origin, fetch) in [
                (None, None),
                (Some("null"), None),
                (Some("null"), Some("same-origin")),
                (Some("http://evil.example"), None),
                (Some("http://evil.example"), Some("same-origin")),
                (Some(neighbour.as_str()), None),
                (Some(own.as_str()), Some("cross-site")),
                (Some(own.as_str()), Some("same-site")),
                (Some(own.as_str()), Some("none")),
            ] {
                let mut headers = vec![("Cookie", cookie.as_str())];
                headers.extend(origin.map(|origin| ("Origin", origin)));
                headers.extend(fetch.map(|site| ("Sec-Fetch-Site", site)));
                let answer = request(site.admin, "POST", path, &headers, "id=others").await;
                assert_eq!(answer.status, 403, "{path} {origin:?} {fetch:?}");
            }
        }
        assert_eq!(
            look(&site, "/", &cookie).await.status,
            200,
            "still logged in"
        );
        site.stop().await;
    }
);

on_both!(
    over_https_the_cookie_is_bound_to_its_host,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let path = format!(
            "/login/{}",
            access::new_link(&site.app).await.expect("a link")
        );
        let https = [
            ("Host", "press.example"),
            ("Origin", "https://press.example"),
            ("X-Forwarded-Proto", "https"),
        ];
        let answer = request(site.admin, "POST", &path, &https, "").await;
        let line = answer.header("set-cookie").expect("a cookie");
        assert!(line.starts_with("__Host-pressrun="), "{line}");
        assert!(
            line.contains("; Secure") && line.contains("; Path=/;"),
            "{line}"
        );
        let cookie = session_of(&answer).expect("a session");
        let with = |name: &str| cookie.replace("__Host-pressrun", name);
        let ask = async |cookie: &str, proto: &str| {
            let headers = [
                ("Host", "press.example"),
                ("Cookie", cookie),
                ("X-Forwarded-Proto", proto),
            ];
            request(site.admin, "GET", "/", &headers, "").await.status
        };
        assert_eq!(ask(&cookie, "https").await, 200);
        // A name that any neighbour could have planted is not believed over https.
        assert_eq!(ask(&with("pressrun"), "https").await, 303);
        assert_eq!(ask(&cookie, "http").await, 303);
        site.stop().await;
    }
);

on_both!(
    tries_at_one_moment_see_each_other,
    async |engine: Engine| {
        let site = TestSite::new(engine).await;
        let store = &site.app.store;
        let now = site.app.clock.now();
        let tries = (1..=12).map(|id| store.note_try(id, b"here", Timestamp(0), now));
        let tries = futures::future::join_all(tries).await;
        let mut before: Vec<i64> = tries
            .into_iter()
            .map(|found| found.expect("a try").own)
            .collect();
        before.sort_unstable();
        assert_eq!(before, (0..12).collect::<Vec<_>>());
        site.stop().await;
    }
);
