//! The loop without a ledger: what any sender must do at the least.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pressrun::config::Relay;
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
    let letters = Arc::new(press.letters(signed));
    let relay = Arc::new(press.relay(meter));
    let next = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    meter.begin();
    let before = cost("self").expect("this process").seconds;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (letters, relay, next) = (letters.clone(), relay.clone(), next.clone());
                tokio::spawn(async move {
                    match way {
                        Way::Data => drive(&letters, &relay, &next, count).await,
                        Way::Windows => drive_windows(&letters, &relay, &next, count).await,
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

async fn connect(relay: &Relay) -> Session {
    let tls = TlsClient::new(relay.ca_file.as_deref()).expect("a TLS client");
    let session = Session::connect(relay, "bench.example.com", &tls).await;
    session.expect("a session")
}

/// One connection, a window at a time: while its answers are on their way, the next one is made.
async fn drive_windows(letters: &Letters, relay: &Relay, next: &AtomicUsize, count: usize) {
    let mut session = connect(relay).await;
    let mut window = vec![(String::new(), Vec::new()); WINDOW];
    let make = |window: &mut Vec<(String, Vec<u8>)>| {
        let mut made = 0;
        while made < WINDOW {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let (address, message) = &mut window[made];
            message.clear();
            *address = letters.render(number, message);
            made += 1;
        }
        made
    };
    let mut made = make(&mut window);
    while made > 0 {
        for (address, message) in &window[..made] {
            session.put(&envelope(address, message.len()), message);
        }
        let (answers, following) = tokio::join!(session.settle(), async { make(&mut window) });
        for answer in answers {
            assert_eq!(answer.expect("an answer").reply.code, 250);
        }
        made = following;
    }
    session.quit().await;
}

/// One connection: while a message's answer is on its way, the next is made.
async fn drive(letters: &Letters, relay: &Relay, next: &AtomicUsize, count: usize) {
    let mut session = connect(relay).await;
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&number| number < count);
    let mut message = Vec::new();
    let mut coming = Vec::new();
    let Some(first) = take() else { return };
    let address = letters.render(first, &mut message);
    offer(&mut session, &address, message.len());
    loop {
        let answer = session.answer().await.expect("an answer");
        assert!(matches!(answer, Offer::Go), "the sink refuses nobody");
        session.body(&message);
        let following = take();
        if let Some(number) = following {
            coming.clear();
            let address = letters.render(number, &mut coming);
            offer(&mut session, &address, coming.len());
        }
        let reply = session.verdict().await.expect("a verdict");
        assert_eq!(reply.code, 250);
        if following.is_none() {
            return session.quit().await;
        }
        std::mem::swap(&mut message, &mut coming);
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
