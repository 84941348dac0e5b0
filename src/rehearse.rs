//! The dry run: every reader's own message, made in memory and sent to nobody.
//!
//! Promises: reads only; the very template and values of a run, so that what is found here would have
//! happened there; memory bounded by one page of readers, whatever the size of the list. Addresses leave
//! here masked, but to who asks for each of them by name. Leaves the decision whether to send to the caller.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context;
use serde::{Serialize, Serializer};

use crate::address::EmailAddress;
use crate::app::App;
use crate::clock::Timestamp;
use crate::compile::only::NOBODY;
use crate::deliver::copies;
use crate::id::{DeliveryKey, ListId, RunId, SubscriberId, SubscriptionKey};
use crate::message::copy::CopyRecord;
use crate::message::{ListHeaders, MessageTemplate};
use crate::octets::Octets;
use crate::publication::Built;
use crate::rehearse::inspect::{Inspector, Value};
use crate::run;
use crate::store::audience::{Listener, Whom};
use crate::terminal::acts;

mod caps;
mod inspect;
mod providers;
pub mod speed;

/// Readers in one page: a few megabytes of values at most.
const PAGE: u32 = 4_000;
/// Readers shown for each kind of finding.
const EXAMPLES: usize = 5;

/// What may be wrong with one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The address is none; nothing can be sent there.
    InvalidAddress,
    /// A value that lands in a header holds a control character.
    HeaderInjection,
    /// No copy can be made.
    Unrenderable,
    /// A slot without a default meets a reader without the value.
    MissingValue,
    /// The subject is cut.
    OverlongSubject,
    /// This copy alone is cut off by Gmail.
    Oversize,
    /// The value is a mark of some template.
    Leftover,
    /// The value is hardly what the field is for.
    Suspicious,
}

impl Kind {
    /// The name in JSON and on the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Kind::InvalidAddress => "invalid-address",
            Kind::HeaderInjection => "header-injection",
            Kind::Unrenderable => "unrenderable",
            Kind::MissingValue => "missing-value",
            Kind::OverlongSubject => "overlong-subject",
            Kind::Oversize => "oversize",
            Kind::Leftover => "leftover",
            Kind::Suspicious => "suspicious",
        }
    }

    /// Whether it stops a run.
    pub fn is_error(self) -> bool {
        !matches!(self, Kind::Leftover | Kind::Suspicious)
    }

    /// Whether a person may send in spite of it.
    pub fn may_be_skipped(self) -> bool {
        !matches!(
            self,
            Kind::InvalidAddress | Kind::HeaderInjection | Kind::Unrenderable
        )
    }
}

/// What was found in all copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub readers: u64,
    /// By kind and field, the gravest first.
    pub findings: Vec<Group>,
}

/// Findings of one kind in one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    pub kind: Kind,
    pub field: String,
    pub readers: u64,
    /// The first few readers.
    pub examples: Vec<Example>,
}

/// One of the readers whom a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// In JSON a text: scripts would round a number of 63 bits.
    #[serde(serialize_with = "as_text")]
    pub subscriber: i64,
    /// Masked.
    pub address: String,
    /// What is wrong, in words; may quote a value.
    pub detail: String,
}

/// One finding with the reader it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub kind: Kind,
    pub field: String,
    pub subscriber: i64,
    /// As it is kept, valid or not.
    pub address: String,
    pub detail: String,
}

/// Who hears each finding by name, in the order of the readers.
pub type Hearing<'a> = &'a mut (dyn FnMut(Named) -> anyhow::Result<()> + Send);

fn as_text<S: Serializer>(key: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

impl Report {
    /// Findings that stop a run; with `skip` only those that nobody may send in spite of.
    pub fn refusals(&self, skip: bool) -> impl Iterator<Item = &Group> {
        let stops =
            move |group: &&Group| group.kind.is_error() && !(skip && group.kind.may_be_skipped());
        self.findings.iter().filter(stops)
    }
}

/// Makes the message of every reader of `list` whom a run to `whom` would reach now. `progress` hears how many of
/// how many are done, `each` of every finding.
pub async fn run(
    app: &App,
    built: &Built,
    list: &str,
    whom: Whom<'_>,
    each: Option<Hearing<'_>>,
    mut progress: impl FnMut(u64, u64),
) -> anyhow::Result<Report> {
    let Some(list) = app.store.list(list).await? else {
        // The publication's own list is made when it is first needed; nobody is on it yet.
        let known = list == app.config.publication.list;
        anyhow::ensure!(
            known,
            "there is no list `{list}`; `pressrun lists show` names them"
        );
        return Ok(Report::default());
    };
    let headers = ListHeaders {
        title: list.title,
        label: list.label,
        domain: app.config.from.address.domain().to_owned(),
    };
    // The name of the installation is random and does not change the shape of a message.
    let instance = "0000000000000000".to_owned();
    let slug = &built.compiled.slug;
    let headers = run::headers_of(&app.config, Some(headers), slug, instance);
    let template = MessageTemplate::new(&built.compiled, &headers, None)?;
    let maker = Arc::new(Maker {
        inspector: Inspector::new(&built.compiled, &built.issue.text, &headers.public_url),
        template,
        app: app.clone(),
        now: app.clock.now(),
        by_name: each.is_some(),
    });
    let total = match whom.segment {
        Some(filter) => {
            let (monthly, now) = (whom.monthly, app.clock.now());
            app.store.in_segment(list.id, filter, monthly, now).await?
        }
        None => app.store.confirmed_on(list.id, whom.monthly).await?,
    };
    let total = u64::try_from(total.readers).unwrap_or_default();
    everyone(maker, list.id, whom, total, each, &mut progress).await
}

async fn everyone(
    maker: Arc<Maker>,
    list: ListId,
    whom: Whom<'_>,
    total: u64,
    mut each: Option<Hearing<'_>>,
    progress: &mut impl FnMut(u64, u64),
) -> anyhow::Result<Report> {
    let store = maker.app.store.clone();
    let mut tally = Tally::default();
    let mut readers = 0;
    let mut page = store
        .audience(list, whom, maker.now, SubscriberId(0), PAGE)
        .await?;
    while let Some(last) = page.last() {
        let after = SubscriberId(last.id);
        readers += page.len() as u64;
        let maker = maker.clone();
        let now = maker.now;
        let work = tokio::task::spawn_blocking(move || maker.page(&page));
        // The next page is read while this one is made.
        let next = store.audience(list, whom, now, after, PAGE).await;
        let mut found = work.await.context("a thread of the rehearsal failed")?;
        for named in found.named.drain(..) {
            each.as_mut().map_or(Ok(()), |each| each(named))?;
        }
        tally.join(found);
        page = next?;
        progress(readers, total.max(readers));
    }
    Ok(Report {
        readers,
        findings: tally.groups(),
    })
}

/// What makes copies, shared by all threads.
struct Maker {
    app: App,
    template: MessageTemplate,
    inspector: Inspector,
    now: Timestamp,
    /// Whether each finding is wanted with its reader.
    by_name: bool,
}

impl Maker {
    /// Makes a page's copies on all cores, and gives what was found in the order of the readers.
    fn page(&self, page: &[Listener]) -> Tally {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // A thread costs more than a hundred copies.
        let share = page.len().div_ceil(threads).max(250);
        let mut tally = Tally::default();
        std::thread::scope(|scope| {
            let work = page.chunks(share).map(|readers| {
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    let mut message = Octets::default();
                    for reader in readers {
                        self.one(reader, &mut message, &mut tally);
                    }
                    tally
                })
            });
            let work: Vec<_> = work.collect();
            for thread in work {
                match thread.join() {
                    Ok(found) => tally.join(found),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        tally
    }

    fn one(&self, reader: &Listener, message: &mut Octets, tally: &mut Tally) {
        let address = masked(&reader.address);
        let mut tell = |kind, field: &str, detail: String| {
            if self.by_name {
                tally.named.push(Named {
                    kind,
                    field: field.to_owned(),
                    subscriber: reader.id,
                    address: reader.address.clone(),
                    detail: detail.clone(),
                });
            }
            let example = Example {
                subscriber: reader.id,
                address: address.clone(),
                detail,
            };
            tally.add(kind, field, example);
        };
        let to = match EmailAddress::parse(&reader.address) {
            Ok(to) => to,
            Err(error) => {
                tell(Kind::InvalidAddress, "email", error.to_string());
                return;
            }
        };
        let fields = match copies::fields(&reader.fields, self.template.fields()) {
            Ok(fields) => fields,
            Err(error) => {
                tell(Kind::Unrenderable, "fields", format!("{error:#}"));
                return;
            }
        };
        let mut copy = CopyRecord::new(to, self.now, self.app.keyring.active());
        copy.name.clone_from(&reader.name);
        copy.subscription = Some(SubscriptionKey(reader.subscription));
        copy.fields = fields;
        copy.segments = u32::try_from(reader.parts).unwrap_or(NOBODY);
        let values = Value::of(&copy);
        self.inspector.look(&values, &mut tell);
        let key = DeliveryKey {
            run: RunId(0),
            seq: 0,
        };
        let keyring = &self.app.keyring;
        if let Err(error) = self.template.compose(keyring, key, &copy, message) {
            tell(Kind::Unrenderable, "", error.to_string());
        }
    }
}

/// Findings as they come.
#[derive(Debug, Default)]
struct Tally {
    counted: BTreeMap<(Kind, String), (u64, Vec<Example>)>,
    /// Those of one page, where they are asked for.
    named: Vec<Named>,
}

impl Tally {
    fn add(&mut self, kind: Kind, field: &str, example: Example) {
        let (count, examples) = self.counted.entry((kind, field.to_owned())).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(example);
        }
    }

    /// Takes what was found in later readers.
    fn join(&mut self, later: Tally) {
        self.named.extend(later.named);
        for (key, (more, later)) in later.counted {
            let (count, examples) = self.counted.entry(key).or_default();
            *count += more;
            let room = EXAMPLES - examples.len();
            examples.extend(later.into_iter().take(room));
        }
    }

    fn groups(self) -> Vec<Group> {
        let group = |((kind, field), (readers, examples))| Group {
            kind,
            field,
            readers,
            examples,
        };
        self.counted.into_iter().map(group).collect()
    }
}

/// An address, valid or not, as a terminal may show it.
fn masked(address: &str) -> String {
    if let Ok(address) = EmailAddress::parse(address) {
        return address.masked();
    }
    let plain = |&c: &char| !acts(c);
    let first: String = address.chars().filter(plain).take(1).collect();
    match address.rsplit_once('@') {
        Some((_, domain)) => {
            let domain: String = domain.chars().filter(plain).take(40).collect();
            format!("{first}***@{domain}")
        }
        None => format!("{first}***"),
    }
}
