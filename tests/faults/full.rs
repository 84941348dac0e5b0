//! R8 for readers: what `serve` answers on a full disk, and what becomes of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use pressrun::id::{DeliveryKey, RunId, SubscriptionKey};
use pressrun::keyring::Keyring;
use pressrun::token::{Claim, sign};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::harness::{Port, block_on};
use crate::oracle::judge;
use crate::outages::{serve, wait_probe};
use crate::processes::PATIENCE;
use crate::stores::{Small, fill};
use crate::world::World;
use crate::{size, skip, tell};

/// The run's number in a fresh database, behind the open run.
const RUN: RunId = RunId(2);

/// A reader of the run: her subscription, her copy, its state and her address.
type Reader = (i64, i64, String, String);

#[test]
fn r8_serve_on_a_full_disk_answers_keeps_who_leaves_and_writes_down_what_was_sent() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let news = folder.path().join("news");
    let Some(_mounted) = Small::mount(&news, size(32, 64)) else {
        skip("R8d", "a tmpfs cannot be mounted here; run as root");
        return;
    };
    let recipients = size(400, 4_000);
    let mut world = World::within(folder, recipients, 4, Duration::from_millis(20));
    let (public, admin) = (Port::free(), Port::free());
    let site = public.number;
    let arguments = ["send", "kill", "--list", "weekly", "--yes", "--detach"];
    let begun = world.pressrun(&arguments).output().expect("the binary");
    assert!(begun.status.success(), "{begun:?}");
    let mut server = serve(&world, &public, &admin);
    world.wait_for(recipients / 4, &mut server, PATIENCE);
    wait_probe(site, true);
    let ballast = news.join("ballast");
    fill(&ballast);
    let red = wait_probe(site, false);
    // What was kept in reserve is for the outcomes: none stays at the dot, though the disk is full.
    let until = Instant::now() + PATIENCE;
    let counts = loop {
        let taken = world.settled();
        let counts = world.verify();
        if counts.at_dot == 0 && counts.sent == taken {
            break counts;
        }
        assert!(
            Instant::now() < until,
            "{taken} taken, {counts:?}: {}",
            world.said()
        );
    };
    assert!(counts.sent < recipients, "nothing was left to stop");
    let keyring = Keyring::load(&news.join("keyring.toml")).expect("a keyring");
    let readers = readers(&news.join("pressrun.db"));
    let copy = |reader: &Reader| DeliveryKey {
        run: RUN,
        seq: u32::try_from(reader.1).expect("a number"),
    };
    let token = |claim: Claim| sign(&keyring, &claim);
    let sent = readers.iter().find(|(_, _, state, _)| state == "sent");
    let sent = sent.expect("somebody got it");
    let pixel = ask(
        site,
        "GET",
        &format!("/o/{}", token(Claim::Open(copy(sent)))),
        "",
    );
    assert!(pixel.starts_with("HTTP/1.1 200"), "{pixel}");
    let click = token(Claim::Click(copy(sent), 0));
    let click = ask(site, "GET", &format!("/c/{click}"), "");
    assert!(
        click.starts_with("HTTP/1.1 30") && click.contains("https://example.com/one"),
        "{click}"
    );
    assert!(ask(site, "GET", "/healthz", "").starts_with("HTTP/1.1 200"));
    let queued = readers.iter().filter(|(_, _, state, _)| state == "queued");
    let leavers: Vec<&Reader> = queued.take(20).collect();
    for (index, reader) in leavers.iter().enumerate() {
        let claim = Claim::Unsubscribe(SubscriptionKey(reader.0), copy(reader));
        let body = match index % 2 {
            0 => "List-Unsubscribe=One-Click",
            _ => "answer=leave-all&reason=too-much",
        };
        let answer = ask(site, "POST", &format!("/u/{}", token(claim)), body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(world.settled(), counts.sent, "mail went out without room");
    // Whatever was answered is in force, whoever is killed.
    server.kill();
    fs::remove_file(&ballast).expect("the ballast");
    let mut server = serve(&world, &public, &admin);
    wait_probe(site, true);
    let left = recipients - leavers.len();
    world.wait_for(left, &mut server, PATIENCE);
    let until = Instant::now() + PATIENCE;
    while world.verify().sent < left {
        assert!(Instant::now() < until, "{:?}", world.verify());
        std::thread::sleep(Duration::from_millis(100));
    }
    let counts = world.verify();
    assert!(counts.balanced && counts.uncertain == 0, "{counts:?}");
    let gone: BTreeSet<String> = leavers.iter().map(|reader| reader.3.clone()).collect();
    let everyone = world.everyone();
    let others: BTreeSet<String> = everyone.difference(&gone).cloned().collect();
    let (sent, uncertain) = (world.deliveries("sent"), BTreeSet::new());
    judge(&others, &world.accepted_by_sink(), &sent, &uncertain).assert_clean();
    assert!(sent.is_disjoint(&gone), "who left was mailed");
    tell(
        "R8d",
        "sqlite",
        &format!(
            "serve on a full disk: {} of {recipients} sent and written down, /readyz red after {:.1} s, pixel and \
             redirect answered, {} left and were mailed no more, also after a kill; lost 0, doubled 0, uncertain 0",
            counts.sent,
            red.as_secs_f64(),
            leavers.len()
        ),
    );
}

#[test]
fn r8_send_begins_nothing_where_the_disk_with_the_state_folder_is_full() {
    let mut world = World::new(3, 2, Duration::ZERO);
    let state = world.news().join("state");
    let Some(_mounted) = Small::mount(&state, 1) else {
        skip("R8f", "a tmpfs cannot be mounted here; run as root");
        return;
    };
    let ballast = state.join("ballast");
    fill(&ballast);
    let arguments = ["send", "kill", "--list", "weekly", "--yes"];
    let said = world.pressrun(&arguments).output().expect("the binary");
    let error = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{error}");
    assert!(
        error.contains("nothing is begun: the state folder") && error.contains("No space left"),
        "{error}"
    );
    let status = world.pressrun(&["status"]).output().expect("the binary");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("no run was ever begun"), "{status}");
    fs::remove_file(&ballast).expect("the ballast");
    world.start_send().finish(PATIENCE);
    assert_eq!(world.settled(), 3);
    tell(
        "R8f",
        "sqlite",
        "state folder on a full disk: nothing is begun, and all is sent with room",
    );
}

/// The readers of the run as the database has them.
fn readers(file: &Path) -> Vec<Reader> {
    let mut found = Vec::new();
    block_on(async {
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let mut conn = options.connect().await.expect("a connection");
        found = sqlx::query_as(
            "select n.key, d.seq, d.state, s.address
             from deliveries d
                 join subscribers s on s.id = d.subscriber_id
                 join subscriptions n on n.subscriber_id = d.subscriber_id
             where d.run_id = 2 order by d.seq",
        )
        .fetch_all(&mut conn)
        .await
        .expect("a read");
    });
    found
}

/// Asks the site, and gives the whole answer.
fn ask(port: u16, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}
