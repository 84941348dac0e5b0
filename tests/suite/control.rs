//! When a run starts, how fast it goes, to whom, and how it is stopped: from outside, on both databases.

mod answers;
mod audit;
mod backup;
mod commands;
mod database;
mod deferred;
mod desk;
mod doubles;
mod hours;
mod hygiene;
mod interrupted;
mod keyring;
mod lists;
mod meanwhile;
mod migrate;
mod notices;
mod output;
mod pace;
mod part;
mod privacy;
mod schedule;
mod segments;
mod signals;
mod stages;
mod state;
mod strangers;
mod trial;
mod webhook;

use pressrun::smtp::sink::SinkOptions;

use crate::deliver::rig::{Rig, Wish, readers};
use crate::harness::Engine;

/// A rig with `count` readers whose relay takes its time.
async fn slow(engine: Engine, count: usize, millis: u64) -> Rig {
    let wish = Wish {
        readers: readers(count),
        sink: SinkOptions {
            delay: std::time::Duration::from_millis(millis),
            ..SinkOptions::default()
        },
        ..Wish::default()
    };
    Rig::new(engine, wish).await
}
