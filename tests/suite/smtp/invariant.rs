//! The master invariant: whatever a relay says, a message that the session calls accepted was accepted.
//! By DATA, pipelined or in lockstep, and by BDAT in windows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pressrun::smtp::error::ErrorKind;
use pressrun::smtp::sink::{Sink, SinkOptions};
use proptest::prelude::{Just, Strategy, prop_assert, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::chunking::send_window;
use super::{Fate, open, relay, send};

/// How many conversations are tried: `PRESSRUN_FAULTS=long` asks for R13's number, `PRESSRUN_REPLY_SCRIPTS` for any.
fn cases() -> u32 {
    let long = std::env::var("PRESSRUN_FAULTS").is_ok_and(|form| form == "long");
    let asked = std::env::var("PRESSRUN_REPLY_SCRIPTS");
    asked.map_or(if long { 100_000 } else { 100 }, |number| {
        number.parse().expect("a number")
    })
}

/// One word of a script that a recipient can ask for.
fn word() -> impl Strategy<Value = String> {
    let code = prop_oneof![
        Just(250),
        Just(251),
        Just(252),
        Just(299),
        Just(220),
        Just(354),
        Just(334),
        Just(421),
        Just(450),
        Just(452),
        Just(500),
        Just(503),
        Just(550),
        Just(554),
    ];
    let stage = prop_oneof![Just("mail"), Just("rcpt"), Just("data"), Just("dot")];
    prop_oneof![
        4 => (stage.clone(), code).prop_map(|(stage, code)| format!("{stage}-{code}")),
        2 => stage.prop_map(|stage| format!("twice-{stage}")),
        1 => Just("cut-before-dot".to_owned()),
        1 => Just("cut-after-dot".to_owned()),
        1 => Just("drop-after-dot".to_owned()),
        1 => Just("early".to_owned()),
        1 => Just("garbage".to_owned()),
        1 => Just("longline".to_owned()),
        1 => Just("latin1".to_owned()),
        1 => Just("multi".to_owned()),
        1 => Just("grey-1".to_owned()),
        1 => Just("slow-150ms".to_owned()),
    ]
}

/// A recipient with up to three words, most often none.
fn recipient() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        3 => Just(Vec::new()),
        4 => proptest::collection::vec(word(), 1..=3),
    ];
    words.prop_map(|words| words.into_iter().map(|word| format!("+{word}")).collect())
}

/// How the messages are sent, by what the sink offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Lockstep,
    Pipelined,
    /// So many messages in one write.
    Window(usize),
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        1 => Just(Mode::Lockstep),
        1 => Just(Mode::Pipelined),
        2 => (1..=6_usize).prop_map(Mode::Window),
    ]
}

/// Replies to a window cannot be told apart when two of them are doubled and the last ones are late: no
/// sender could. So at most one recipient of a window asks for a doubled answer.
fn doubled_once(words: Vec<String>) -> Vec<String> {
    let doubles = ["twice", "early"];
    let mut seen = false;
    let each = words.into_iter().map(|words| {
        let kept = words.split('+').filter(|word| {
            let double = doubles.iter().any(|double| word.starts_with(double));
            let keep = !(double && seen);
            seen |= double;
            keep
        });
        kept.collect::<Vec<_>>().join("+")
    });
    each.collect()
}

async fn converse(words: &[String], mode: Mode) -> Result<(Vec<Fate>, Vec<String>), String> {
    let sink = Sink::bind(SinkOptions {
        pipelining: mode != Mode::Lockstep,
        chunking: matches!(mode, Mode::Window(_)),
        ..SinkOptions::default()
    })
    .await
    .map_err(|error| error.to_string())?;
    let mut hasty = relay(&sink.url());
    hasty.command_timeout = Duration::from_millis(100);
    hasty.dot_timeout = Duration::from_millis(100);
    let mut session = match open(&hasty).await {
        Ok(session) => session,
        // A busy machine is late already with the greeting: then nothing was said, and nothing is judged.
        Err(error) if error.kind == ErrorKind::Timeout => return Ok((Vec::new(), Vec::new())),
        Err(error) => return Err(error.to_string()),
    };
    let names = words.iter().enumerate();
    let names: Vec<String> = names
        .map(|(index, words)| format!("r{index}{words}@x.example"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sending = async {
        let Mode::Window(size) = mode else {
            return send(&mut session, &names).await;
        };
        let mut fates = Vec::new();
        for window in names.chunks(size) {
            fates.extend(send_window(&mut session, window).await);
            if matches!(fates.last(), Some(Fate::Broken(_))) {
                break;
            }
        }
        fates
    };
    // Five deadlines at most before a session gives up: half a second, and many times that on a busy machine.
    let fates = timeout(Duration::from_secs(60), sending).await;
    let fates = fates.map_err(|_| "the session hangs".to_owned())?;
    if matches!(mode, Mode::Window(_)) {
        // A sender closes a broken connection; what lies in the socket is still read by the relay.
        drop(session);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let taken = sink.accepted().into_iter().flat_map(|record| record.rcpt);
    Ok((fates, taken.collect()))
}

/// Conversations mostly wait for a deadline, so many go on side by side.
const SIDE_BY_SIDE: u32 = 12;

#[test]
fn r13_what_the_session_calls_accepted_the_relay_has_accepted() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let threads = SIDE_BY_SIDE.min(cases() / 25).max(1);
    let share = cases().div_ceil(threads);
    let (sent, broken) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| converse_often(&runtime, share, &sent, &broken));
        }
    });
    // A test in which nothing is sent or nothing breaks would prove nothing.
    let (sent, broken) = (sent.into_inner(), broken.into_inner());
    assert!(sent > 0 && broken > 0);
    let cases = share * threads;
    println!(
        "R13  {cases} scripts: {sent} messages sent, {broken} sessions broken, falsely sent 0, panics 0, hangs 0"
    );
}

fn converse_often(runtime: &Runtime, cases: u32, sent: &AtomicU32, broken: &AtomicU32) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let conversations = (proptest::collection::vec(recipient(), 1..=6), mode());
    let judged = TestRunner::new(config).run(&conversations, |(words, mode)| {
        let words = match mode {
            Mode::Window(_) => doubled_once(words),
            _ => words,
        };
        let done = runtime.block_on(converse(&words, mode));
        let (fates, taken) = done.map_err(proptest::test_runner::TestCaseError::fail)?;
        for (index, fate) in fates.iter().enumerate() {
            let name = format!("r{index}{}@x.example", words[index]);
            let times = taken.iter().filter(|recipient| **recipient == name).count();
            prop_assert!(times <= 1, "{name} was taken twice");
            match fate {
                Fate::Answered(reply) if reply.code == 250 => {
                    prop_assert!(times == 1, "{name} was called accepted: {fates:?}");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                // Refused in so many words, or a break with the dot unsent: a retry cannot double it.
                Fate::Answered(reply) => {
                    prop_assert!((400..600).contains(&reply.code));
                    prop_assert!(times == 0, "{name} was called refused: {fates:?}");
                }
                Fate::Refused(..) => prop_assert!(times == 0, "{name} was refused: {fates:?}"),
                Fate::Broken(error) => {
                    broken.fetch_add(1, Ordering::Relaxed);
                    let definite = error.terminator == super::NOT_SENT;
                    prop_assert!(
                        !(definite && times > 0),
                        "{name} was called unsent: {error}"
                    );
                }
            }
        }
        Ok(())
    });
    judged.expect("the invariant");
}
