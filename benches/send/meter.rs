//! The relay of the benchmark and its stop-watch: a sink in a process of its own, so that its processor
//! time is nobody else's, told on stdin when to begin and when to report.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pressrun::smtp::sink::{Keep, Sink, SinkOptions};

const CHILD: &str = "PRESSRUN_BENCH_SINK_DELAY_MS";
/// How often the stop-watch looks at the sink's counter.
const TICK: Duration = Duration::from_millis(1);

pub struct Meter {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Meter {
    /// A sink that waits `delay` before each burst of replies.
    pub fn start(delay: Duration) -> Meter {
        let program = std::env::current_exe().expect("this benchmark");
        let mut child = Command::new(program)
            .env(CHILD, delay.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a sink");
        let orders = child.stdin.take().expect("it is piped");
        let mut answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        answers.read_line(&mut line).expect("the sink's address");
        Meter {
            address: line.trim().parse().expect("an address"),
            child,
            orders,
            answers,
        }
    }

    /// Forgets what came so far.
    pub fn begin(&mut self) {
        self.order("begin");
    }

    /// Messages per second since [`Meter::begin`], of which there must have been `count`.
    pub fn end(&mut self, count: usize) -> f64 {
        let answer = self.order("end");
        let (accepted, rate) = answer.split_once(' ').expect("two numbers");
        assert_eq!(accepted, count.to_string(), "messages that the sink took");
        rate.parse().expect("a rate")
    }

    fn order(&mut self, word: &str) -> String {
        writeln!(self.orders, "{word}").expect("the sink listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the sink answers");
        line.trim().to_owned()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether this process was started to be the sink.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// When the first message since `base` was seen, and the last change after it.
#[derive(Default)]
struct Seen {
    base: u64,
    first: Option<(Instant, u64)>,
    last: Option<(Instant, u64)>,
}

impl Seen {
    fn look(&mut self, accepted: u64) {
        let now = Instant::now();
        if accepted > self.base && self.first.is_none() {
            self.first = Some((now, accepted));
        }
        if self.last.is_none_or(|(_, known)| known != accepted) {
            self.last = Some((now, accepted));
        }
    }

    fn rate(&self) -> f64 {
        let (Some((first, from)), Some((last, to))) = (self.first, self.last) else {
            return 0.0;
        };
        (to - from) as f64 / (last - first).as_secs_f64()
    }
}

/// Is the sink until stdin ends.
pub fn serve() {
    let delay = std::env::var(CHILD).expect("it made us the sink");
    let options = SinkOptions {
        keep: Keep::Nothing,
        delay: Duration::from_millis(delay.parse().expect("milliseconds")),
        ..SinkOptions::default()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sink = Arc::new(runtime.block_on(Sink::bind(options)).expect("a sink"));
    println!("{}", sink.address());
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (watched, watching) = (Arc::clone(&sink), Arc::clone(&seen));
    std::thread::spawn(move || {
        loop {
            let accepted = watched.counts().accepted;
            watching.lock().expect("no panic held it").look(accepted);
            std::thread::sleep(TICK);
        }
    });
    for order in std::io::stdin().lines() {
        let mut seen = seen.lock().expect("no panic held it");
        let accepted = sink.counts().accepted;
        if order.expect("a line") == "begin" {
            *seen = Seen {
                base: accepted,
                ..Seen::default()
            };
            println!("begun");
        } else {
            seen.look(accepted);
            println!("{} {}", accepted - seen.base, seen.rate());
        }
    }
}
