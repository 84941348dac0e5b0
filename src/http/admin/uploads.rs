//! An import whose file comes by the browser: looked at first, taken on a second press.
//!
//! Promises: the command line's own import does both, so nobody is mailed, and nobody confirmed without a stated
//! consent; a file lies in a folder that only we read, under a name that leads nowhere, and goes with its import
//! or after an hour or two. At most four wait. Leaves the page between the two presses to `looks`.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use axum::Extension;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::access::Doer;
use crate::app::App;
use crate::clock::Timestamp;
use crate::http::admin::imports::PATIENCE;
use crate::http::admin::{Admin, looks, rejected};
use crate::http::fault::Fault;
use crate::http::form::Form;
use crate::import::{self, Import, restore};
use crate::lock::lock;
use crate::store::access::Session;
use crate::subscriber::{Status, clean_name};

const HOME: &str = "/imports";
/// Octets of a file: half a million readers. Larger ones are for the command line.
pub(super) const MOST: usize = 64 * 1024 * 1024;
/// Octets of a body: the file and its fields.
pub(super) const BODY: usize = MOST + 64 * 1024;
/// How long a file may take to come, and to be looked at: as long as a connection lives.
pub(super) const DEADLINE: Duration = Duration::from_secs(110);
/// Octets of a field beside the file.
const FIELD: usize = 4 * 1024;
/// Files that wait to be taken.
const WAITING: usize = 4;
/// How long one waits.
const KEPT: Duration = Duration::from_secs(3_600);
/// Between two looks for files that nobody took: they hold addresses.
const TIDY: Duration = Duration::from_secs(600);
/// Octets of a file's name.
const NAME: usize = 120;

/// Files that were looked at and wait.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<VecDeque<Upload>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    at: Timestamp,
    pub(super) folder: Folder,
    pub(super) job: Import,
    /// Whether it takes so many off the list that whoever takes it must say that it may.
    pub(super) asks: bool,
}

impl Uploads {
    pub(super) fn keep(&self, upload: Upload) {
        let mut waiting = lock(&self.0);
        waiting.retain(|kept| upload.at.since(kept.at) < KEPT);
        while waiting.len() >= WAITING {
            waiting.pop_front();
        }
        waiting.push_back(upload);
    }

    /// Lets go of those that have waited for too long.
    pub(super) fn expire(&self, now: Timestamp) {
        let mut waiting = lock(&self.0);
        waiting.retain(|kept| now.since(kept.at) < KEPT);
    }

    fn take(&self, key: &str, now: Timestamp) -> Option<Upload> {
        let mut waiting = lock(&self.0);
        waiting.retain(|kept| now.since(kept.at) < KEPT);
        let place = waiting.iter().position(|kept| kept.key == key)?;
        waiting.remove(place)
    }
}

/// A folder that only we read, and that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new one beside the database: a folder for all the world's files is often memory.
    fn new(app: &App) -> anyhow::Result<Folder> {
        let parent = parent(app);
        let mut folder = DirBuilder::new();
        folder.mode(0o700);
        let made = folder.recursive(true).create(&parent);
        made.with_context(|| format!("`{}` cannot be made", parent.display()))?;
        sweep(&parent);
        let path = parent.join(format!("{:016x}", app.chance.key()));
        let made = folder.recursive(false).create(&path);
        made.with_context(|| format!("`{}` cannot be made", path.display()))?;
        Ok(Folder(path))
    }

    /// An error without the folder in it, which is nobody's business.
    pub(super) fn tell(&self, why: &anyhow::Error) -> anyhow::Error {
        tell(&self.0, why)
    }
}

fn tell(folder: &Path, why: &anyhow::Error) -> anyhow::Error {
    let path = format!("{}/", folder.display());
    anyhow!("{}", format!("{why:#}").replace(&path, ""))
}

fn parent(app: &App) -> PathBuf {
    app.path(&app.config.paths.state).join("uploads")
}

/// Takes away what nobody took, and what a program that was killed left behind, as long as the site is there.
pub(super) async fn tidy(admin: Weak<Admin>) {
    while let Some(admin) = admin.upgrade() {
        admin.uploads.expire(admin.app.clock.now());
        sweep(&parent(&admin.app));
        rejected::sweep(&admin.app);
        drop(admin);
        tokio::time::sleep(TIDY).await;
    }
}

/// Takes away what a program that was killed left behind.
fn sweep(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        let age = entry.metadata().and_then(|found| found.modified());
        let age = age.ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > 2 * KEPT) {
            drop(Folder(entry.path()));
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let gone = fs::remove_dir_all(&self.0);
        if let Err(error) = gone
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, "a folder of an upload stays behind");
        }
    }
}

/// What a form said.
#[derive(Debug, Default)]
struct Asked {
    file: Option<PathBuf>,
    list: String,
    consent: String,
    status: String,
}

/// `POST /imports`: takes a file and says what importing it would change.
pub(super) async fn look(
    State(admin): State<Arc<Admin>>,
    request: Request,
) -> Result<Response, Fault> {
    let multipart = Multipart::from_request(request, &admin).await;
    let multipart = multipart.map_err(|_| Fault::Form)?;
    let app = &admin.app;
    let folder = Folder::new(app)?;
    let asked = match read(multipart, &folder.0).await? {
        Ok(asked) => asked,
        Err(why) => return Ok(admin.refused(HOME, HOME, &why)),
    };
    let job = match job(asked) {
        Ok(job) => job,
        Err(why) => return Ok(admin.refused(HOME, HOME, &why)),
    };
    let upload = Upload {
        key: format!("{:016x}", app.chance.key()),
        at: app.clock.now(),
        folder,
        job,
        asks: false,
    };
    looks::show(&admin, upload).await
}

/// `POST /imports/map`: the same again, with columns that hold what the form says of them.
pub(super) async fn map(State(admin): State<Arc<Admin>>, form: Form) -> Result<Response, Fault> {
    let now = admin.app.clock.now();
    let Some(mut upload) = admin.uploads.take(form.get("upload"), now) else {
        return Ok(admin.refused(HOME, HOME, &gone()));
    };
    let said = form
        .named("field_")
        .filter(|(_, column)| !column.is_empty());
    let said = said.map(|(field, column)| (column.to_owned(), field.to_owned()));
    upload.job.map = said.collect();
    upload.at = now;
    shown(admin, upload).await
}

/// The page of a file, which is kept for the next press whether anybody waits for this page or not.
async fn shown(admin: Arc<Admin>, upload: Upload) -> Result<Response, Fault> {
    let show = tokio::spawn(async move { looks::show(&admin, upload).await });
    show.await.map_err(anyhow::Error::from)?
}

/// Whoever presses twice has imported it; whoever waited for an hour has not.
fn gone() -> anyhow::Error {
    anyhow!(
        "this file is not here any more: it was imported a moment ago, which the newest import says, or it waited \
         for more than an hour; then send it again"
    )
}

/// `POST /imports/take`: imports a file that was looked at.
pub(super) async fn take(
    State(admin): State<Arc<Admin>>,
    Extension(session): Extension<Session>,
    form: Form,
) -> Result<Response, Fault> {
    let now = admin.app.clock.now();
    let Some(upload) = admin.uploads.take(form.get("upload"), now) else {
        return Ok(admin.refused(HOME, HOME, &gone()));
    };
    let accepted = form.get("accept") == "taken-off";
    if upload.asks && !accepted {
        return shown(admin, upload).await;
    }
    let Upload { folder, job, .. } = upload;
    tracing::info!(
        session.id = session.id,
        list = job.list,
        "an import on the author's site"
    );
    let (app, path) = (admin.app.clone(), folder.0.clone());
    let job = Import {
        accept_taken_off: accepted,
        by: Some(Doer::session(session.id)),
        dry_run: false,
        ..job
    };
    let work = tokio::spawn(async move {
        let summary = import::run(&app, &job, |_| ()).await;
        if let Ok(done) = &summary
            && let Some(id) = done.import
        {
            rejected::keep(&app, id, &done.rejects_files);
        }
        drop(folder);
        let told = summary.inspect_err(|error| {
            tracing::error!(error = format!("{error:#}"), "an import was broken off");
        });
        told.map(|summary| summary.import)
    });
    let to = match timeout(PATIENCE, work).await {
        // It goes on without us.
        Err(_) => format!("{HOME}?begun=yes"),
        Ok(done) => match done.context("the import broke").and_then(|done| done) {
            Ok(Some(id)) => format!("{HOME}/{id}"),
            Ok(None) => HOME.to_owned(),
            Err(why) => {
                let why = tell(&path, &why);
                return Ok(admin.refused(HOME, HOME, &why));
            }
        },
    };
    Ok(Redirect::to(&to).into_response())
}

/// The import that a form asks for: confirmed where a consent is stated and pending where not, unless it says
/// otherwise; as the command line does it.
fn job(asked: Asked) -> anyhow::Result<Import> {
    let file = asked.file.context("no file was chosen")?;
    ensure!(
        !restore::is_lines(&file),
        "JSON lines hold whole readers with their lists; `pressrun subscribers import` reads them back"
    );
    let consent = clean_name(&asked.consent);
    let said = Status::parse(&asked.status);
    ensure!(
        said != Some(Status::Confirmed) || !consent.is_empty(),
        "nobody is confirmed without a stated consent; say how these readers agreed"
    );
    let begin = match consent.is_empty() {
        true => Status::Pending,
        false => Status::Confirmed,
    };
    Ok(Import {
        file,
        list: asked.list,
        status: match said {
            Some(Status::Pending) => Status::Pending,
            _ => begin,
        },
        confirm: said == Some(Status::Confirmed),
        consent,
        map: Vec::new(),
        accept_taken_off: false,
        by: None,
        dry_run: true,
    })
}

/// Reads the form, its file into `folder`. The inner error is for the author.
async fn read(mut form: Multipart, folder: &Path) -> Result<anyhow::Result<Asked>, Fault> {
    let mut asked = Asked::default();
    while let Some(mut field) = form.next_field().await.map_err(|_| Fault::Form)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            let value = field.bytes().await.map_err(|_| Fault::Form)?;
            if value.len() > FIELD {
                return Err(Fault::TooLarge);
            }
            let value = String::from_utf8_lossy(&value).into_owned();
            match name.as_str() {
                "list" => asked.list = value,
                "consent" => asked.consent = value,
                "status" => asked.status = value,
                _ => {}
            }
            continue;
        }
        let named = field.file_name().unwrap_or_default();
        if named.is_empty() || asked.file.is_some() {
            continue;
        }
        let path = folder.join(harmless(named));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path).context("an upload")?;
        let mut file = tokio::fs::File::from_std(file);
        let mut size = 0;
        while let Some(chunk) = field.chunk().await.map_err(|_| Fault::Form)? {
            size += chunk.len();
            if size > MOST {
                return Ok(Err(anyhow!(
                    "the file is larger than {} MiB; `pressrun subscribers import` takes any",
                    MOST >> 20
                )));
            }
            file.write_all(&chunk).await.context("an upload")?;
        }
        file.flush().await.context("an upload")?;
        asked.file = Some(path);
    }
    Ok(Ok(asked))
}

/// The name of a file as a browser told it, as far as it leads nowhere: it is shown, and some services say by it
/// who stands in the file.
fn harmless(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ' | '(' | ')') => c,
        _ => '_',
    };
    let clean: String = last.chars().map(kept).collect();
    let clean = clean.trim_start_matches(['.', ' ']);
    let end = clean.floor_char_boundary(NAME.min(clean.len()));
    match clean[..end].trim() {
        "" => "readers.csv".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_files_name_leads_nowhere_and_says_what_it_said() {
        for (told, kept) in [
            ("email_list.weekly.csv", "email_list.weekly.csv"),
            ("Leser (März).csv", "Leser (März).csv"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\a\\x.csv", "x.csv"),
            ("..", "readers.csv"),
            ("", "readers.csv"),
            (".hidden.csv", "hidden.csv"),
            ("<script>.csv", "_script_.csv"),
            ("a\u{202e}b\0c\r\n.csv", "a_b_c__.csv"),
        ] {
            assert_eq!(harmless(told), kept, "{told:?}");
        }
        assert!(harmless(&"ä".repeat(500)).len() <= 120);
    }
}
