//! The rows that an import by the browser did not take, as a file to be mended and imported.
//!
//! Promises: such a file lies in a folder that only we read, under the number of its import, and goes after a day,
//! for it holds addresses. Leaves what stands in it to `import`.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::http::admin::Admin;
use crate::http::admin::imports::find;
use crate::http::admin::wording::parameter;
use crate::http::fault::Fault;
use crate::http::form::Tail;

/// How long a file is kept.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Tables of an import whose files are looked for; an export has a few.
const TABLES: usize = 32;

fn folder(app: &App) -> PathBuf {
    app.path(&app.config.paths.state).join("rejected")
}

fn path(app: &App, import: i64, number: usize) -> PathBuf {
    folder(app).join(format!("{import}-{number}.csv"))
}

/// Keeps the files that the import made of its rejected rows. It is done whether they can be kept or not.
pub(super) fn keep(app: &App, import: i64, files: &[String]) {
    let mut ours = DirBuilder::new();
    ours.mode(0o700).recursive(true);
    for (place, file) in files.iter().take(TABLES).enumerate() {
        let made = ours.create(folder(app));
        let kept = made.and_then(|()| fs::rename(file, path(app, import, place + 1)));
        if let Err(error) = kept {
            tracing::warn!(%error, import, "the file of the rejected rows is lost");
        }
    }
}

/// Numbers of the files that there are of an import.
pub(super) fn tables(app: &App, import: i64) -> Vec<usize> {
    sweep(app);
    let is_there = |number: &usize| path(app, import, *number).exists();
    (1..=TABLES).take_while(is_there).collect()
}

/// Takes away what is older than a day.
pub(super) fn sweep(app: &App) {
    let entries = fs::read_dir(folder(app)).into_iter().flatten().flatten();
    for entry in entries {
        let age = entry.metadata().and_then(|found| found.modified());
        let age = age.ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > KEPT)
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(%error, "a file of rejected rows stays behind");
        }
    }
}

/// `GET /imports/{id}/rejected.csv`: the file of the first table, or of `table`.
pub(super) async fn download(
    State(admin): State<Arc<Admin>>,
    Tail(id): Tail,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let import = find(&admin, &id).await?.id;
    let number = match parameter(query.as_deref(), "table").as_str() {
        "" => 1,
        number => number.parse().map_err(|_| Fault::NotFound)?,
    };
    if !tables(&admin.app, import).contains(&number) {
        return Err(Fault::NotFound);
    }
    let file = tokio::fs::read(path(&admin.app, import, number)).await;
    let file = file.map_err(|_| Fault::NotFound)?;
    let name = format!("attachment; filename=\"import-{import}-rejected-{number}.csv\"");
    let name = HeaderValue::try_from(name).map_err(|_| Fault::Broken)?;
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, name)], file).into_response())
}
