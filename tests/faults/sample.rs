//! R14: the identity, looked at every 100 ms while something else goes wrong.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pressrun::status::RunStatus;
use pressrun::store::Store;

const EVERY: Duration = Duration::from_millis(100);

/// A look that goes on until it is stopped.
pub struct Sampling {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Samples>,
}

#[derive(Debug, Default)]
pub struct Samples {
    pub taken: usize,
    pub violations: Vec<String>,
}

impl Sampling {
    /// Looks at every run of the database `url`, whose file is relative to `base`.
    pub fn start(url: &str, base: &Path) -> Sampling {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, base) = (url.to_owned(), base.to_owned());
        let stopped = Arc::clone(&stop);
        let task = std::thread::spawn(move || {
            let mut samples = Samples::default();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                while !stopped.load(Ordering::SeqCst) {
                    if let Ok(Some(store)) = Store::open_to_read(&url, &base).await {
                        look(&store, &mut samples).await;
                        store.close().await;
                    }
                    tokio::time::sleep(EVERY).await;
                }
            });
            samples
        });
        Sampling { stop, task }
    }

    /// Ends the look; panics when the identity did not hold, or nobody ever looked.
    pub fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let samples = self.task.join().expect("a look without a panic");
        assert!(
            samples.violations.is_empty(),
            "R14: {:#?}",
            samples.violations
        );
        assert!(samples.taken > 0, "R14: nobody looked");
        samples.taken
    }
}

/// One look. The recipients of a run are fixed once it is frozen, and the counters are read in one statement.
async fn look(store: &Store, samples: &mut Samples) {
    let Ok(runs) = store.runs(10).await else {
        return;
    };
    for run in runs.iter().filter(|run| run.status != RunStatus::Freezing) {
        if let Ok(counts) = store.counts(run.id()).await {
            samples.taken += 1;
            if counts.total() != run.recipients {
                let fault = format!(
                    "{} recipients of run {}, and {counts:?}",
                    run.recipients, run.id
                );
                samples.violations.push(fault);
            }
        }
    }
}
