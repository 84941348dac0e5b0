//! Segments as SQL, and who is in one.
//!
//! Promises: a test is one of a few fixed shapes, and every value of it is bound, so no word of an author's
//! stands in a statement; each shape is true or false and never unknown, so that `not` means the rest.
//! Whoever puts a predicate into a statement names the reader's row `u` and the subscription's `s`.

use std::fmt::Write;

use crate::clock::{DAY, Timestamp};
use crate::segment::{Filter, Of, Order, Sieve, Test};
use crate::store::Store;

/// When a reader joined the list, which may have been elsewhere.
const JOINED: &str = "coalesce(s.joined_at, s.confirmed_at)";

/// What a predicate is asked of, as SQL: parameters of the statement that it stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// The list.
    pub list: &'static str,
    /// What happened later does not count.
    pub at: &'static str,
    /// Nor do runs that began to send later.
    pub begun: &'static str,
    /// The run that it is asked for: its issue is none of the last ones.
    pub run: &'static str,
    /// The number of the first parameter that is free.
    pub free: usize,
}

/// A run that there is not yet.
pub(crate) const NEXT_RUN: i64 = i64::MAX;

/// A value that a predicate binds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    Text(String),
    Whole(i64),
    Real(f64),
}

/// Predicates, and the values of all of them in the order of their parameters.
#[derive(Clone, Debug)]
pub(crate) struct Predicates<'a> {
    store: &'a Store,
    frame: Frame,
    pub(crate) values: Vec<Bound>,
}

/// Binds `$values` to `$query`, one after the other.
macro_rules! bind_values {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                $crate::store::segments::Bound::Text(text) => query.bind(text),
                $crate::store::segments::Bound::Whole(number) => query.bind(number),
                $crate::store::segments::Bound::Real(number) => query.bind(number),
            };
        }
        query
    }};
}
pub(crate) use bind_values;

impl<'a> Predicates<'a> {
    pub(crate) fn new(store: &'a Store, frame: Frame) -> Predicates<'a> {
        Predicates {
            store,
            frame,
            values: Vec::new(),
        }
    }

    /// Whether the reader is in this segment.
    pub(crate) fn holds(&mut self, filter: &Filter) -> String {
        match filter {
            Filter::All(parts) => self.joined(parts, " and ", "true"),
            Filter::Any(parts) => self.joined(parts, " or ", "false"),
            Filter::Not(inner) => format!("(not {})", self.holds(inner)),
            Filter::Is(test) => format!("({})", self.test(test)),
        }
    }

    /// The same for a segment that may be none at all: everybody is in that.
    pub(crate) fn holds_all(&mut self, filter: Option<&Filter>) -> String {
        filter.map_or_else(|| "true".to_owned(), |filter| self.holds(filter))
    }

    /// The same for a segment as a run keeps it: none is everybody, and nobody is in what cannot be read.
    pub(crate) fn wanted(&mut self, json: Option<&str>) -> String {
        match json {
            None => "true".to_owned(),
            Some(json) => match Sieve::from_json(json) {
                Some(sieve) => self.holds(&sieve.filter),
                // Invariant: a segment that cannot be read reaches nobody.
                None => "false".to_owned(),
            },
        }
    }

    /// One number whose bit n says whether the reader is in the nth of `sieves`.
    pub(crate) fn bits(&mut self, sieves: &[Sieve]) -> String {
        let mut sum = "cast(0 as bigint)".to_owned();
        for (place, sieve) in sieves.iter().enumerate() {
            let holds = self.holds(&sieve.filter);
            let bit = 1_u64 << place.min(62);
            let _ = write!(sum, " + case when {holds} then {bit} else 0 end");
        }
        sum
    }

    fn joined(&mut self, parts: &[Filter], joint: &str, none: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.holds(part)).collect();
        match parts.as_slice() {
            [] => none.to_owned(),
            parts => format!("({})", parts.join(joint)),
        }
    }

    fn text(&mut self, value: &str) -> String {
        self.bound(Bound::Text(value.to_owned()), "text")
    }

    fn whole(&mut self, value: i64) -> String {
        self.bound(Bound::Whole(value), "bigint")
    }

    /// The parameter of a value; its type is said, because PostgreSQL cannot always guess it.
    fn bound(&mut self, value: Bound, sql_type: &str) -> String {
        let number = self.frame.free + self.values.len();
        self.values.push(value);
        format!("cast(${number} as {sql_type})")
    }

    fn test(&mut self, test: &Test) -> String {
        let Frame { list, at, .. } = self.frame;
        match test {
            Test::Tag(tag) => {
                let tag = self.text(tag);
                format!(
                    "exists (select 1 from tags t where t.subscriber_id = u.id and t.tag = {tag})"
                )
            }
            Test::Has(name) => {
                let (kind, _) = self.field(name);
                format!("coalesce({kind}, 'null') <> 'null'")
            }
            Test::Text(name, value) => self.text_field(name, "=", value),
            Test::Date(name, order, day) => self.text_field(name, compared(*order), day),
            Test::Bool(name, value) => self.yes_field(name, *value),
            Test::Number(name, order, value) => {
                self.number_field(name, *order, value.as_f64().unwrap_or(f64::MAX))
            }
            Test::Joined { from, before } => self.joined_between(*from, *before),
            Test::JoinedWithin(days) => {
                let time = self.whole(i64::from(*days) * DAY);
                format!("s.confirmed_at is not null and {JOINED} > {at} - {time}")
            }
            Test::Sent(of) => self.delivered(of, "e.state in ('sent', 'at_dot', 'uncertain')"),
            Test::Opened(of) => {
                let what = format!("(e.opened_at <= {at} or e.clicked_at <= {at})");
                let person = judged("(j.opened in ('human', 'gmail') or j.clicked = 'human')");
                self.delivered(of, &format!("{what} and {person}"))
            }
            Test::Clicked(of) => {
                let person = judged("j.clicked = 'human'");
                self.delivered(of, &format!("e.clicked_at <= {at} and {person}"))
            }
            Test::Inactive(issues) => self.inactive(*issues),
            Test::Source(source) => {
                let source = self.text(source);
                format!(
                    "s.source is not null and (s.source = {source}
                     or substr(s.source, 1, length({source}) + 1) = {source} || ':')"
                )
            }
            Test::List(slug) => {
                let slug = self.text(slug);
                format!(
                    "exists (select 1 from subscriptions o join lists w on w.id = o.list_id
                     where o.subscriber_id = u.id and o.status = 'confirmed' and w.slug = {slug})"
                )
            }
            Test::Domain(domain) => {
                let domain = self.text(domain);
                format!(
                    "substr(u.canonical, length(u.canonical) - length({domain})) = '@' || {domain}"
                )
            }
            Test::Frequency(frequency) => {
                let name = self.text(frequency.name());
                format!("s.key is not null and s.list_id = {list} and s.frequency = {name}")
            }
        }
    }

    /// Whether a field holds a text, or a date, that compares so.
    fn text_field(&mut self, name: &str, compared: &str, value: &str) -> String {
        let ((kind, held), value) = (self.field(name), self.text(value));
        let text = self.json_kind("text");
        format!(
            "case when {kind} in ({text}) then cast({held} as text) {compared} {value} else false end"
        )
    }

    fn yes_field(&mut self, name: &str, value: bool) -> String {
        let (kind, held) = self.field(name);
        let (yes, no) = (self.json_kind("bool"), if value { "" } else { "not " });
        format!(
            "case when {kind} in ({yes}) then {no}cast({held} as text) in ('1', 'true') else false end"
        )
    }

    fn number_field(&mut self, name: &str, order: Order, number: f64) -> String {
        let (kind, held) = self.field(name);
        let number = self.bound(Bound::Real(number), "double precision");
        let numbers = self.json_kind("number");
        format!(
            "case when {kind} in ({numbers})
             then cast({held} as double precision) {} {number} else false end",
            compared(order)
        )
    }

    /// Whether the reader joined from one time on and before another.
    fn joined_between(&mut self, from: Option<Timestamp>, before: Option<Timestamp>) -> String {
        let mut within = "s.confirmed_at is not null".to_owned();
        for (sign, limit) in [(">=", from), ("<", before)] {
            if let Some(limit) = limit {
                let limit = self.whole(limit.0);
                let _ = write!(within, " and {JOINED} {sign} {limit}");
            }
        }
        within
    }

    /// Whether a delivery of such an issue fits.
    fn delivered(&mut self, of: &Of, what: &str) -> String {
        let Frame {
            list, begun, run, ..
        } = self.frame;
        // By when they began: a run that waits for its hour has its number long before.
        let runs = match of {
            Of::Issue(slug) => {
                let slug = self.text(slug);
                format!("r.kind = 'issue' and r.slug = {slug} and r.started_at <= {begun}")
            }
            // Issues and not runs: one that went out in two runs is one. The one that is sent is none of them.
            Of::Last(number) => {
                let number = self.whole(i64::from(*number));
                format!(
                    "r.kind = 'issue' and r.list_id = {list} and r.started_at <= {begun}
                     and r.slug in (
                         select p.slug from runs p
                         where p.kind = 'issue' and p.list_id = {list} and p.started_at <= {begun}
                           and p.slug <> coalesce((select b.slug from runs b where b.id = {run}), '')
                         group by p.slug order by max(p.started_at) desc, max(p.id) desc limit {number}
                     )"
                )
            }
        };
        format!(
            "exists (select 1 from deliveries e where e.subscriber_id = u.id and {what}
             and e.run_id in (select r.id from runs r where {runs}))"
        )
    }

    /// Whether a person did nothing with the last issues that reached this reader and were counted, and there were so
    /// many.
    fn inactive(&mut self, issues: u32) -> String {
        let Frame {
            list, begun, run, ..
        } = self.frame;
        let number = self.whole(i64::from(issues));
        let issue = format!(
            "r.kind = 'issue' and r.list_id = {list} and r.started_at <= {begun} and r.id <> {run}"
        );
        // Issues and not runs. Of a copy that counts nothing, and of a run that counts no names, nobody knows what
        // became.
        let withdrawn = judged("j.withdrawn = 1");
        let last = format!(
            "(select r.slug from deliveries e join runs r on r.id = e.run_id
              where e.subscriber_id = u.id and e.state = 'sent' and {issue}
                and coalesce(e.copy, '') not like '%\"untracked\":true%' and not {withdrawn}
                and not exists (select 1 from pseudonym_keys k where k.run_id = e.run_id)
              group by r.slug order by max(r.started_at) desc, max(r.id) desc limit {number})"
        );
        let person = judged("(j.opened in ('human', 'gmail') or j.clicked = 'human')");
        // Nor of whoever wants nothing counted.
        format!(
            "u.tracking <> 'off' and (select count(*) from {last} l) = {number}
             and not exists (select 1 from {last} l where exists (
                 select 1 from deliveries e
                 where e.subscriber_id = u.id and e.state = 'sent' and {person}
                   and e.run_id in (select r.id from runs r where {issue} and r.slug = l.slug)))"
        )
    }

    /// The type of a reader's field as its JSON says it, and the value.
    fn field(&mut self, name: &str) -> (String, String) {
        let name = self.text(name);
        match self.store {
            Store::Sqlite(_) => (
                format!("json_type(u.fields, '$.' || {name})"),
                format!("u.fields->>{name}"),
            ),
            Store::Postgres(_) => (
                format!("jsonb_typeof(cast(u.fields as jsonb)->{name})"),
                format!("(cast(u.fields as jsonb)->>{name})"),
            ),
        }
    }

    /// What each engine calls a kind of JSON value.
    fn json_kind(&self, kind: &str) -> &'static str {
        match (self.store, kind) {
            (Store::Sqlite(_), "text") => "'text'",
            (Store::Sqlite(_), "bool") => "'true', 'false'",
            (Store::Sqlite(_), _) => "'integer', 'real'",
            (Store::Postgres(_), "text") => "'string'",
            (Store::Postgres(_), "bool") => "'boolean'",
            (Store::Postgres(_), _) => "'number'",
        }
    }
}

/// Whether the delivery `e` was judged so.
fn judged(what: &str) -> String {
    format!(
        "exists (select 1 from judged j where j.run_id = e.run_id and j.seq = e.seq and {what})"
    )
}

fn compared(order: Order) -> &'static str {
    match order {
        Order::Less => "<",
        Order::AtMost => "<=",
        Order::Equal => "=",
        Order::AtLeast => ">=",
        Order::More => ">",
    }
}
