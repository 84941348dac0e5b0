//! What importing a file would change, and which of its columns holds what: the page between two presses.
//!
//! Promises: nothing is written for it; where the headers leave open what a column holds, that is asked before
//! anything is counted, and can be said otherwise afterwards.

use anyhow::{Context, anyhow};
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use tokio::time::timeout;

use crate::app::App;
use crate::http::admin::Admin;
use crate::http::admin::imports::{PATIENCE, came, refused, whole};
use crate::http::admin::uploads::Upload;
use crate::http::admin::wording::grouped;
use crate::http::fault::Fault;
use crate::import::columns::NOTHING;
use crate::import::doubt::Unsaid;
use crate::import::headers::{Headers, headers};
use crate::import::outcome::Outcome;
use crate::import::{self, Import, Summary};
use crate::subscriber::field::STANDING;

const HOME: &str = "/imports";
/// Rejected rows shown before an import; the page of the import shows more.
const SHOWN: usize = 50;

/// What importing a file would change, or what must be said of its columns first; it waits for the next press.
pub(super) async fn show(admin: &Admin, mut upload: Upload) -> Result<Response, Fault> {
    let (app, job) = (&admin.app, &upload.job);
    let headers = headers(app, &job.file, &job.map).unwrap_or_default();
    let fields = choices(&headers, &job.map);
    if let Some(unclear) = headers.unclear {
        let values = context! {
            key => upload.key.clone(),
            file => import::file_name(&job.file),
            list => job.list.clone(),
            columns => headers.columns,
            fields => Serde(fields),
            meanings => Serde(meanings([].into_iter(), &job.map)),
            unclear,
        };
        admin.uploads.keep(upload);
        return Ok(admin.page(HOME, "import_map.html", values));
    }
    let summary = match counted(app, job).await {
        Ok(summary) => summary,
        Err(why) => {
            if let Some(unsaid) = why.downcast_ref::<Unsaid>() {
                let values = context! {
                    key => upload.key.clone(),
                    file => import::file_name(&job.file),
                    list => job.list.clone(),
                    columns => headers.columns,
                    fields => Serde(fields),
                    meanings => Serde(meanings(unsaid.columns(), &job.map)),
                    unclear => unsaid.words(),
                };
                admin.uploads.keep(upload);
                return Ok(admin.page(HOME, "import_map.html", values));
            }
            let why = upload.folder.tell(&why);
            return Ok(admin.refused(HOME, HOME, &why));
        }
    };
    let toll = summary.toll();
    upload.asks = toll.is_heavy();
    let outcome = Outcome::from(&summary);
    let told = &outcome.rejects[..outcome.rejects.len().min(SHOWN)];
    let values = context! {
        key => upload.key.clone(),
        file => summary.file.clone(),
        service => summary.service.clone(),
        list => summary.list.clone(),
        status => summary.status,
        confirms => upload.job.confirm,
        consent => summary.consent.clone(),
        rows => grouped(whole(summary.rows)),
        came => came(&outcome),
        pending => grouped(whole(outcome.tally.pending)),
        tables => outcome.tables.clone(),
        passed_over => outcome.passed_over.clone(),
        ignored => outcome.ignored_columns.clone(),
        notes => outcome.notes(),
        toll => upload.asks.then(|| toll.words(&upload.job.list)),
        rejects => Serde(refused(told)),
        more => outcome.rejected.saturating_sub(told.len() as u64),
        columns => headers.columns,
        fields => Serde(fields),
        meanings => Serde(meanings([].into_iter(), &upload.job.map)),
        unclear => false,
    };
    admin.uploads.keep(upload);
    Ok(admin.page(HOME, "import_look.html", values))
}

/// A field, and the column that holds it: as the form said, or else as the headers have it.
#[derive(Debug, Serialize)]
struct Choice {
    name: String,
    said: String,
    held: Option<String>,
}

fn choices(headers: &Headers, map: &[(String, String)]) -> Vec<Choice> {
    let choice = |(name, held): &(String, Option<String>)| {
        let said = map.iter().find(|(_, field)| field == name);
        Choice {
            name: name.clone(),
            said: said.map(|(column, _)| column.clone()).unwrap_or_default(),
            held: held.clone(),
        }
    };
    headers.fields.iter().map(choice).collect()
}

/// A column that no field holds, and what the form said that it means: how readers stand, or nothing.
#[derive(Debug, Serialize)]
struct Meaning {
    column: String,
    said: String,
}

/// The columns of which somebody must say it, behind those of which the form did.
fn meanings<'a>(unsaid: impl Iterator<Item = &'a str>, map: &[(String, String)]) -> Vec<Meaning> {
    let said = map.iter().filter(|(_, to)| to == STANDING || to == NOTHING);
    let said = said.map(|(column, to)| (column.as_str(), to.as_str()));
    let meaning = |(column, said): (&str, &str)| Meaning {
        column: column.to_owned(),
        said: said.to_owned(),
    };
    said.chain(unsaid.map(|column| (column, "")))
        .map(meaning)
        .collect()
}

/// What the import would change; nothing is written.
async fn counted(app: &App, job: &Import) -> anyhow::Result<Summary> {
    let (app, job) = (app.clone(), job.clone());
    let work = tokio::spawn(async move { import::run(&app, &job, |_| ()).await });
    let stop = work.abort_handle();
    match timeout(PATIENCE, work).await {
        Ok(done) => done.context("looking at it broke")?,
        Err(_) => {
            stop.abort();
            Err(anyhow!(
                "looking at it takes longer than a page may; `pressrun subscribers import --dry-run` takes its \
                 time"
            ))
        }
    }
}
