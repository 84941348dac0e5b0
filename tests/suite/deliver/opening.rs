//! Relays that take fewer connections than they are asked for, or take them and say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pressrun::smtp::sink::{Sink, SinkOptions};
use pressrun::status::RunStatus;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::deliver::rig::{Rig, Wish, readers, until};
use crate::harness::Engine;
use crate::on_both;

/// A door before a relay; its listener goes with it.
struct Door {
    url: String,
    turned_away: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets `most` connections at a time through to `sink`, and turns the others away.
async fn door(sink: &Sink, most: usize) -> Door {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    let turned_away = Arc::new(AtomicUsize::new(0));
    let (counter, inside, behind) = (turned_away.clone(), Arc::new(()), sink.address());
    let task = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            if Arc::strong_count(&inside) > most {
                counter.fetch_add(1, Ordering::Relaxed);
                let full = b"421 4.7.0 too many connections\r\n";
                client.write_all(full).await.ok();
                continue;
            }
            let place = inside.clone();
            tokio::spawn(async move {
                let _place = place;
                let mut server = TcpStream::connect(behind).await.expect("the sink");
                copy_bidirectional(&mut client, &mut server).await.ok();
            });
        }
    });
    Door {
        url,
        turned_away,
        task,
    }
}

on_both!(
    a_relay_that_takes_two_connections_is_not_hammered_for_more,
    async |engine: Engine| {
        let slow = SinkOptions {
            delay: Duration::from_millis(10),
            ..SinkOptions::default()
        };
        let sink = Sink::bind(slow).await.expect("a sink");
        let door = door(&sink, 2).await;
        let wish = Wish {
            readers: readers(150),
            connections: 10,
            url: Some(door.url.clone()),
            send: "probe = \"100ms\"",
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let run = rig.begin().await;
        assert_eq!(rig.finish(run).await.sent, 150);
        assert_eq!(sink.counts().accepted, 150);
        // Each of eight asks after 100, 200, 400 ms and so on.
        let turned_away = door.turned_away.load(Ordering::Relaxed);
        assert!((1..=80).contains(&turned_away), "{turned_away}");
    }
);

on_both!(
    a_relay_that_takes_connections_and_says_nothing_gives_way_to_the_next_and_delays_no_end,
    async |engine: Engine| {
        let mute = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let wish = Wish {
            readers: readers(20),
            url: Some(format!("smtp://{}", mute.local_addr().expect("an address"))),
            relay: "connect_timeout = \"300ms\"\ncommand_timeout = \"10m\"",
            send: "drain = \"10m\"",
            ..Wish::default()
        };
        let mut rig = Rig::new(engine, wish).await;
        let spare = Sink::bind(SinkOptions::default()).await.expect("a sink");
        let relays = format!(
            "[relay.spare]\ntls = \"none\"\npriority = 2\nurl = \"{}\"\n",
            spare.url()
        );
        rig.more_relays(&relays, "relay = \"all\"").await;
        let run = rig.begin().await;
        let sending = rig.start().await;
        let trouble = rig.wait_trouble().await;
        assert!(trouble.contains("relay main: "), "{trouble}");
        assert!(trouble.contains("says nothing yet"), "{trouble}");
        assert!(until(async || spare.counts().accepted == 20).await);
        rig.wait_status(run, RunStatus::Finished).await;
        let asked = Instant::now();
        sending.stop().await;
        // An opening is no dot that an answer is waited for: that would be ten minutes.
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(120), "{took:?}");
        assert_eq!(rig.balanced(run).await.sent, 20);
    }
);
