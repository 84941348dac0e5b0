//! The watch on the author's files: a save is compiled some 20 ms after it.
//!
//! Promises: saves in quick succession (editors write a file, then its name) are one compile; what a
//! compile reads does not set off the next; files that have nothing to do with the issue are not asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::FutureExt;
use notify::{Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::http::preview::{Desk, Subject};
use crate::publication::shelf;

/// Editors write twice within a few milliseconds.
const QUIET: Duration = Duration::from_millis(20);
/// Where the system cannot watch (its watches are used up, a network's file system), we look.
const POLL: Duration = Duration::from_millis(500);

/// A running watch; ends when told or dropped.
pub(super) struct Watcher {
    task: JoinHandle<()>,
    _system: Box<dyn notify::Watcher + Send>,
}

impl Watcher {
    /// Watches all that the desk's target is made of.
    pub(super) fn start(desk: Arc<Desk>) -> anyhow::Result<Watcher> {
        let saved = Arc::new(Notify::new());
        let paths = Paths::of(&desk);
        let system = match watch::<RecommendedWatcher>(&paths, &saved) {
            Ok(system) => system,
            Err(error) => {
                tracing::warn!(%error, "files are not watched but looked at twice a second");
                watch::<PollWatcher>(&paths, &saved).context("files cannot be watched")?
            }
        };
        let task = tokio::spawn(async move {
            loop {
                saved.notified().await;
                tokio::time::sleep(QUIET).await;
                // What came meanwhile is in the compile that starts now.
                saved.notified().now_or_never();
                let desk = desk.clone();
                let compiled = tokio::task::spawn_blocking(move || desk.again());
                if let Err(error) = compiled.await {
                    tracing::error!(%error, "the compiler panicked");
                }
            }
        });
        Ok(Watcher {
            task,
            _system: system,
        })
    }

    /// Ends the watch.
    pub(super) async fn end(self) {
        self.task.abort();
        self.task.await.ok();
    }
}

/// What is watched, and what of it counts.
#[derive(Clone, Debug)]
struct Paths {
    /// Folders with all that is in them.
    trees: Vec<PathBuf>,
    /// Single files; their folders are watched, because editors replace a file by its new one.
    files: Vec<PathBuf>,
}

impl Paths {
    fn of(desk: &Desk) -> Paths {
        let shown = desk.shown();
        let emails = desk.base().join(&shown.config.paths.emails);
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        let mut trees = vec![real(emails.join("themes"))];
        if let Subject::Issue(issue) = &desk.target.subject {
            trees.push(real(shelf::folder_of(&emails, issue)));
        }
        let emails = real(emails);
        let file = real(desk.file.clone());
        Paths {
            trees,
            files: vec![
                emails.join("fields.toml"),
                emails.join("segments.toml"),
                emails.join("themes"),
                file,
            ],
        }
    }

    fn concern(&self, path: &Path) -> bool {
        let within = |tree: &PathBuf| path.starts_with(tree);
        self.trees.iter().any(within) || self.files.iter().any(|file| file == path)
    }
}

fn watch<W: notify::Watcher + Send + 'static>(
    paths: &Paths,
    saved: &Arc<Notify>,
) -> notify::Result<Box<dyn notify::Watcher + Send>> {
    let (saved, known) = (saved.clone(), paths.clone());
    let heard = move |event: notify::Result<Event>| {
        let concerns = match event {
            // A compile reads, and must not hear of itself.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) => event.need_rescan() || event.paths.iter().any(|path| known.concern(path)),
            Err(_) => true,
        };
        if concerns {
            saved.notify_one();
        }
    };
    let settings = notify::Config::default().with_poll_interval(POLL);
    let mut system = W::new(heard, settings)?;
    for tree in paths.trees.iter().filter(|tree| tree.is_dir()) {
        system.watch(tree, RecursiveMode::Recursive)?;
    }
    let folders = paths.files.iter().filter_map(|file| file.parent());
    for folder in folders.filter(|folder| folder.is_dir()) {
        // A folder that is watched with all that is in it needs no second watch.
        if !paths.trees.iter().any(|tree| folder.starts_with(tree)) {
            system.watch(folder, RecursiveMode::NonRecursive)?;
        }
    }
    Ok(Box::new(system))
}
