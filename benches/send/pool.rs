//! lettre's pool with the same messages: what one would take from the shelf.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::Sample;
use crate::meter::Meter;
use crate::press::Press;
use crate::process::cost;

/// Sends `count` unsigned messages through a pool of `connections`.
pub fn run(press: &Press, meter: &mut Meter, connections: usize, count: usize) -> Sample {
    let letters = Arc::new(press.letters(false));
    let next = Arc::new(AtomicUsize::new(0));
    let size = u32::try_from(connections).expect("a few");
    let address = meter.address;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    meter.begin();
    let before = cost("self").expect("this process").seconds;
    runtime.block_on(async {
        let host = address.ip().to_string();
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(address.port())
            .pool_config(PoolConfig::new().max_size(size))
            .build();
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (letters, next, transport) = (letters.clone(), next.clone(), transport.clone());
                tokio::spawn(async move {
                    let mut message = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return;
                        }
                        message.clear();
                        let address = letters.render(number, &mut message);
                        let sender = "bounce@example.com".parse().expect("an address");
                        let recipient = address.parse().expect("an address");
                        let envelope = Envelope::new(Some(sender), vec![recipient]);
                        let envelope = envelope.expect("a sender and a recipient");
                        let sent = transport.send_raw(&envelope, &message).await;
                        sent.expect("the sink refuses nobody");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task");
        }
    });
    let after = cost("self").expect("this process");
    Sample {
        rate: meter.end(count),
        cpu: (after.seconds - before) * 1e6 / count as f64,
        peak_mib: after.peak_mib,
    }
}
