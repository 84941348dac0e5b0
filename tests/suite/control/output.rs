//! Output that nobody reads (`| head`, a terminal that is gone) or that finds no room.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use pressrun::smtp::sink::SinkOptions;
use rustix::process::{Pid, Signal, kill_process};

use crate::control::desk::Desk;
use crate::control::signals::ended;
use crate::deliver::rig::until;
use crate::harness::{Engine, block_on};

/// A pipe whose reader is gone.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Runs the program with nobody at the other end, and gives the exit code.
async fn unheard(desk: &Desk, arguments: &[&str]) -> i32 {
    let mut command = desk.command(arguments);
    command.stdout(unread()).stderr(unread());
    ended(command.spawn().expect("the program runs")).await
}

async fn desk(readers: usize) -> Desk {
    let options = SinkOptions {
        delay: Duration::from_millis(10),
        ..SinkOptions::default()
    };
    Desk::new(Engine::Sqlite, readers, options).await
}

#[test]
fn a_run_goes_on_to_its_end_and_commands_end_quietly_where_nobody_reads() {
    block_on(async {
        let desk = desk(60).await;
        assert_eq!(unheard(&desk, &["send", "bees", "--yes"]).await, 0);
        assert_eq!(desk.sink.counts().accepted, 60);
        let verified = desk.run(&["verify", "bees"]).await;
        assert!(verified.out.contains("balanced"), "{verified:?}");
        for look in [
            &["status"][..],
            &["status", "bees"],
            &["deliveries", "bees"],
            &["deliveries", "bees", "--json"],
            &["stats", "bees"],
            &["keys", "list"],
            &["send", "--help"],
        ] {
            assert_eq!(unheard(&desk, look).await, 0, "{look:?}");
        }
        // What goes wrong is wrong all the same.
        assert_eq!(unheard(&desk, &["status", "wasps"]).await, 1);
    });
}

#[test]
fn a_server_whose_log_nobody_reads_goes_on() {
    block_on(async {
        let desk = desk(3).await;
        let mut command = desk.command(&["serve", "--role", "sender"]);
        command.env("PRESSRUN_LOG__LEVEL", "debug");
        command.stdout(unread()).stderr(unread());
        let mut serve = command.spawn().expect("the program runs");
        let begun = desk.run(&["send", "bees", "--yes", "--detach"]).await;
        assert_eq!(begun.code, 0, "{begun:?}");
        let sent = until(async || desk.sink.counts().accepted == 3).await;
        let alive = serve.try_wait().expect("a look").is_none();
        serve.kill().ok();
        serve.wait().expect("an end");
        assert!(sent && alive);
    });
}

#[test]
fn output_that_finds_no_room_stops_no_run_and_is_told_at_the_end() {
    block_on(async {
        let desk = desk(20).await;
        let mut command = desk.command(&["send", "bees", "--yes"]);
        let full = File::options().write(true).open("/dev/full");
        command.stdout(full.expect("a device without room"));
        let ended = tokio::task::spawn_blocking(move || command.output());
        let output = ended.await.expect("no panic").expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains("not all of the output could be written"),
            "{error}"
        );
        assert_eq!(desk.sink.counts().accepted, 20);
    });
}

#[test]
fn a_preview_that_is_told_to_stop_speaks_of_no_dots() {
    block_on(async {
        let desk = desk(1).await;
        let mut command = desk.command(&["preview", "bees", "--port", "0"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut preview = command.spawn().expect("the program runs");
        let ended = tokio::task::spawn_blocking(move || {
            let said = preview.stdout.as_mut().expect("its words");
            let mut line = String::new();
            let read = BufReader::new(said).read_line(&mut line);
            read.expect("where it is");
            assert!(line.starts_with("preview on"), "{line}");
            let id = Pid::from_child(&preview);
            kill_process(id, Signal::TERM).expect("a child");
            preview.wait_with_output()
        });
        let output = ended.await.expect("no panic").expect("an end");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), error.as_ref()), (Some(0), ""));
    });
}
