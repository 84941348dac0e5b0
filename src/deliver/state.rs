//! The state folder, tried before anything is begun that needs it.

use std::fs::{self, File};
use std::io::Write;

use anyhow::Context;

use crate::app::App;
use crate::deliver;

/// Fails where the state folder takes no file, unless another process sends: whoever sends keeps its guard there, and what
/// readers ask of a database that takes no writes.
pub async fn prove(app: &App) -> anyhow::Result<()> {
    if app.store.is_sqlite() && deliver::is_sending(app).await? {
        return Ok(());
    }
    try_it(app)
}

/// The same whoever sends.
pub fn try_it(app: &App) -> anyhow::Result<()> {
    let folder = app.path(&app.config.paths.state);
    let trial = folder.join(format!("trial-{}", std::process::id()));
    let written = fs::create_dir_all(&folder).and_then(|()| {
        let mut file = File::create(&trial)?;
        file.write_all(&[0x55; 4096])?;
        file.sync_all()
    });
    fs::remove_file(&trial).ok();
    written.with_context(|| {
        format!(
            "nothing is begun: the state folder `{}` (`paths.state`) cannot be written; let the program's user write \
             there, and look at the room on its disk",
            folder.display()
        )
    })
}
