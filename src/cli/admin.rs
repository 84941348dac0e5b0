//! `pressrun admin`: who may see the author's pages.

mod secret;

use std::io::{IsTerminal, stdout};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use rustix::termios::tcgetwinsize;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::access::picture::{Picture, picture};
use crate::access::{self, password, totp};
use crate::app::App;
use crate::cli::output::{print, print_file, print_json};
use crate::cli::{Cli, Exit, audit};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sets the password of the author's pages; every session ends.
    ///
    /// Asked for twice without showing it, or read as one line from a pipe. At least 12 characters.
    Password,
    /// Prints a link that logs one browser in, once, within 15 minutes.
    LoginLink {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    Totp(Totp),
}

/// Turns the second factor on: codes of an authenticator app beside the password.
///
/// A terminal shows the picture that such an app reads, beside the secret to be typed.
#[derive(Debug, Args)]
pub struct Totp {
    /// Turns it off.
    #[arg(long)]
    off: bool,
}

/// Runs `pressrun admin ...`.
pub(super) async fn run(cli: &Cli, command: &Command) -> anyhow::Result<Exit> {
    let app = cli.open().await?;
    match command {
        Command::Password => set_password(&app).await?,
        Command::LoginLink { json } => login_link(&app, *json).await?,
        Command::Totp(Totp { off: true }) => {
            totp::turn_off(&app).await?;
            audit::note(&app, "turned the second factor off", "").await?;
            print("the second factor is off, and every browser signs in anew\n")?;
        }
        Command::Totp(Totp { off: false }) => turn_on(&app).await?,
    }
    app.store.close().await;
    Ok(Exit::Done)
}

async fn set_password(app: &App) -> anyhow::Result<()> {
    let typed = secret::ask("New password: ").await?;
    if secret::is_terminal() {
        let again = secret::ask("Once more: ").await?;
        ensure!(
            typed.expose_secret() == again.expose_secret(),
            "the two are not the same; nothing was changed"
        );
    }
    let ended = password::set(app, SecretString::from(typed.expose_secret())).await?;
    audit::note(app, "set the password", "").await?;
    print(&format!(
        "the password is set; sessions that ended: {ended}\n"
    ))
}

async fn login_link(app: &App, as_json: bool) -> anyhow::Result<()> {
    let link = link(app).await?;
    audit::note(app, "made a login link", "").await?;
    if as_json {
        let seconds = access::LINK.as_secs();
        return print_json(&json!({ "link": link, "seconds": seconds }));
    }
    print(&format!("{link}\n"))?;
    let minutes = access::LINK.as_secs() / 60;
    eprintln!("good once, for {minutes} minutes; `pressrun serve` must be running");
    if let Some(host) = app.config.http.admin_hosts.first() {
        eprintln!("behind a proxy the same path is good under https://{host}");
    }
    Ok(())
}

/// A fresh login link on the author's listener.
pub(super) async fn link(app: &App) -> anyhow::Result<String> {
    let token = access::new_link(app).await?;
    let listens = app.config.http.admin;
    // What listens everywhere is asked on this machine.
    let ip = match listens.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(ip, listens.port());
    Ok(format!("http://{address}/login/{token}"))
}

async fn turn_on(app: &App) -> anyhow::Result<()> {
    let account = app.store.admin_account().await?;
    ensure!(
        account.password.is_some(),
        "the second factor stands beside a password; set one first: `pressrun admin password`"
    );
    let offer = totp::offer(app)?;
    let url = offer.url()?;
    print(&format!("secret  {}\naddress {url}\n", offer.secret()))?;
    draw(&url)?;
    let code = secret::ask("Add it to your app, and type the code it shows: ").await?;
    if !offer.accept(app, code.expose_secret()).await? {
        bail!("that is not the code of this moment; nothing was changed (is the clock right?)");
    }
    audit::note(app, "turned the second factor on", "").await?;
    print("the second factor is on: each login by password asks for a code\n")
}

/// The address as a picture, where a terminal has room for it.
fn draw(url: &str) -> anyhow::Result<()> {
    if !stdout().is_terminal() {
        return Ok(());
    }
    let Picture { lines, width } = picture(url)?;
    match tcgetwinsize(stdout()) {
        // A terminal that does not know its width says 0.
        Ok(size) if (1..width).contains(&usize::from(size.ws_col)) => print(&format!(
            "a picture of it takes {width} columns; make the terminal wider, and ask again\n"
        )),
        // The colours of the picture are ours.
        _ => print_file(&lines),
    }
}
