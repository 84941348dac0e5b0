//! Reading the JSON lines of an export into a database.
//!
//! Promises: in an empty database everything comes back as it was; in another, who is there already stays as it
//! is there, and who was erased stays away; nothing is read in where a reader would go on being mailed at an address
//! that she gave up. Broken off, it is simply done again: what is there is known.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use crate::address::EmailAddress;
use crate::app::App;
use crate::hex::hex;
use crate::id::{ListId, SubscriberId};
use crate::import::export::{Line, VERSION, mark};
use crate::import::{Progress, file_name};
use crate::store::import::Wanted;
use crate::store::journal::WholeQuarter;
use crate::store::whole::{Restored, WholeMove, WholeReader, WholeSuppression};
use crate::subscriber::tag::Tag;

/// Lines of one transaction.
const STEP: usize = 500;
/// Readers of one look at those who are here.
const PAGE: u32 = 2_000;
/// Longest line in octets: a reader on a hundred lists with a hundred consents takes a fiftieth of it.
const LINE: u64 = 4 << 20;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    pub file: String,
    pub dry_run: bool,
    pub readers: u64,
    /// New here.
    pub added: u64,
    /// Here before, or erased here, and left alone.
    pub known: u64,
    pub lists: u64,
    pub imports: u64,
    pub suppressions: u64,
    /// Of them: new here.
    pub suppressed: u64,
}

/// Whether the file holds the JSON lines of an export.
pub fn is_lines(file: &Path) -> bool {
    let mut start = [0];
    let read = File::open(file).and_then(|mut file| file.read(&mut start));
    matches!(read, Ok(1)) && start[0] == b'{'
}

/// Reads `file`; `progress` is called after each step.
pub async fn run(
    app: &App,
    file: &Path,
    dry_run: bool,
    mut progress: impl FnMut(Progress),
) -> anyhow::Result<Summary> {
    ensure!(
        dry_run || !app.store.is_busy().await?,
        "a run is on its way, and readers put in now would be half in it; try again when it is done"
    );
    let name = file.display().to_string();
    let input = File::open(file).with_context(|| format!("`{name}` cannot be opened"))?;
    let size = input.metadata()?.len();
    if app.store.has_readers().await? {
        refuse_given_up(app, file).await?;
    }
    let mut restore = Restore {
        app,
        summary: Summary {
            file: file_name(file),
            dry_run,
            ..Summary::default()
        },
        readers: Vec::new(),
        suppressions: Vec::new(),
        imports: Vec::new(),
        journals: BTreeMap::new(),
    };
    let mut lines = Lines::new(input, &name);
    while let Some(line) = lines.next()? {
        let (number, bytes) = (lines.number, lines.bytes);
        let taken = restore.take(line, number).await;
        if taken.with_context(|| format!("{name}: line {number}"))? {
            progress(Progress {
                rows: restore.summary.readers,
                bytes,
                size,
            });
        }
    }
    ensure!(lines.number > 0, "{name}: the file is empty");
    restore.flush().await?;
    // As they were put in, readers wrote how they stand, not how they came to.
    for (list, moves) in &restore.journals {
        if !moves.is_empty() {
            app.store.put_journal(list, moves).await?;
        }
    }
    Ok(restore.summary)
}

/// The lines of a file, one by one.
struct Lines<'a> {
    input: BufReader<File>,
    name: &'a str,
    text: Vec<u8>,
    /// Of the last line, counted from 1, and where it ends.
    number: u64,
    bytes: u64,
}

impl Lines<'_> {
    fn new(input: File, name: &str) -> Lines<'_> {
        Lines {
            input: BufReader::with_capacity(1 << 16, input),
            name,
            text: Vec::new(),
            number: 0,
            bytes: 0,
        }
    }

    /// None at the end of the file.
    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        self.text.clear();
        let mut rest = (&mut self.input).take(LINE);
        let read = rest.read_until(b'\n', &mut self.text)? as u64;
        if read == 0 {
            return Ok(None);
        }
        (self.number, self.bytes) = (self.number + 1, self.bytes + read);
        let (name, number) = (self.name, self.number);
        ensure!(read < LINE, "{name}: line {number} is longer than 4 MiB");
        let line = serde_json::from_slice(&self.text)
            .with_context(|| format!("{name}: line {number} is no line of an export"))?;
        Ok(Some(line))
    }
}

/// Refuses a file whose readers gave up addresses at which readers here get mail: nobody but a person knows whether
/// that is the same reader, as she stood before she moved. Whoever has such an address in the file as she has it here
/// is none of them.
async fn refuse_given_up(app: &App, file: &Path) -> anyhow::Result<()> {
    let name = file.display().to_string();
    let mut lines = Lines::new(File::open(file)?, &name);
    let mut given_up = HashSet::new();
    while let Some(line) = lines.next()? {
        if let Line::Reader(reader) = line {
            given_up.extend(reader.former.into_iter().map(|former| former.hash));
        }
    }
    let owners = match given_up.is_empty() {
        true => HashSet::new(),
        false => owners(app, file, &given_up)?,
    };
    let (mut mailed, mut after) = (Vec::new(), SubscriberId(0));
    while !given_up.is_empty() {
        let page = app.store.mailed_after(after, PAGE).await?;
        let Some((last, ..)) = page.last() else {
            break;
        };
        after = *last;
        let each = page.into_iter();
        let gone = each.filter(|(id, hash, _)| {
            let hash = hex(hash);
            given_up.contains(&hash) && !owners.contains(&(hash, *id))
        });
        mailed.extend(gone.map(|(_, _, address)| address));
    }
    let Some(first) = mailed.first() else {
        return Ok(());
    };
    let others = match mailed.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    bail!(
        "{name}: `{first}`{others} gets mail here, and was given up for another address there; nothing was read in. Take \
         each off its lists (`pressrun subscribers remove`) or bar it (`pressrun suppressions add`), or erase its reader \
         if she is the same (`pressrun subscribers erase`)"
    );
}

/// Readers of the file who have one of these addresses there, by its hash: whoever took her move back, or came under an
/// address that another one gave up.
fn owners(
    app: &App,
    file: &Path,
    given_up: &HashSet<String>,
) -> anyhow::Result<HashSet<(String, SubscriberId)>> {
    let name = file.display().to_string();
    let mut lines = Lines::new(File::open(file)?, &name);
    let mut owners = HashSet::new();
    while let Some(line) = lines.next()? {
        let Line::Reader(reader) = line else {
            continue;
        };
        // One that is no address is told when its line is read in.
        let Ok(address) = EmailAddress::parse(&reader.address) else {
            continue;
        };
        let hash = hex(&app.keyring.address_hash(&address.canonical()));
        if given_up.contains(&hash) {
            owners.insert((hash, SubscriberId(reader.id)));
        }
    }
    Ok(owners)
}

/// Whether this is a keyed hash of an address.
fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

struct Restore<'a> {
    app: &'a App,
    summary: Summary,
    readers: Vec<Restored>,
    suppressions: Vec<WholeSuppression>,
    /// Numbers of imports there and here.
    imports: Vec<(i64, i64)>,
    /// Of each list that was new here: its journal, as far as it was read.
    journals: BTreeMap<String, Vec<WholeQuarter>>,
}

impl Restore<'_> {
    /// Takes one line; true when a step was made with it.
    async fn take(&mut self, line: Line, number: u64) -> anyhow::Result<bool> {
        let store = &self.app.store;
        let dry_run = self.summary.dry_run;
        match line {
            Line::Pressrun { version, keyring } => {
                ensure!(
                    version == VERSION,
                    "the lines are of version {version}; this program reads version {VERSION}"
                );
                ensure!(
                    keyring == mark(self.app),
                    "the readers stand under hashes of another keyring; put that one in place \
                     (`paths.keyring`), or suppressed addresses would be mailed again"
                );
            }
            _ if number == 1 => bail!(
                "the first line says nothing of Pressrun; give the file of `subscribers export --format jsonl`"
            ),
            Line::List {
                slug,
                title,
                label,
                created_at,
            } => {
                self.summary.lists += 1;
                if !dry_run {
                    store.add_list(&slug, &title, &label, created_at).await?;
                    if store.is_untouched(&slug).await? {
                        self.journals.insert(slug, Vec::new());
                    }
                }
            }
            Line::Import(import) => {
                self.summary.imports += 1;
                if !dry_run {
                    let here = store.put_import(&import).await?;
                    self.imports.push((import.id, here));
                }
            }
            Line::Journal(moved) => {
                let known = matches!(moved.what.as_str(), "joined" | "imported" | "left");
                ensure!(
                    known,
                    "nobody knows what `{}` is in a list's journal",
                    moved.what
                );
                if let Some(journal) = self.journals.get_mut(&moved.list) {
                    journal.push(moved);
                }
            }
            Line::Suppression(suppression) => {
                let fits = is_hash(&suppression.hash);
                let fits = fits && suppression.mailbox.as_deref().is_none_or(is_hash);
                ensure!(fits, "a suppression's hash is 64 hexadecimal digits");
                self.suppressions.push(suppression);
            }
            Line::Reader(reader) => {
                let restored = self.restored(reader)?;
                self.readers.push(restored);
                self.summary.readers += 1;
            }
        }
        let full = self.readers.len() == STEP || self.suppressions.len() == STEP;
        if full {
            self.flush().await?;
        }
        Ok(full)
    }

    fn restored(&self, mut reader: WholeReader) -> anyhow::Result<Restored> {
        let address = EmailAddress::parse(&reader.address)?;
        ensure!(reader.id > 0, "a reader's key is a positive number");
        for tag in &reader.tags {
            Tag::parse(tag)?;
        }
        for subscription in &mut reader.subscriptions {
            let number = subscription.import;
            let here = self
                .imports
                .iter()
                .find(|(there, _)| Some(*there) == number);
            subscription.import = here.map(|(_, here)| *here);
            let moves = std::mem::take(&mut subscription.moves).into_iter();
            let here = |number| self.imports.iter().find(|(there, _)| *there == number);
            let moves = moves.filter_map(|moved| {
                let import = here(moved.import)?.1;
                Some(WholeMove { import, ..moved })
            });
            subscription.moves = moves.collect();
        }
        let fits = reader.former.iter().all(|former| is_hash(&former.hash));
        ensure!(
            fits,
            "an address that was given up is a hash of 64 hexadecimal digits"
        );
        let canonical = address.canonical();
        Ok(Restored {
            hash: self.app.keyring.address_hash(&canonical),
            canonical,
            reader,
        })
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let store = &self.app.store;
        let readers = std::mem::take(&mut self.readers);
        let suppressions = std::mem::take(&mut self.suppressions);
        self.summary.suppressions += suppressions.len() as u64;
        let added = if self.summary.dry_run {
            let wanted = |restored: &Restored| Wanted {
                canonical: restored.canonical.clone(),
                hash: restored.hash,
                // What comes back as it was is asked for under its own address alone.
                mailbox: None,
            };
            let wanted: Vec<Wanted> = readers.iter().map(wanted).collect();
            let found = store.known_readers(ListId(0), &wanted).await?;
            let known = found.iter().filter(|known| known.reader.is_some()).count();
            (readers.len() - known) as u64
        } else {
            // The erased first: they keep their readers out.
            if !suppressions.is_empty() {
                self.summary.suppressed += store.put_suppressions(&suppressions).await?;
            }
            match readers.is_empty() {
                true => 0,
                false => store.put_readers(&readers).await?,
            }
        };
        self.summary.added += added;
        self.summary.known += readers.len() as u64 - added;
        Ok(())
    }
}
