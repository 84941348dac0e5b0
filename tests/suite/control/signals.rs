//! SIGTERM, Ctrl-C and a closed terminal to the whole program.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pressrun::smtp::sink::SinkOptions;
use pressrun::smtp::sink::script::Script;
use rustix::process::{Pid, Signal, kill_process};

use crate::control::desk::{Desk, ISSUE};
use crate::control::interrupted::Heard;
use crate::deliver::rig::{script, until};
use crate::harness::Engine;
use crate::on_both;

pub fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("a signal");
}

/// Says Ctrl-C, and gives the exit code.
pub async fn interrupt(child: Child) -> i32 {
    signal(&child, Signal::INT);
    ended(child).await
}

/// Waits for the end, and gives the exit code.
pub async fn ended(mut child: Child) -> i32 {
    let ended = tokio::task::spawn_blocking(move || child.wait());
    let status = ended.await.expect("no panic").expect("an end");
    status.code().expect("an exit code")
}

on_both!(
    sigterm_and_a_closed_terminal_drain_and_leave_nothing_uncertain,
    async |engine: Engine| {
        for how in [Signal::TERM, Signal::HUP] {
            drained(engine, how).await;
        }
    }
);

async fn drained(engine: Engine, how: Signal) {
    let desk = Desk::new(engine, 200, SinkOptions::default()).await;
    let sending = desk.start_held(&["send", "bees", "--yes"], 20).await;
    assert_eq!(desk.end_held(sending, how).await, 4);
    assert!(desk.sink.counts().accepted < 200, "it went on to the end");
    let app = desk.app().await;
    let run = app.store.run_of("bees").await.expect("a read");
    let run = run.expect("a run");
    let counts = app.store.counts(run.id()).await.expect("counters");
    assert_eq!((counts.at_dot, counts.uncertain), (0, 0), "{counts:?}");
    assert_eq!(
        u64::try_from(counts.sent).expect("a number"),
        desk.sink.counts().accepted
    );
    let why = desk.run(&["why", "bees"]).await;
    assert!(why.out.contains("no process sends"), "{why:?}");
    let resumed = desk.run(&["resume", "bees"]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(desk.sink.counts().accepted, 200);
}

on_both!(
    whoever_was_started_by_nohup_outlives_the_terminal,
    async |engine: Engine| {
        let options = SinkOptions {
            delay: Duration::from_millis(20),
            ..SinkOptions::default()
        };
        let desk = Desk::new(engine, 200, options).await;
        let plain = desk.command(&["send", "bees", "--yes"]);
        // As nohup(1) does: the signal is ignored, and what is started inherits that.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
        command.arg(plain.get_program()).args(plain.get_args());
        command.env_clear();
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.current_dir(plain.get_current_dir().expect("a folder"));
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let sending = command.spawn().expect("a shell");
        assert!(until(async || desk.sink.counts().accepted >= 20).await);
        signal(&sending, Signal::HUP);
        assert_eq!(ended(sending).await, 0);
        assert_eq!(desk.sink.counts().accepted, 200);
    }
);

on_both!(
    a_second_sigterm_ends_at_once_and_nobody_is_mailed_twice,
    async |engine: Engine| {
        let desk = Desk::new(engine, 40, SinkOptions::default()).await;
        desk.sink.set_script(script("slow-10m"));
        let mut command = desk.command(&["send", "bees", "--yes"]);
        command.env("PRESSRUN_SEND__DRAIN", "10m");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut sending = command.spawn().expect("the program runs");
        let app = desk.app().await;
        let at_dot = until(
            async || match app.store.run_of("bees").await.expect("a read") {
                Some(run) => app.store.counts(run.id()).await.expect("counters").at_dot == 4,
                None => false,
            },
        );
        assert!(at_dot.await);
        let asked = Instant::now();
        // Two that come before it has heard the first are one.
        while sending.try_wait().expect("a look").is_none() {
            let took = asked.elapsed();
            assert!(took < Duration::from_secs(120), "{took:?}");
            signal(&sending, Signal::TERM);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert_eq!(ended(sending).await, 4);
        desk.sink.set_script(Script::default());
        if engine == Engine::Postgres {
            // The lease of the dead sender runs out by the database's clock.
            desk.raw("update senders set until = 0").await;
        }
        let resumed = desk.run(&["resume", "bees"]).await;
        assert_eq!(resumed.code, 3, "{resumed:?}");
        let run = app
            .store
            .run_of("bees")
            .await
            .expect("a read")
            .expect("a run");
        let counts = app.store.counts(run.id()).await.expect("counters");
        assert_eq!((counts.sent, counts.uncertain), (36, 4), "{counts:?}");
        let mut seen = std::collections::BTreeSet::new();
        for message in desk.sink.accepted() {
            assert!(seen.insert(message.rcpt), "nobody twice");
        }
    }
);

on_both!(
    a_send_beside_a_server_on_one_machine_leaves_the_sending_to_it_and_both_live,
    async |engine: Engine| {
        let desk = Desk::new(engine, 3, SinkOptions::default()).await;
        let mut command = desk.command(&["serve", "--role", "sender"]);
        command.env("PRESSRUN_SEND__LEASE", "3s");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut serve = command.spawn().expect("the program runs");
        let app = desk.app().await;
        let at_work = until(async || pressrun::deliver::is_sending(&app).await.expect("a look"));
        assert!(at_work.await);
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert!(sent.error.contains("following it"), "{sent:?}");
        let tested = desk
            .run(&["test", "bees", "--to", "author@example.org"])
            .await;
        assert_eq!(tested.code, 0, "{tested:?}");
        // A lease and more: whoever had been fenced would have noticed.
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        assert!(serve.try_wait().expect("a look").is_none(), "it ended");
        signal(&serve, Signal::TERM);
        assert_eq!(ended(serve).await, 0);
        assert_eq!(desk.sink.counts().accepted, 4);
    }
);

on_both!(
    whoever_follows_a_sender_goes_on_where_that_one_ends,
    async |engine: Engine| {
        let desk = Desk::new(engine, 200, SinkOptions::default()).await;
        let send = ["send", "bees", "--yes"];
        let first = desk.start_held(&send, 20).await;
        let follower = Heard::until(&desk, &send, "following it").await;
        assert_eq!(desk.end_held(first, Signal::INT).await, 4);
        let mut second = follower.child;
        let all = until(async || desk.sink.counts().accepted == 200).await;
        if !all {
            second.kill().expect("a child");
        }
        assert!(all, "{} of 200", desk.sink.counts().accepted);
        assert_eq!(ended(second).await, 0);
    }
);

on_both!(
    an_interrupted_run_goes_on_by_its_own_command_and_by_no_other,
    async |engine: Engine| {
        let desk = Desk::new(engine, 100, SinkOptions::default()).await;
        let sending = desk.start_held(&["send", "bees", "--yes"], 20).await;
        assert_eq!(desk.end_held(sending, Signal::INT).await, 4);
        let sent = desk.sink.counts().accepted;
        assert!(sent < 100, "it was too quick");
        let tested = desk
            .run(&["test", "bees", "--to", "author@example.com"])
            .await;
        assert_eq!(tested.code, 0, "{tested:?}");
        assert_eq!(desk.sink.counts().accepted, sent + 1, "the test copy alone");
        desk.write("wasps", &ISSUE.replace("Bees", "Wasps"));
        let other = desk.run(&["send", "wasps", "--yes"]).await;
        assert_eq!(other.code, 0, "{other:?}");
        assert_eq!(desk.sink.counts().accepted, sent + 101);
        let told = "run 2 of `bees` was interrupted and stays so";
        assert_eq!(
            other.error.contains(told),
            engine == Engine::Sqlite,
            "{other:?}"
        );
        let resumed = desk.run(&["resume", "bees"]).await;
        assert_eq!(resumed.code, 0, "{resumed:?}");
        assert_eq!(desk.sink.counts().accepted, 201);
    }
);
