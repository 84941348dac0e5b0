//! The watch on the author's files: a save is compiled some 20 ms after it.
//!
//! Promises: saves in quick succession (editors write a file, then its name) are one compile; what a
//! compile reads does not set off the next; files that have nothing to do with the issue are not asked; a folder
//! that goes away and comes back (another branch, a restored copy) is watched again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use futures::FutureExt;
use notify::{Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::http::preview::{Desk, Subject};
use crate::lock::lock;
use crate::publication::shelf;

/// Editors write twice within a few milliseconds.
const QUIET: Duration = Duration::from_millis(20);
/// Where the system cannot watch (its watches are used up, a network's file system), we look.
const POLL: Duration = Duration::from_millis(500);

/// A running watch; ends when told or dropped.
pub(super) struct Watcher {
    task: JoinHandle<()>,
}

/// What the system watches for us.
type System = Box<dyn notify::Watcher + Send>;

/// What the system told since it was asked last.
#[derive(Debug, Default)]
struct Heard {
    saved: Notify,
    /// A folder that is watched is another one now: watches are kept by the folder, not by its name.
    moved: AtomicBool,
}

impl Watcher {
    /// Watches all that the desk's target is made of.
    pub(super) fn start(desk: Arc<Desk>) -> anyhow::Result<Watcher> {
        let heard = Arc::new(Heard::default());
        let paths = Paths::of(&desk);
        let system = match watch::<RecommendedWatcher>(&paths, &heard) {
            Ok(system) => system,
            Err(error) => {
                tracing::warn!(%error, "files are not watched but looked at twice a second");
                watch::<PollWatcher>(&paths, &heard).context("files cannot be watched")?
            }
        };
        let system = Arc::new(Mutex::new(system));
        let task = tokio::spawn(async move {
            loop {
                heard.saved.notified().await;
                tokio::time::sleep(QUIET).await;
                // What came meanwhile is in the compile that starts now.
                heard.saved.notified().now_or_never();
                let moved = heard.moved.swap(false, Ordering::Relaxed);
                let (desk, paths, system) = (desk.clone(), paths.clone(), system.clone());
                let compiled = tokio::task::spawn_blocking(move || {
                    // First, so that what is written while it compiles is heard.
                    if moved && let Err(error) = paths.watch(&mut **lock(&system)) {
                        tracing::warn!(%error, "a folder of the issue is not watched");
                    }
                    desk.again();
                });
                if let Err(error) = compiled.await {
                    tracing::error!(%error, "the compiler panicked");
                }
            }
        });
        Ok(Watcher { task })
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
    /// Folders of which only what stands in them itself is watched: of the files, and around the trees.
    folders: Vec<PathBuf>,
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
        let files = vec![
            emails.join("fields.toml"),
            emails.join("segments.toml"),
            emails.join("themes"),
            real(desk.file.clone()),
        ];
        let base = real(desk.base().to_owned());
        let around = trees.iter().flat_map(|tree| {
            let parent = tree.parent();
            let above = tree.ancestors().skip(2);
            parent
                .into_iter()
                .chain(above.take_while(|folder| folder.starts_with(&base)))
        });
        let parents = files.iter().filter_map(|file| file.parent());
        let mut folders: Vec<PathBuf> = around.chain(parents).map(Path::to_owned).collect();
        folders.sort_unstable();
        folders.dedup();
        // A folder that is watched with all that is in it needs no second watch.
        folders.retain(|folder| !trees.iter().any(|tree| folder.starts_with(tree)));
        Paths {
            trees,
            files,
            folders,
        }
    }

    fn concern(&self, path: &Path) -> bool {
        let within = |tree: &PathBuf| path.starts_with(tree);
        self.trees.iter().any(within)
            || self.files.iter().any(|file| file == path)
            || self.holds_tree(path)
    }

    /// Whether it is a tree, or a folder around one.
    fn holds_tree(&self, path: &Path) -> bool {
        self.trees.iter().any(|tree| tree.starts_with(path))
    }

    /// Asks the system to watch what is there now.
    fn watch(&self, system: &mut dyn notify::Watcher) -> notify::Result<()> {
        for folder in self.folders.iter().filter(|folder| folder.is_dir()) {
            system.unwatch(folder).ok();
            system.watch(folder, RecursiveMode::NonRecursive)?;
        }
        for tree in self.trees.iter().filter(|tree| tree.is_dir()) {
            system.unwatch(tree).ok();
            system.watch(tree, RecursiveMode::Recursive)?;
        }
        Ok(())
    }
}

fn watch<W: notify::Watcher + Send + 'static>(
    paths: &Paths,
    heard: &Arc<Heard>,
) -> notify::Result<System> {
    let (heard, known) = (heard.clone(), paths.clone());
    let hear = move |event: notify::Result<Event>| {
        let concerns = match event {
            // A compile reads, and must not hear of itself.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) => {
                if event.paths.iter().any(|path| known.holds_tree(path)) {
                    heard.moved.store(true, Ordering::Relaxed);
                }
                event.need_rescan() || event.paths.iter().any(|path| known.concern(path))
            }
            Err(_) => true,
        };
        if concerns {
            heard.saved.notify_one();
        }
    };
    let settings = notify::Config::default().with_poll_interval(POLL);
    let mut system = W::new(hear, settings)?;
    paths.watch(&mut system)?;
    Ok(Box::new(system))
}
