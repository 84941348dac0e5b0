//! The audit's line of a command that changes what readers get, who they are, or who sees the author's pages.

use crate::access;
use crate::app::App;
use crate::terminal::plain;

/// Written once a change of one step is made, and before one that takes long. `about` names a run, a list or a
/// reader's key, never an address.
pub(super) async fn note(app: &App, what: &str, about: &str) -> anyhow::Result<()> {
    access::note_command(app, &whoever(), what, about).await
}

/// Who sits here.
pub(super) fn whoever() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let name = name.unwrap_or_default();
    let name: String = plain(&name).chars().take(64).collect();
    match name.is_empty() {
        true => "command line".to_owned(),
        false => format!("{name} at the command line"),
    }
}
