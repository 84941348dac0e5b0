//! The panels beside the stage: findings, reader, size, links, images, header, test.

use minijinja::{Value, context};

use crate::appearance;
use crate::compile::{HTML_LIMIT, HTML_WARNING};
use crate::http::preview::Desk;
use crate::http::preview::finding::finding;
use crate::http::preview::look::Look;
use crate::http::preview::page::{Made, hidden};
use crate::http::preview::reader::fields_of;
use crate::lock::lock;
use crate::run::test_copy::Tested;

/// Units of the size bar.
const BAR: usize = 1000;

/// Every panel's values.
pub(super) fn panels(desk: &Desk, made: &Made<'_>, look: &Look) -> Value {
    let editor = desk.target.editor.as_deref();
    let found = made.findings.iter();
    let findings: Vec<Value> = found.map(|found| finding(found, editor)).collect();
    let links = made.good.built.compiled.links.iter();
    let links = links.map(|link| context! { name => link.name.as_str(), url => link.url.as_str() });
    let links: Vec<Value> = links.collect();
    context! {
        findings => findings,
        reader => reader(made, look),
        size => size(made),
        links => links,
        images => images(made),
        header => header(made),
        test => test(desk, look),
    }
}

fn reader(made: &Made<'_>, look: &Look) -> Value {
    let own = &made.seen.reader.values;
    let field = |name: &&str| {
        let (key, typed) = match *name {
            "name" => ("name".to_owned(), look.name.as_str()),
            name => {
                let typed = look.fields.get(name).map_or("", String::as_str);
                (format!("field.{name}"), typed)
            }
        };
        let value = match *name {
            "name" => own.name.as_str(),
            name => own.fields.get(name).map_or("", String::as_str),
        };
        context! { name => *name, key => key, typed => typed, value => value }
    };
    let names = fields_of(&made.good.built.compiled);
    let fields: Vec<Value> = names.iter().map(field).collect();
    let keys: Vec<String> = names.iter().map(|name| format!("field.{name}")).collect();
    let mut own: Vec<&str> = keys.iter().map(String::as_str).collect();
    own.extend(["reader", "name"]);
    context! {
        address => made.seen.reader.address.as_str(),
        typed => look.reader.as_str(),
        note => made.seen.note.as_deref(),
        fields => fields,
        hidden => hidden(look, &own),
        emptiest => look.with(|look| {
            look.reader.clear();
            look.name.clear();
            look.fields.clear();
        }),
        is_emptiest => look.reader.is_empty() && look.name.is_empty() && look.fields.is_empty(),
    }
}

fn size(made: &Made<'_>) -> Value {
    let (html, message, unsigned, fault) = match &made.sample {
        Ok(sample) => (
            sample.html.len(),
            sample.message.len(),
            &sample.unsigned,
            None,
        ),
        Err(reason) => (0, 0, &None, Some(reason)),
    };
    let units = |octets: usize| (octets * BAR / HTML_LIMIT).min(BAR);
    let state = match html {
        html if html >= HTML_LIMIT => "over",
        html if html >= HTML_WARNING => "near",
        _ => "fine",
    };
    context! {
        html => kibibytes(html),
        text => kibibytes(made.text.len()),
        message => kibibytes(message),
        limit => kibibytes(HTML_LIMIT),
        warning => kibibytes(HTML_WARNING),
        width => units(html),
        mark => units(HTML_WARNING),
        state => state,
        unsigned => unsigned,
        fault => fault,
    }
}

fn images(made: &Made<'_>) -> Vec<Value> {
    let config = &made.shown.config;
    let own = format!("{}/i/", config.publication.url.trim_end_matches('/'));
    let image = |(source, alt): (String, Option<String>)| {
        let hash = source.strip_prefix(&own);
        let mut known = made.good.built.images.iter();
        let known = known.find(|(image, _)| hash == Some(image.hash.as_str()));
        match known {
            Some((image, octets)) => context! {
                name => image.source.as_str(),
                remote => false,
                shown => format!("/i/{}", image.hash),
                size => format!("{} \u{d7} {}", image.width, image.height),
                weight => kibibytes(octets.len()),
                alt => alt,
            },
            None => context! { name => source, remote => true, shown => "", alt => alt },
        }
    };
    appearance::images_in(&made.html)
        .into_iter()
        .map(image)
        .collect()
}

/// The fields of the message that a reader's program shows or obeys, on one line each.
fn header(made: &Made<'_>) -> Vec<Value> {
    let Ok(sample) = &made.sample else {
        return Vec::new();
    };
    let message = String::from_utf8_lossy(&sample.message);
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let field = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        let value = match name {
            // What people read is shown as they read it.
            "Subject" => made.subject.as_str(),
            _ => value,
        };
        Some(context! { name => name, value => value })
    };
    head.split("\r\n").filter_map(field).collect()
}

fn test(desk: &Desk, look: &Look) -> Value {
    let test = lock(&desk.test).clone();
    let (to, tested, fault) = match test {
        None => (String::new(), Vec::new(), None),
        Some(test) => match test.end {
            Ok(tested) => (test.to, tested, None),
            Err(fault) => (test.to, Vec::new(), Some(fault)),
        },
    };
    let one = |one: &Tested| {
        context! { to => one.to.as_str(), outcome => one.outcome, reply => one.reply.as_str() }
    };
    let tested: Vec<Value> = tested.iter().map(one).collect();
    let address = look.address("/");
    context! {
        token => desk.token.as_str(),
        look => address.strip_prefix("/?").unwrap_or_default(),
        to => to,
        tested => tested,
        fault => fault,
    }
}

fn kibibytes(octets: usize) -> String {
    format!("{}.{} KiB", octets / 1024, octets % 1024 * 10 / 1024)
}
