//! The page: controls as links, the stage, and the panels beside it.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use minijinja::{Value, context};

use crate::appearance::{Client, Images, Scheme, inbox, text};
use crate::clock::Clock;
use crate::compile::HTML_LIMIT;
use crate::compile::theme::inspect::inspect;
use crate::diagnostic::Diagnostic;
use crate::http::fault::Fault;
use crate::http::preview::finding::finding;
use crate::http::preview::look::{CLIENTS, IMAGES, Look, SCHEMES, Show};
use crate::http::preview::reader::{Seen, seen, store};
use crate::http::preview::{Desk, Good, Shown, Subject, panels};
use crate::preflight;
use crate::publication::called::call_from_here;
use crate::run::sample::{self, Sample};

/// Widths with a button and a key of their own; none fills the stage.
const WIDTHS: [(Option<u32>, &str, &str); 4] = [
    (Some(320), "320", "1"),
    (Some(375), "375", "2"),
    (Some(600), "600", "3"),
    (None, "Full", "4"),
];

/// The issue made for one reader: what the stage and the panels show.
pub(super) struct Made<'a> {
    pub(super) shown: &'a Shown,
    pub(super) good: &'a Good,
    pub(super) seen: &'a Seen,
    pub(super) subject: String,
    /// HTML with links that lead to their targets.
    pub(super) html: String,
    pub(super) text: String,
    /// What there is to say of an issue that compiles.
    pub(super) findings: Vec<Diagnostic>,
    /// The whole message, or why there is none.
    pub(super) sample: Result<Sample, String>,
}

/// `GET /`: the page as its query says.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Fault> {
    let look = Look::read(&query.unwrap_or_default());
    let shown = desk.shown();
    let seen = seen(&desk, &shown, &look).await;
    let editor = desk.target.editor.as_deref();
    // What stops the issue first; what the compiler said beside it after that.
    let (wrong, beside): (Vec<_>, Vec<_>) = shown.errors.iter().partition(|found| found.is_error());
    let errors = wrong.iter().chain(&beside);
    let errors: Vec<Value> = errors.map(|error| finding(error, editor)).collect();
    let mut values = context! {
        version => desk.version(&shown),
        issue => desk.target.name(&shown.config),
        broken => shown.is_broken(),
        errors => errors,
        wrong => wrong.len(),
        fault => shown.fault.as_deref(),
        editor => editor,
    };
    if let Some(good) = &shown.good {
        let found = findings(&desk, &shown, good).await;
        let made = make(&desk, &shown, good, &seen, found);
        let slug = match &desk.target.subject {
            Subject::Issue(_) => good.built.compiled.slug.clone(),
            Subject::Theme(_) => format!("the specimen of {}", desk.target.name(&shown.config)),
        };
        let more = context! {
            slug => slug,
            title => good.built.compiled.title.as_str(),
            subject => made.subject.as_str(),
            groups => groups(&look),
            width => look.width,
            hidden => hidden(&look, &["width"]),
            stage => stage(&desk, &made, &look),
            panels => panels::panels(&desk, &made, &look),
        };
        values = context! { ..values, ..more };
    }
    Ok(desk.templates.page(values)?)
}

/// The compiler's findings and the lints', with what the folder and the database know.
pub(super) async fn findings(desk: &Desk, shown: &Shown, good: &Good) -> Vec<Diagnostic> {
    let emails = desk.base().join(&shown.config.paths.emails);
    // A database that cannot be read is told of where a reader is asked for.
    let store = store(desk, shown).await.ok().flatten();
    let slug = &good.built.compiled.slug;
    let now = Clock::System.now();
    let facts = preflight::facts(&emails, slug, store.as_ref(), now).await;
    let mut found = preflight::findings(&shown.config, &good.built, &facts);
    if let Subject::Theme(_) = desk.target.subject {
        // What `pressrun theme check` says; some of it is a lint's, too.
        let mut told = inspect(&good.built.theme);
        call_from_here(&emails, &mut told, &mut []);
        for finding in told {
            let same =
                |known: &Diagnostic| known.code == finding.code && known.message == finding.message;
            match found.iter_mut().find(|known| same(known)) {
                Some(known) => *known = finding,
                None => found.push(finding),
            }
        }
    }
    found
}

fn make<'a>(
    desk: &Desk,
    shown: &'a Shown,
    good: &'a Good,
    seen: &'a Seen,
    findings: Vec<Diagnostic>,
) -> Made<'a> {
    let config = &shown.config;
    let public_url = config.publication.url.trim_end_matches('/');
    let compiled = &good.built.compiled;
    let sample = sample::make(config, desk.base(), &good.built, &seen.reader);
    Made {
        shown,
        good,
        seen,
        subject: sample::subject(compiled, &seen.reader),
        html: sample::html(compiled, public_url, &seen.reader),
        text: sample::text(compiled, public_url, &seen.reader),
        findings,
        sample: sample.map_err(|error| format!("{error:#}")),
    }
}

/// The pairs of a look for a form that sets `except` itself.
pub(super) fn hidden(look: &Look, except: &[&str]) -> Vec<Value> {
    let own = |name: &str| except.iter().any(|own| name == *own || own.is_empty());
    let pairs = look.pairs().into_iter().filter(|(name, _)| !own(name));
    let pairs = pairs.map(|(name, value)| context! { name => name, value => value });
    pairs.collect()
}

/// The controls: groups of links, one of each group chosen.
fn groups(look: &Look) -> Vec<Value> {
    let shows = Show::ALL.map(|(show, name, label, key)| {
        let href = look.with(|look| look.show = show);
        choice(name, label, href, look.show == show, key)
    });
    let mut groups = vec![group("show", "View", shows.to_vec())];
    if look.show != Show::Mail {
        return groups;
    }
    let widths = WIDTHS.map(|(width, label, key)| {
        let href = look.with(|look| look.width = width);
        choice(label, label, href, look.width == width, key)
    });
    groups.push(group("width", "Width", widths.to_vec()));
    groups.push(cycle(
        "scheme",
        "Colours",
        "d",
        &SCHEMES,
        look.appearance.scheme,
        |scheme| look.with(|look| look.appearance.scheme = scheme),
    ));
    groups.push(cycle(
        "client",
        "Program",
        "c",
        &CLIENTS,
        look.appearance.client,
        |client| look.with(|look| look.appearance.client = client),
    ));
    groups.push(cycle(
        "images",
        "Images",
        "i",
        &IMAGES,
        look.appearance.images,
        |images| look.with(|look| look.appearance.images = images),
    ));
    groups
}

/// A group whose key goes on to the next choice.
fn cycle<T: Copy + PartialEq, const N: usize>(
    name: &str,
    label: &str,
    key: &str,
    known: &[(T, &str, &str); N],
    now: T,
    href: impl Fn(T) -> String,
) -> Value {
    let at = known.iter().position(|known| known.0 == now).unwrap_or(0);
    let choices = known
        .iter()
        .enumerate()
        .map(|(index, (value, name, label))| {
            let key = if index == (at + 1) % N { key } else { "" };
            choice(name, label, href(*value), index == at, key)
        });
    group(name, label, choices.collect())
}

fn group(name: &str, label: &str, choices: Vec<Value>) -> Value {
    context! { name => name, label => label, choices => choices }
}

fn choice(name: &str, label: &str, href: String, chosen: bool, key: &str) -> Value {
    context! { name => name, label => label, href => href, chosen => chosen, key => key }
}

/// What stands on the stage.
fn stage(desk: &Desk, made: &Made<'_>, look: &Look) -> Value {
    let config = &made.shown.config;
    let source = match &made.sample {
        Ok(sample) => String::from_utf8_lossy(&sample.message).into_owned(),
        Err(reason) => reason.clone(),
    };
    let octets = made.sample.as_ref().map_or(0, |sample| sample.html.len());
    match look.show {
        Show::Mail => {
            let version = desk.version(made.shown);
            let address = look.address("/frame");
            let mark = if address.contains('?') { '&' } else { '?' };
            context! {
                show => "mail",
                address => format!("{address}{mark}version={version}"),
                width => look.width,
                note => note(look, octets),
            }
        }
        Show::Text => context! { show => "text", text => text::linked(&made.text) },
        Show::Source => context! { show => "source", text => source },
        Show::Inbox => context! {
            show => "inbox",
            from => config.from.name.as_str(),
            initial => config.from.name.chars().next().map(String::from).unwrap_or_default(),
            subject => made.subject.as_str(),
            snippet => inbox::snippet(&made.html),
            preheader => sample::preheader(&made.good.built.compiled, &made.seen.reader),
            padded => inbox::is_padded(&made.html),
        },
    }
}

/// What is to be known of the look on the stage.
fn note(look: &Look, octets: usize) -> Option<String> {
    let mut notes = Vec::new();
    match look.appearance.client {
        Client::Standard => {}
        Client::NoStyle => {
            notes.push("Every <style> is taken away, as Gmail does for foreign accounts.".to_owned());
        }
        Client::Clipped if octets > HTML_LIMIT => {
            notes.push(format!("Gmail cuts here, {octets} octets being more than {HTML_LIMIT}."));
        }
        Client::Clipped => notes.push(format!(
            "Nothing is clipped: {octets} of {HTML_LIMIT} octets."
        )),
        Client::Outlook => notes.push(
            "An approximation of Outlook on Windows; only Outlook shows Word's own widths and gaps."
                .to_owned(),
        ),
    }
    match look.appearance.scheme {
        Scheme::Inverted => notes.push(
            "Every colour turned round, as Outlook on phones and Gmail on iOS do.".to_owned(),
        ),
        Scheme::Light | Scheme::Dark => {}
    }
    match look.appearance.images {
        Images::Own => {}
        Images::All => notes.push("Images of other hosts are fetched from there.".to_owned()),
        Images::Off => notes.push("Images are off.".to_owned()),
    }
    (!notes.is_empty()).then(|| notes.join(" "))
}
