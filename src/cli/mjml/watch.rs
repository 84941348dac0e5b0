//! `--watch`: compiles again after each save.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::cli::Exit;
use crate::cli::mjml::{Done, Job};

/// Editors write a file in several steps; this long after the last of them it is read.
const SETTLE: Duration = Duration::from_millis(30);

/// Compiles now and after each save, until Ctrl-C.
pub(super) async fn run(job: &Job<'_>) -> anyhow::Result<Exit> {
    let (say, mut heard) = mpsc::unbounded_channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if let Ok(event) = event
            && !event.kind.is_access()
        {
            // It fails only when nobody listens any more.
            let _ = say.send(event.paths);
        }
    });
    let mut watch = Watch {
        watcher: watcher.context("files cannot be watched here")?,
        folders: BTreeSet::new(),
        files: BTreeSet::new(),
    };
    // Watched before it is read: a save in between is seen.
    watch.follow(job)?;
    loop {
        let mut done = job.compile();
        // What was read before its folder was watched is read again: a save in between was not heard.
        while watch.follow(job)? {
            done = job.compile();
        }
        report(job, done);
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("signals cannot be heard")?;
                return Ok(Exit::Done);
            }
            () = watch.saved(&mut heard) => {}
        }
    }
}

/// One line for each compile.
fn report(job: &Job<'_>, done: anyhow::Result<Done>) {
    let file = job.arguments.file.display();
    match done {
        Ok(done) => {
            let took = done.took.as_secs_f64() * 1e3;
            let outcome = match (done.octets, &job.arguments.out) {
                (Some(octets), Some(out)) => format!("{}, {octets} octets", out.display()),
                _ => "not compiled".to_owned(),
            };
            let counted =
                |count: usize, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            let errors = counted(done.errors, "error");
            let warnings = counted(done.warnings, "warning");
            eprintln!("{file}: {outcome}, {errors}, {warnings}, {took:.1} ms");
        }
        // A file that an editor is about to replace may be away for a moment.
        Err(error) => eprintln!("{file}: {error:#}"),
    }
}

struct Watch {
    watcher: RecommendedWatcher,
    /// Folders are watched and not files, since editors replace files.
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches the document and what the last compile asked for; tells whether a folder is new.
    fn follow(&mut self, job: &Job<'_>) -> anyhow::Result<bool> {
        self.files = job.disk.take_asked();
        self.files.insert(job.disk.path_of(&job.name));
        let folders = self.files.iter().filter_map(|file| file.parent());
        let folders: BTreeSet<PathBuf> = folders.map(Path::to_owned).collect();
        let mut fresh = false;
        for folder in folders.difference(&self.folders) {
            // The folder of a missing include may be missing as well; the include is told as an error.
            if folder.is_dir() {
                let watched = self.watcher.watch(folder, RecursiveMode::NonRecursive);
                watched.with_context(|| format!("`{}` cannot be watched", folder.display()))?;
                fresh = true;
            }
        }
        for folder in self.folders.difference(&folders) {
            // It may be gone already.
            let _ = self.watcher.unwatch(folder);
        }
        self.folders = folders
            .into_iter()
            .filter(|folder| folder.is_dir())
            .collect();
        Ok(fresh)
    }

    /// Waits for a save of one of the files, and until it is over.
    async fn saved(&self, heard: &mut UnboundedReceiver<Vec<PathBuf>>) {
        while let Some(paths) = heard.recv().await {
            if !paths.iter().any(|path| self.files.contains(path)) {
                continue;
            }
            while let Ok(Some(_)) = tokio::time::timeout(SETTLE, heard.recv()).await {}
            return;
        }
    }
}
