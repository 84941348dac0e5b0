//! `pressrun rehearse --speed`: a progress bar, and the forecast in words.

use std::io::{IsTerminal, stderr};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::LINE_EVERY;
use crate::app::App;
use crate::cli::Exit;
use crate::cli::output::{print, print_json};
use crate::publication::Built;
use crate::rehearse::speed::{self, Bottleneck, Forecast, Wish};

pub(super) async fn run(
    app: &App,
    built: Built,
    list: &str,
    wish: &Wish,
    json: bool,
) -> anyhow::Result<Exit> {
    let bar = stderr().is_terminal().then(|| {
        let style =
            ProgressStyle::with_template("{bar:30} {pos}/{len} messages, {per_sec}, {eta} left")
                .expect("the template names only what indicatif knows");
        ProgressBar::new(0).with_style(style)
    });
    let mut told = Instant::now();
    let forecast = speed::run(app, built, list, wish, |done, total| match &bar {
        Some(bar) => {
            bar.set_length(total);
            bar.set_position(done);
        }
        None if told.elapsed() >= LINE_EVERY => {
            told = Instant::now();
            eprintln!("{done} of {total} messages rehearsed");
        }
        None => {}
    })
    .await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let forecast = forecast?;
    match json {
        true => print_json(&forecast)?,
        false => print(&as_text(&forecast))?,
    }
    Ok(Exit::Done)
}

fn as_text(forecast: &Forecast) -> String {
    let Forecast {
        issue,
        list,
        recipients,
        sent,
        connections,
        ..
    } = forecast;
    let mut text =
        format!("`{issue}` to {recipients} readers of `{list}` over {connections} connections\n");
    if sent < recipients {
        text +=
            &format!("  broken off after {sent} messages; the rest is reckoned from their rate\n");
    }
    text += &format!(
        "  everyone tried    after {} ({:.0} a second)\n",
        span(forecast.first_pass_seconds),
        forecast.per_second
    );
    let deferred: u64 = forecast.providers.iter().map(|share| share.deferred).sum();
    text += &match deferred {
        0 => "  turned away       nobody\n".to_owned(),
        _ => format!(
            "  turned away       {deferred}, who have it after {} by the first wait of `send.retry`\n",
            span(forecast.finish_seconds)
        ),
    };
    text += &format!("  held up by        {}\n", held_up(forecast));
    text += &format!(
        "  memory            {} MiB at most, the sink included\n",
        forecast.memory_mib
    );
    for share in &forecast.providers {
        text += &format!(
            "  {:<17} {} recipients, {} turned away at first\n",
            share.provider, share.recipients, share.deferred
        );
    }
    text
}

fn held_up(forecast: &Forecast) -> String {
    match forecast.bottleneck {
        Bottleneck::Connections => format!(
            "the relay's answers: {} connections allow {:.0} a second; raise `connections` if its owner agrees",
            forecast.connections, forecast.connection_limit
        ),
        Bottleneck::Processor => format!(
            "the processor: {:.0} % of it were busy, the sink included",
            forecast.processor * 100.0
        ),
        Bottleneck::Disk => format!(
            "the disk: a durable write takes {:.1} ms, and each commit waits for one",
            forecast.durable_write_ms
        ),
        Bottleneck::Caps => {
            "the caps of the relays (`per_day` and the like, `warmup`): the rest waits for the \
                             next day or hour"
                .to_owned()
        }
        Bottleneck::None => {
            "nothing that could be told: neither connections, processor nor disk alone".to_owned()
        }
    }
}

fn span(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
