//! `pressrun preview`: an issue in the browser, anew at each save.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use crate::cli::output::print;
use crate::cli::{Cli, Exit, logs, signal};
use crate::config::Config;
use crate::http::preview::{self, Target};

/// Shows an issue in the browser, anew at each save: widths, colours, mail programs, readers.
#[derive(Debug, Args)]
pub struct Preview {
    /// Slug or folder of the issue, or a system mail, such as `system/confirm`.
    issue: String,
    /// Short name of the list to which it goes; the one of the front matter when not said, else the
    /// publication's own.
    #[arg(long, value_name = "LIST")]
    list: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Where the page is, for every command that has one.
#[derive(Clone, Debug, Args)]
pub(crate) struct Page {
    /// Port of 127.0.0.1; a free one when not said.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Opens the page in the browser.
    #[arg(long)]
    open: bool,
    /// Address that opens a place in your editor, such as `vscode://file{file}:{line}:{column}`.
    #[arg(long, value_name = "ADDRESS")]
    editor: Option<String>,
}

/// Runs `pressrun preview`.
pub(super) async fn run(cli: &Cli, preview: &Preview) -> anyhow::Result<Exit> {
    let target = Target {
        list: preview.list.clone(),
        ..Target::issue(&preview.issue)
    };
    serve(&cli.config, target, &preview.page).await
}

/// Shows `target` until Ctrl-C; `config` is the configuration's file.
pub(crate) async fn serve(config: &Path, target: Target, page: &Page) -> anyhow::Result<Exit> {
    let port = page.port.unwrap_or(0);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener
        .with_context(|| format!("port {port} of 127.0.0.1 cannot be used; choose another"))?;
    let address = format!("http://{}/", listener.local_addr()?);
    let target = Target {
        editor: page.editor.clone().or(target.editor),
        ..target
    };
    let base = std::path::absolute(config)?;
    logs::start(&Config::load(&base)?.log, false)?;
    let stop = signal::stop();
    // It sends nothing that stood at a dot.
    stop.drains(false);
    let serving = preview::open(config, target, stop.subscribe()).await?;
    print(&format!("preview on {address}\nCtrl-C ends it\n"))?;
    if page.open {
        open(&address);
    }
    serving.serve(listener).await?;
    Ok(Exit::Done)
}

/// Asks the desktop for its browser; whoever has none reads the address above.
fn open(address: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let started = std::process::Command::new(opener)
        .arg(address)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    if let Err(error) = started {
        eprintln!("no browser opened by itself ({opener}: {error})");
    }
}
