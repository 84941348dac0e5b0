//! Runs that somebody left: interrupted, killed, or waiting for an hour in which nobody was there.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use pressrun::app::App;
use pressrun::clock::Clock;
use pressrun::smtp::sink::SinkOptions;
use pressrun::smtp::sink::script::Script;
use pressrun::status::RunStatus;
use pressrun::store::runs::Run;
use rustix::process::Signal;

use crate::control::desk::{Desk, ISSUE, Said, said};
use crate::control::signals::{ended, interrupt, signal};
use crate::deliver::rig::{script, until};
use crate::harness::Engine;
use crate::on_both;

const HOUR: i64 = 3_600_000;

/// A desk whose relay takes its time, and a second issue.
async fn desk(engine: Engine, readers: usize) -> Desk {
    let options = SinkOptions {
        delay: Duration::from_millis(20),
        ..SinkOptions::default()
    };
    let desk = Desk::new(engine, readers, options).await;
    desk.write("wasps", &ISSUE.replace("Bees", "Wasps"));
    desk
}

/// A program at work, of which each word is heard.
pub struct Heard {
    pub child: Child,
    error: BufReader<ChildStderr>,
}

impl Heard {
    /// Starts the program, and waits until it has said these words.
    pub async fn until(desk: &Desk, arguments: &[&str], words: &'static str) -> Heard {
        let mut command = desk.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut error = BufReader::new(child.stderr.take().expect("a pipe"));
        let heard = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains(words) {
                line.clear();
                let read = error.read_line(&mut line).expect("a line");
                assert!(read > 0, "it ended before it said {words}");
            }
            error
        });
        let error = heard.await.expect("no panic");
        Heard { child, error }
    }

    /// Says Ctrl-C, and gives what is said until the end.
    async fn interrupt(mut self) -> Said {
        signal(&self.child, Signal::INT);
        let ended = tokio::task::spawn_blocking(move || {
            let mut error = String::new();
            self.error.read_to_string(&mut error).expect("a text");
            let output = self.child.wait_with_output().expect("an end");
            Said {
                error,
                ..said(&output)
            }
        });
        ended.await.expect("no panic")
    }
}

async fn run_of(app: &App, slug: &str) -> Run {
    let run = app.store.run_of(slug).await.expect("a read");
    run.expect("a run")
}

async fn is(app: &App, slug: &str, status: RunStatus) -> bool {
    let run = app.store.run_of(slug).await.expect("a read");
    run.is_some_and(|run| run.status == status)
}

/// Sends `bees` until a few are through, and interrupts it.
async fn interrupted(desk: &Desk) -> u64 {
    let sending = desk.start_held(&["send", "bees", "--yes"], 12).await;
    assert_eq!(desk.end_held(sending, Signal::INT).await, 4);
    desk.sink.counts().accepted
}

/// Kills the program as a power cut does. Its lease runs out on PostgreSQL.
async fn killed(desk: &Desk, mut child: Child) {
    child.kill().expect("a child");
    child.wait().expect("an end");
    desk.raw("update senders set until = 0").await;
}

on_both!(
    who_only_follows_and_is_interrupted_says_that_the_sending_goes_on,
    async |engine: Engine| {
        let desk = desk(engine, 200).await;
        let sending = desk.start_held(&["send", "bees", "--yes"], 12).await;
        let follower = Heard::until(&desk, &["send", "bees", "--yes"], "following it").await;
        let said = follower.interrupt().await;
        assert_eq!(said.code, 0, "{said:?}");
        let words = "no longer followed: another pressrun goes on sending it; `pressrun pause bees` stops it\n";
        assert!(said.out.ends_with(words), "{said:?}");
        assert!(!said.error.contains("final dots"), "{said:?}");
        assert!(!said.out.contains("interrupted"), "{said:?}");
        desk.sink.release();
        assert_eq!(ended(sending).await, 0);
        assert_eq!(desk.sink.counts().accepted, 200);
    }
);

on_both!(
    an_interrupted_run_goes_on_when_it_is_resumed_beside_the_sending_of_another,
    async |engine: Engine| {
        let desk = desk(engine, 60).await;
        let sent = interrupted(&desk).await;
        assert!(sent < 60, "it was too quick");
        let app = desk.app().await;
        // A minute and more.
        let other = desk.start(&["send", "wasps", "--yes", "--rate", "50/m"]);
        assert!(until(async || desk.sink.counts().accepted > sent).await);
        let why = desk.run(&["why", "bees"]).await;
        assert!(
            why.out.contains("stands still: no process sends it"),
            "{why:?}"
        );
        assert!(
            why.out.contains("go on with `pressrun resume bees`"),
            "{why:?}"
        );
        let resumed = desk.run(&["resume", "bees"]).await;
        assert_eq!(resumed.code, 0, "{resumed:?}");
        assert!(is(&app, "bees", RunStatus::Finished).await);
        assert!(is(&app, "wasps", RunStatus::Sending).await);
        assert_eq!(interrupt(other).await, 4);
    }
);

on_both!(
    a_send_starts_no_other_run_in_its_hour_and_tells_of_it,
    async |engine: Engine| {
        let desk = desk(engine, 20).await;
        let at = ["send", "wasps", "--yes", "--at", "2037-07-20 07:00"];
        assert_eq!(desk.run(&at).await.code, 0);
        let hour = Clock::System.now().0 - 60_000;
        desk.raw(&format!(
            "update runs set start_at = {hour} where slug = 'wasps'"
        ))
        .await;
        let sent = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert_eq!(desk.sink.counts().accepted, 20, "the other waits");
        let told = "the hour of run 2 of `wasps` has come, and no `pressrun serve` is there to start it: `pressrun \
                    resume wasps` does";
        assert!(sent.error.contains(told), "{sent:?}");
        let why = desk.run(&["why", "wasps"]).await;
        assert!(why.out.contains("did not start: its hour was"), "{why:?}");
        let resumed = desk.run(&["resume", "wasps"]).await;
        assert_eq!(resumed.code, 0, "{resumed:?}");
        assert_eq!(desk.sink.counts().accepted, 40);
    }
);

on_both!(
    a_run_killed_before_its_hour_is_started_by_resume,
    async |engine: Engine| {
        let desk = desk(engine, 5).await;
        let app = desk.app().await;
        let waiting = desk.start(&["send", "bees", "--yes", "--undo", "1h"]);
        assert!(until(async || is(&app, "bees", RunStatus::Scheduled).await).await);
        killed(&desk, waiting).await;
        let late = async |hours: i64| {
            let hour = Clock::System.now().0 - hours * HOUR - 60_000;
            desk.raw(&format!(
                "update runs set start_at = {hour} where slug = 'bees'"
            ))
            .await;
        };
        late(1).await;
        let resumed = desk.run(&["resume", "bees"]).await;
        assert_eq!(resumed.code, 1, "{resumed:?}");
        assert!(
            resumed.error.contains("late, more than `send.late_start`")
                && resumed.error.contains("`pressrun resume bees --yes`"),
            "{resumed:?}"
        );
        late(0).await;
        let again = desk.run(&["send", "bees", "--yes"]).await;
        assert_eq!(again.code, 1, "{again:?}");
        assert!(
            again.error.contains("go on with `pressrun resume bees`"),
            "{again:?}"
        );
        let resumed = desk.run(&["resume", "bees"]).await;
        assert_eq!(resumed.code, 0, "{resumed:?}");
        assert_eq!(desk.sink.counts().accepted, 5);
    }
);

on_both!(
    what_a_dead_sender_left_at_the_dot_keeps_nobody_from_cancelling_and_continuing,
    async |engine: Engine| {
        let desk = desk(engine, 40).await;
        let app = desk.app().await;
        desk.sink.set_script(script("slow-60s"));
        let sending = desk.start(&["send", "bees", "--yes"]);
        let at_dot = until(
            async || match app.store.run_of("bees").await.expect("a read") {
                Some(run) => app.store.counts(run.id()).await.expect("counters").at_dot == 4,
                None => false,
            },
        );
        assert!(at_dot.await);
        killed(&desk, sending).await;
        desk.sink.set_script(Script::default());
        let cancelled = desk.run(&["cancel", "bees", "--yes"]).await;
        assert_eq!(cancelled.code, 0, "{cancelled:?}");
        let words = "cancelled: 0 sent, 36 never sent, 4 uncertain";
        assert!(cancelled.out.starts_with(words), "{cancelled:?}");
        let why = desk.run(&["why", "bees"]).await;
        let words = "0 were sent, 36 never will be, and of 4 nobody knows";
        assert!(why.out.contains(words), "{why:?}");
        desk.write("bees", &ISSUE.replace("bees.", "mended bees."));
        let sent = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let rest = run_of(&app, "bees").await;
        let counts = app.store.counts(rest.id()).await.expect("counters");
        assert_eq!((counts.sent, counts.total()), (36, 36));
    }
);

on_both!(
    a_cancelled_run_is_continued_also_after_its_correction,
    async |engine: Engine| {
        let desk = desk(engine, 60).await;
        let sending = desk.start_held(&["send", "bees", "--yes"], 5).await;
        assert_eq!(desk.run(&["cancel", "bees", "--yes"]).await.code, 0);
        desk.sink.release();
        ended(sending).await;
        let reached = desk.sink.counts().accepted;
        assert!(reached < 60, "it was too quick");
        desk.write("bees", &ISSUE.replace("bees.", "mended bees."));
        let correction = ["send", "bees", "--yes", "--correction", "--to-reached"];
        let sent = desk.run(&correction).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert_eq!(desk.sink.counts().accepted, 2 * reached);
        let sent = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert_eq!(sent.code, 0, "{sent:?}");
        assert_eq!(desk.sink.counts().accepted, 60 + reached);
        let over = desk.run(&["send", "bees", "--yes", "--continue"]).await;
        assert_eq!(over.code, 1, "{over:?}");
        assert!(
            over.error.contains("there is nothing to continue"),
            "{over:?}"
        );
    }
);

on_both!(
    a_run_that_was_left_for_a_day_goes_on_by_one_command_and_holds_up_no_other,
    async |engine: Engine| {
        let desk = desk(engine, 60).await;
        let sent = interrupted(&desk).await;
        let app = desk.app().await;
        let yesterday = Clock::System.now().0 - 24 * HOUR;
        let left = async || {
            desk.raw(&format!(
                "update runs set status = 'sending', since = {yesterday} where slug = 'bees';
                 update meta set value = '{yesterday}' where key = 'heartbeat'"
            ))
            .await;
        };
        left().await;
        let why = desk.run(&["why", "bees"]).await;
        assert!(
            why.out.contains("nothing was sent for 1440 minutes")
                && why.out.contains("`pressrun resume bees --yes`"),
            "{why:?}"
        );
        let other = desk.run(&["send", "wasps", "--yes"]).await;
        assert_eq!(other.code, 0, "{other:?}");
        assert_eq!(desk.sink.counts().accepted, sent + 60);
        assert!(
            is(&app, "bees", RunStatus::Held).await,
            "{:?}",
            run_of(&app, "bees").await
        );
        left().await;
        let resumed = desk.run(&["resume", "bees", "--yes"]).await;
        assert_eq!(resumed.code, 0, "{resumed:?}");
        assert_eq!(desk.sink.counts().accepted, 120);
    }
);

on_both!(
    a_terminal_that_is_closed_drains_and_serve_tells_what_it_goes_on_with,
    async |engine: Engine| {
        let desk = desk(engine, 60).await;
        let app = desk.app().await;
        let sending = desk.start_held(&["send", "bees", "--yes"], 12).await;
        assert_eq!(desk.end_held(sending, Signal::HUP).await, 4);
        let run = run_of(&app, "bees").await;
        let counts = app.store.counts(run.id()).await.expect("counters");
        assert_eq!((counts.at_dot, counts.uncertain), (0, 0), "{counts:?}");
        assert!(counts.queued > 0, "it was too quick");
        let mut command = desk.command(&["serve", "--role", "sender"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut serve = command.spawn().expect("the program runs");
        assert!(until(async || is(&app, "bees", RunStatus::Finished).await).await);
        serve.kill().expect("a child");
        let told = tokio::task::spawn_blocking(move || serve.wait_with_output());
        let told = said(&told.await.expect("no panic").expect("an end"));
        let words = "run 2 of `bees` is under way and goes on; `pressrun pause bees` stops it\n";
        assert!(told.out.contains(words), "{told:?}");
    }
);
