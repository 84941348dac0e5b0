//! The loop without a ledger: what any sender must do at the least.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pressrun::config::Relay;
use pressrun::smtp::buffer::{Buffer, Buffers};
use pressrun::smtp::session::{Envelope, Offer, Session};
use pressrun::smtp::tls::TlsClient;

use crate::Sample;
use crate::meter::Meter;
use crate::press::{Letters, Press, WINDOW, Way};
use crate::process::cost;

/// Sends `count` messages over `connections` sessions in this process.
pub fn run(
    press: &Press,
    meter: &mut Meter,
    connections: usize,
    count: usize,
    signed: bool,
    way: Way,
) -> Sample {
    let work = Arc::new(Work {
        letters: press.letters(signed),
        relay: press.relay(meter),
        buffers: Arc::default(),
        next: AtomicUsize::new(0),
        count,
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    meter.begin();
    let before = cost("self").expect("this process").seconds;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let work = work.clone();
                tokio::spawn(async move {
                    match way {
                        Way::Data => drive(&work).await,
                        Way::Windows => drive_windows(&work).await,
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a connection");
        }
    });
    let after = cost("self").expect("this process");
    Sample {
        rate: meter.end(count),
        cpu: (after.seconds - before) * 1e6 / count as f64,
        peak_mib: after.peak_mib,
    }
}

/// What the connections share.
struct Work {
    letters: Letters,
    relay: Relay,
    buffers: Arc<Buffers>,
    next: AtomicUsize,
    count: usize,
}

impl Work {
    /// The address and the message of the next reader; none after the last.
    fn take(&self) -> Option<(String, Buffer)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.count {
            return None;
        }
        let mut message = self.buffers.take();
        let address = self.letters.compose(number, message.octets());
        Some((address, message))
    }

    /// The next window; empty after the last.
    fn window(&self) -> Vec<(String, Buffer)> {
        std::iter::from_fn(|| self.take()).take(WINDOW).collect()
    }
}

async fn connect(relay: &Relay) -> Session {
    let tls = TlsClient::new(relay.ca_file.as_deref()).expect("a TLS client");
    let session = Session::connect(relay, "bench.example.com", &tls).await;
    session.expect("a session")
}

/// One connection, a window at a time: while its answers are on their way, the next one is made.
async fn drive_windows(work: &Work) {
    let mut session = connect(&work.relay).await;
    let mut window = work.window();
    while !window.is_empty() {
        for (address, message) in window {
            session.put(&envelope(&address, message.len()), message);
        }
        let (answers, following) = tokio::join!(session.settle(), async { work.window() });
        for answer in answers {
            assert_eq!(answer.expect("an answer").reply.code, 250);
        }
        window = following;
    }
    session.quit().await;
}

/// One connection: while a message's answer is on its way, the next is made.
async fn drive(work: &Work) {
    let mut session = connect(&work.relay).await;
    let Some((address, mut message)) = work.take() else {
        return;
    };
    offer(&mut session, &address, message.len());
    loop {
        let answer = session.answer().await.expect("an answer");
        assert!(matches!(answer, Offer::Go), "the sink refuses nobody");
        session.body(message);
        let following = work.take();
        if let Some((address, coming)) = &following {
            offer(&mut session, address, coming.len());
        }
        let reply = session.verdict().await.expect("a verdict");
        assert_eq!(reply.code, 250);
        let Some((_, coming)) = following else {
            return session.quit().await;
        };
        message = coming;
    }
}

fn offer(session: &mut Session, recipient: &str, size: usize) {
    session.offer(&envelope(recipient, size));
}

fn envelope(recipient: &str, size: usize) -> Envelope<'_> {
    Envelope {
        sender: "bounce@example.com",
        recipient,
        size,
    }
}
