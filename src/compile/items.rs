//! Items in both parts: whom they are for, and how each reader counts them.
//!
//! Promises: of an item for some readers the others see nothing, and they count on without it. A theme prints
//! `item.begin` and `item.end` around each item; one that does not is told as soon as an issue needs it.

use minijinja::context;
use minijinja::value::Value;

use crate::compile::Segment;
use crate::compile::markup::{Markup, table_index};
use crate::compile::only::OTHERS;
use crate::compile::placeholder::{Filling, Placeholders, Wanted};
use crate::compile::text::Text;
use crate::issue::{Issue, Item};
use crate::segment::Sieve;

/// An item as a theme gets it.
pub(super) fn given(markup: &mut Markup<'_>, item: &Item) -> Value {
    let headline = markup.written(|markup, out| {
        markup.mark(out, item.offset);
        markup.inlines(out, &item.headline);
    });
    let begins: Vec<Segment> = item
        .whom
        .iter()
        .map(|(whom, _)| markup.begin(whom))
        .collect();
    let ends = vec![Segment::End; begins.len()];
    let begin = edges(markup, item, begins, "`item.begin`");
    let number = match (item.number, item.unseen.as_slice()) {
        (Some(number), []) => Value::from(number),
        (Some(number), unseen) => markup.written(|markup, out| {
            counted(number, unseen, markup.only, markup.places, out);
        }),
        (None, _) => Value::from(()),
    };
    let parts = markup.parts(&item.blocks);
    let end = edges(markup, item, ends, "`item.end`");
    context! { number, headline, parts, begin, end }
}

/// Where an item begins or ends for those who get it: between components, so that each copy is whole.
fn edges(markup: &mut Markup<'_>, item: &Item, edges: Vec<Segment>, what: &str) -> Value {
    markup.written(|markup, out| {
        if edges.is_empty() {
            return;
        }
        markup.mark(out, item.offset);
        out.push_str("<mj-raw>");
        for edge in edges {
            out.push_str(&markup.places.put(Filling::Mark(edge), Wanted::Once, what));
        }
        out.push_str("</mj-raw>");
    })
}

/// A number as each reader counts: `unseen` says who sees how many items above that others do not.
fn counted(
    number: usize,
    unseen: &[(Sieve, usize)],
    only: &[Sieve],
    places: &mut Placeholders,
    out: &mut String,
) {
    let Some(((whom, count), rest)) = unseen.split_first() else {
        return out.push_str(&number.to_string());
    };
    // A theme may print a number as often as it likes, or never.
    let put = |places: &mut Placeholders, out: &mut String, edge| {
        out.push_str(&places.put(Filling::Mark(edge), Wanted::Any, "a number"));
    };
    let without = number.saturating_sub(*count).max(1);
    let whom = index(only, whom);
    for (whom, number) in [(whom, number), (whom | OTHERS, without)] {
        put(places, out, Segment::Only(whom));
        counted(number, rest, only, places, out);
        put(places, out, Segment::End);
    }
}

/// The place of these readers in the table.
fn index(only: &[Sieve], whom: &Sieve) -> u32 {
    let place = only.iter().position(|known| known == whom);
    table_index(place.unwrap_or(0))
}

/// An item of the text part.
pub(super) fn listed(text: &mut Text<'_>, item: &Item) {
    for (whom, _) in &item.whom {
        text.edge(Segment::Only(index(text.only, whom)));
    }
    let number = item.number.map(|number| {
        let mut out = String::new();
        counted(number, &item.unseen, text.only, text.places, &mut out);
        out
    });
    text.for_some += item.whom.len();
    text.headline(number.as_deref(), &item.headline, '-');
    text.section(&item.blocks);
    text.for_some -= item.whom.len();
    for _ in &item.whom {
        text.edge(Segment::End);
    }
}

/// The segments by which the items of an issue are counted, each with where it comes from.
pub(super) fn segments(issue: &Issue) -> Vec<(Sieve, usize)> {
    let mut found = Vec::new();
    for item in &issue.items {
        let unseen = item.unseen.iter();
        found.extend(unseen.map(|(whom, _)| (whom.clone(), item.offset)));
    }
    found
}
