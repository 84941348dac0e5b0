//! `pressrun sink`: a mail server that delivers nothing, to send to while trying things out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::cli::Exit;
use crate::clock::Clock;
use crate::config::parse_duration;
use crate::smtp::sink::certificate::Certificate;
use crate::smtp::sink::script::{HELP, Script};
use crate::smtp::sink::{Keep, Sink, SinkOptions, SinkTls};

/// Takes mail and delivers nothing: for trying out, tests and benchmarks.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct SinkArgs {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:2525")]
    listen: SocketAddr,
    /// Folder that gets one .eml per message, exactly as sent, and the log; when not said, they are only
    /// counted.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// File that gets one line of JSON per accepted message; `DIR/log.jsonl` when not said.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Encrypts with a certificate made at each start: after STARTTLS, or from the first octet.
    #[arg(long, value_name = "MODE", num_args = 0..=1, default_missing_value = "starttls")]
    tls: Option<TlsMode>,
    /// File that gets the authority of that certificate, for `ca_file` of a relay.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "sink-ca.pem",
        requires = "tls"
    )]
    ca: PathBuf,
    /// Takes mail only after AUTH with this user and password.
    #[arg(long, value_name = "USER:PASSWORD", value_parser = parse_auth)]
    auth: Option<(String, String)>,
    /// Waits before each burst of replies, as a distant relay would: `20ms`.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    delay: Option<Duration>,
    /// Does not offer PIPELINING.
    #[arg(long)]
    no_pipelining: bool,
    /// Offers CHUNKING: messages come by BDAT, several in one write.
    #[arg(long)]
    chunking: bool,
    /// Largest message, told as SIZE.
    #[arg(long, value_name = "OCTETS")]
    size: Option<u64>,
    /// Misbehaves towards everyone; the words are listed below.
    #[arg(long, value_name = "WORDS", value_parser = Script::parse)]
    script: Option<Script>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TlsMode {
    Starttls,
    Implicit,
}

/// Listens until it is interrupted.
pub async fn run(args: &SinkArgs) -> anyhow::Result<Exit> {
    let log = match (&args.log, &args.store) {
        (Some(log), _) => Some(log.clone()),
        (None, Some(store)) => Some(store.join("log.jsonl")),
        (None, None) => None,
    };
    let sink = Sink::bind(SinkOptions {
        listen: args.listen,
        store: args.store.clone(),
        log: log.clone(),
        keep: Keep::Nothing,
        tls: tls(args)?,
        auth: args.auth.clone(),
        delay: args.delay.unwrap_or_default(),
        pipelining: !args.no_pipelining,
        chunking: args.chunking,
        size: Some(args.size.unwrap_or(0)),
        script: args.script.clone().unwrap_or_default(),
        mailboxes: None,
        clock: Clock::System,
    })
    .await?;
    println!("The sink listens on {}", sink.url());
    if let Some(store) = &args.store {
        println!("Messages are stored in {}", store.display());
    }
    if let Some(log) = log {
        println!("Accepted messages are logged in {}", log.display());
    }
    if args.tls.is_some() {
        println!("Trust it with ca_file = {:?}", args.ca);
    }
    println!("Ctrl-C ends it.");
    interrupted().await?;
    let counts = sink.counts();
    println!(
        "{} connections, {} messages taken ({} octets), {} refused.",
        counts.connections, counts.accepted, counts.octets, counts.refused
    );
    sink.shutdown().await;
    Ok(Exit::Done)
}

fn tls(args: &SinkArgs) -> anyhow::Result<SinkTls> {
    let Some(mode) = args.tls else {
        return Ok(SinkTls::None);
    };
    let certificate = Certificate::loopback()?;
    std::fs::write(&args.ca, certificate.ca_pem()).with_context(|| {
        format!(
            "cannot write `{}`; choose another `--ca`",
            args.ca.display()
        )
    })?;
    Ok(match mode {
        TlsMode::Starttls => SinkTls::StartTls(certificate),
        TlsMode::Implicit => SinkTls::Implicit(certificate),
    })
}

fn parse_auth(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() => Ok((user.into(), password.into())),
        // The text is not shown: it may hold a password.
        _ => Err("expected `USER:PASSWORD`".into()),
    }
}

async fn interrupted() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
