//! The relay of the benchmark and its stop-watch: a sink in a process of its own, so that its processor
//! time is nobody else's, told on stdin when to begin and when to report.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pressrun::clock::Clock;
use pressrun::smtp::sink::certificate::Certificate;
use pressrun::smtp::sink::{Keep, Sink, SinkOptions, SinkTls};

const CHILD: &str = "PRESSRUN_BENCH_SINK";
/// How often the stop-watch looks at the sink's counter.
const TICK: Duration = Duration::from_millis(1);

/// What the sink offers. A sender that leaves CHUNKING alone pipelines DATA.
#[derive(Clone, Default)]
pub struct Offers {
    /// Waits so long before each burst of replies.
    pub delay: Duration,
    pub pipelining: bool,
    /// Encrypts, and writes the authority of its certificate there.
    pub tls: Option<PathBuf>,
}

pub struct Meter {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub address: SocketAddr,
    pub tls: Option<PathBuf>,
}

/// What the stop-watch saw.
pub struct Seen {
    pub accepted: usize,
    /// Messages per second between the first and the last.
    pub rate: f64,
    /// When the first message was taken, in Unix milliseconds.
    pub first: f64,
}

impl Meter {
    pub fn start(offers: &Offers) -> Meter {
        let program = std::env::current_exe().expect("this benchmark");
        let tls = offers.tls.as_ref().map(|file| file.display().to_string());
        let words = format!(
            "{} {} {}",
            offers.delay.as_millis(),
            offers.pipelining,
            tls.unwrap_or_default()
        );
        let mut child = Command::new(program)
            .env(CHILD, words)
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
            tls: offers.tls.clone(),
            child,
            orders,
            answers,
        }
    }

    /// As a relay's `url`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "smtps" } else { "smtp" };
        format!("{scheme}://{}", self.address)
    }

    /// Forgets what came so far.
    pub fn begin(&mut self) {
        self.order("begin");
    }

    /// Messages per second since [`Meter::begin`], of which there must have been `count`.
    pub fn end(&mut self, count: usize) -> f64 {
        let seen = self.seen();
        assert_eq!(seen.accepted, count, "messages that the sink took");
        seen.rate
    }

    /// What came since [`Meter::begin`].
    pub fn seen(&mut self) -> Seen {
        let answer = self.order("end");
        let mut words = answer.split(' ');
        let mut next = || words.next().expect("three numbers");
        Seen {
            accepted: next().parse().expect("a count"),
            rate: next().parse().expect("a rate"),
            first: next().parse().expect("a time"),
        }
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

/// Milliseconds since 1970.
pub fn unix_millis() -> f64 {
    Clock::System.now().0 as f64
}

/// When the first message since `base` was seen, and the last change after it.
#[derive(Default)]
struct Watch {
    base: u64,
    first: Option<(Instant, u64)>,
    /// The same first moment by the wall clock.
    wall: f64,
    last: Option<(Instant, u64)>,
}

impl Watch {
    fn look(&mut self, accepted: u64) {
        let now = Instant::now();
        if accepted > self.base && self.first.is_none() {
            self.first = Some((now, accepted));
            self.wall = unix_millis();
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

fn options(words: &str) -> SinkOptions {
    let mut words = words.splitn(3, ' ');
    let mut next = || words.next().unwrap_or_default();
    let delay = next().parse().expect("milliseconds");
    let pipelining = next().parse().expect("true or false");
    let tls = match next() {
        "" => SinkTls::None,
        file => {
            let certificate = Certificate::loopback().expect("a certificate");
            std::fs::write(file, certificate.ca_pem()).expect("the authority's file");
            SinkTls::Implicit(certificate)
        }
    };
    SinkOptions {
        keep: Keep::Nothing,
        delay: Duration::from_millis(delay),
        chunking: true,
        pipelining,
        tls,
        ..SinkOptions::default()
    }
}

/// Is the sink until stdin ends.
pub fn serve() {
    let words = std::env::var(CHILD).expect("it made us the sink");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sink = runtime.block_on(Sink::bind(options(&words)));
    let sink = Arc::new(sink.expect("a sink"));
    println!("{}", sink.address());
    let watch = Arc::new(Mutex::new(Watch::default()));
    let (watched, watching) = (Arc::clone(&sink), Arc::clone(&watch));
    std::thread::spawn(move || {
        loop {
            let accepted = watched.counts().accepted;
            watching.lock().expect("no panic held it").look(accepted);
            std::thread::sleep(TICK);
        }
    });
    for order in std::io::stdin().lines() {
        let mut watch = watch.lock().expect("no panic held it");
        let accepted = sink.counts().accepted;
        if order.expect("a line") == "begin" {
            *watch = Watch {
                base: accepted,
                ..Watch::default()
            };
            println!("begun");
        } else {
            watch.look(accepted);
            println!("{} {} {}", accepted - watch.base, watch.rate(), watch.wall);
        }
    }
}
