//! `pressrun subscribers data`: all that is kept of one reader, for her who asks for it.
//!
//! Promises: what she gets is what the link in her mailbox gives her; that it was given out is in the audit, by her key.
//! Leaves making sure that it is she who asks to whoever calls it: that link would have, and nothing is mailed to a
//! suppressed address.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use crate::app::App;
use crate::cli::output::{print, print_file, private_file};
use crate::cli::subscribers::show::{self, Who};
use crate::cli::{Exit, audit};
use crate::import::export;

#[derive(Debug, Args)]
pub struct Data {
    /// The reader's address, or her key as `rehearse` and exports tell it.
    #[arg(value_name = "ADDRESS|KEY", value_parser = show::who)]
    who: Who,
    /// The file to write, which must not be there; standard output when not said.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(app: &App, data: &Data) -> anyhow::Result<Exit> {
    let reader = match &data.who {
        Who::Address(address) => app.store.subscriber(&address.canonical()).await?,
        Who::Key(key) => app.store.subscriber_by_key(*key).await?,
    };
    let Some(reader) = reader else {
        bail!("no reader has this address or key; nothing is kept that leads to her");
    };
    let text = export::reader(app, reader.id).await?;
    let text = text.context("the reader is gone")?;
    let about = format!("reader {}", reader.id.0);
    let Some(path) = &data.out else {
        audit::note(app, "gave a reader's data out", &about).await?;
        print_file(&text)?;
        return Ok(Exit::Done);
    };
    let mut file = private_file(path)?;
    let name = path.display();
    file.write_all(text.as_bytes())
        .with_context(|| format!("`{name}` cannot be written"))?;
    audit::note(app, "gave a reader's data out", &about).await?;
    print(&format!("all that is kept of the reader is in `{name}`\n"))?;
    Ok(Exit::Done)
}
