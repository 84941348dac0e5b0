//! A small random population, as rows for a database and as a search by hand through all of it.

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::segment::{Filter, Frequency, Of, Order, Test};
use serde_json::{Value, json};

use crate::harness::Engine;

const DAY: i64 = 86_400_000;
/// 2026-02-01, at noon.
pub const NOW: Timestamp = Timestamp(1_769_947_200_000);
const READERS: i64 = 90;

#[derive(Clone, Debug)]
pub struct Run {
    pub id: i64,
    pub slug: String,
    pub list: i64,
    pub started_at: i64,
}

#[derive(Clone, Debug)]
pub struct Delivery {
    pub run: i64,
    pub seq: i64,
    pub state: &'static str,
    pub opened_at: Option<i64>,
    pub clicked_at: Option<i64>,
    /// Who opened it and who clicked, as far as it is judged.
    pub judged: (Option<&'static str>, Option<&'static str>),
}

#[derive(Clone, Debug)]
pub struct Reader {
    pub id: i64,
    pub address: String,
    pub fields: Value,
    pub tags: Vec<&'static str>,
    pub status: &'static str,
    pub confirmed_at: i64,
    /// Where she came from, if she came from elsewhere.
    pub joined_at: Option<i64>,
    pub source: &'static str,
    pub monthly: bool,
    pub tracking: &'static str,
    pub on_other: bool,
    pub deliveries: Vec<Delivery>,
}

impl Reader {
    fn joined(&self) -> i64 {
        self.joined_at.unwrap_or(self.confirmed_at)
    }
}

/// Everything there is.
#[derive(Clone, Debug)]
pub struct World {
    pub readers: Vec<Reader>,
    pub runs: Vec<Run>,
    engine: Engine,
}

/// Throws dice that fall the same each time.
struct Dice(Chance);

impl Dice {
    fn below(&self, limit: usize) -> usize {
        usize::try_from(self.0.key()).expect("a positive key") % limit
    }

    fn one<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn is(&self, of_ten: usize) -> bool {
        self.below(10) < of_ten
    }
}

impl World {
    pub fn random(seed: u64, engine: Engine) -> World {
        let dice = Dice(Chance::seeded(seed));
        // Two runs of the third issue, one of another list, one that waited for its hour, and one that has not begun by
        // now.
        let plan = [
            (2, "issue-1", 1, 20),
            (9, "issue-2", 1, 15),
            (4, "elsewhere", 2, 12),
            (5, "issue-3", 1, 10),
            (6, "issue-3", 1, 9),
            (7, "issue-4", 1, 3),
            (8, "issue-5", 1, -1),
        ];
        let runs: Vec<Run> = plan
            .map(|(id, slug, list, days)| Run {
                id,
                slug: slug.into(),
                list,
                started_at: NOW.0 - days * DAY,
            })
            .into();
        let readers = (1..=READERS).map(|id| reader(&dice, id, &runs)).collect();
        World {
            readers,
            runs,
            engine,
        }
    }

    /// The keys of the confirmed readers of list 1 for whom it is so.
    pub fn confirmed(&self, is: impl Fn(&Reader) -> bool) -> Vec<i64> {
        self.confirmed_rows(is).map(|reader| reader.id).collect()
    }

    pub fn confirmed_rows(&self, is: impl Fn(&Reader) -> bool) -> impl Iterator<Item = &Reader> {
        let all = self.readers.iter();
        all.filter(move |reader| reader.status == "confirmed" && is(reader))
    }

    pub fn holds(&self, reader: &Reader, filter: &Filter) -> bool {
        match filter {
            Filter::All(parts) => parts.iter().all(|part| self.holds(reader, part)),
            Filter::Any(parts) => parts.iter().any(|part| self.holds(reader, part)),
            Filter::Not(inner) => !self.holds(reader, inner),
            Filter::Is(test) => self.test(reader, test),
        }
    }

    fn test(&self, reader: &Reader, test: &Test) -> bool {
        let value = |name: &str| reader.fields.get(name);
        match test {
            Test::Tag(tag) => reader.tags.iter().any(|own| own == tag),
            Test::Has(name) => value(name).is_some(),
            Test::Text(name, text) => value(name).and_then(Value::as_str) == Some(text),
            Test::Bool(name, yes) => value(name).and_then(Value::as_bool) == Some(*yes),
            Test::Number(name, order, number) => {
                let (held, number) = (value(name).and_then(Value::as_f64), number.as_f64());
                held.zip(number)
                    .is_some_and(|(held, number)| fits(*order, held.partial_cmp(&number)))
            }
            Test::Date(name, order, day) => {
                let held = value(name).and_then(Value::as_str);
                held.is_some_and(|held| fits(*order, Some(held.cmp(day))))
            }
            Test::Joined { from, before } => {
                let at = Timestamp(reader.joined());
                from.is_none_or(|from| at >= from) && before.is_none_or(|before| at < before)
            }
            Test::JoinedWithin(days) => reader.joined() > NOW.0 - i64::from(*days) * DAY,
            Test::Sent(of) => self.any(reader, of, |row| {
                ["sent", "at_dot", "uncertain"].contains(&row.state)
            }),
            Test::Opened(of) => self.any(reader, of, |row| {
                (row.opened_at.is_some() || row.clicked_at.is_some()) && person(row)
            }),
            Test::Clicked(of) => self.any(reader, of, |row| {
                row.clicked_at.is_some() && row.judged.1 == Some("human")
            }),
            Test::Inactive(issues) => {
                let here = |row: &&Delivery| {
                    let run = self.run(row.run);
                    run.list == 1 && run.started_at <= NOW.0 && row.state == "sent"
                };
                let mut sent: Vec<&Delivery> = reader.deliveries.iter().filter(here).collect();
                sent.sort_by_key(|row| -self.run(row.run).started_at);
                let mut slugs: Vec<&str> = Vec::new();
                for row in &sent {
                    let slug = self.run(row.run).slug.as_str();
                    if !slugs.contains(&slug) {
                        slugs.push(slug);
                    }
                }
                slugs.truncate(*issues as usize);
                sent.retain(|row| slugs.contains(&self.run(row.run).slug.as_str()));
                reader.tracking != "off"
                    && slugs.len() == *issues as usize
                    && !sent.iter().any(|row| person(row))
            }
            Test::Source(source) => {
                let of_file = reader.source.strip_prefix(source.as_str());
                of_file.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            }
            Test::List(slug) => match slug.as_str() {
                "other" => reader.on_other,
                "weekly" => reader.status == "confirmed",
                _ => false,
            },
            Test::Domain(domain) => {
                let own = reader.address.rsplit_once('@').expect("an address").1;
                own == domain
            }
            Test::Frequency(frequency) => reader.monthly == (*frequency == Frequency::Monthly),
        }
    }

    fn run(&self, id: i64) -> &Run {
        let found = self.runs.iter().find(|run| run.id == id);
        found.expect("a run")
    }

    fn any(&self, reader: &Reader, of: &Of, is: impl Fn(&Delivery) -> bool) -> bool {
        let slugs: Vec<&str> = match of {
            Of::Issue(slug) => vec![slug],
            Of::Last(number) => {
                let mut slugs: Vec<&str> = Vec::new();
                for run in self.runs.iter().rev() {
                    let begun = run.list == 1 && run.started_at <= NOW.0;
                    if begun && !slugs.contains(&run.slug.as_str()) {
                        slugs.push(&run.slug);
                    }
                }
                slugs.truncate(*number as usize);
                slugs
            }
        };
        let mut rows = reader.deliveries.iter();
        rows.any(|row| slugs.contains(&self.run(row.run).slug.as_str()) && is(row))
    }

    /// All of it as statements.
    pub fn sql(&self) -> String {
        let mut sql = String::from(
            "insert into lists values (1, 'weekly', 'Weekly', 'l1', 0), (2, 'other', 'Other', 'l2', 0);\n",
        );
        for run in &self.runs {
            sql += &format!(
                "insert into runs (id, kind, slug, title, list_id, headers, relay, policy, status, cutoff,
                     frozen_to, recipients, created_at, started_at)
                 values ({}, 'issue', '{}', '', {}, '{{}}', '', 'hold', 'finished', 0, 0, 0, 0, {});\n",
                run.id, run.slug, run.list, run.started_at
            );
        }
        for reader in &self.readers {
            sql += &self.reader_sql(reader);
            for row in &reader.deliveries {
                let time = |at: Option<i64>| at.map_or("null".to_owned(), |at| at.to_string());
                sql += &format!(
                    "insert into deliveries (run_id, seq, subscriber_id, state, due_at, settled_at, opened_at,
                         clicked_at)
                     values ({}, {}, {}, '{}', 0, 1, {}, {});\n",
                    row.run,
                    row.seq,
                    reader.id,
                    row.state,
                    time(row.opened_at),
                    time(row.clicked_at)
                );
                let class = |class: Option<&str>| {
                    class.map_or("null".to_owned(), |class| format!("'{class}'"))
                };
                sql += &format!(
                    "insert into judged (run_id, seq, provider, opened, clicked)
                     values ({}, {}, '', {}, {});\n",
                    row.run,
                    row.seq,
                    class(row.judged.0),
                    class(row.judged.1)
                );
            }
        }
        sql
    }

    fn reader_sql(&self, reader: &Reader) -> String {
        let (id, address) = (reader.id, &reader.address);
        let hash = match self.engine {
            Engine::Sqlite => format!("x'{id:064x}'"),
            Engine::Postgres => format!("'\\x{id:064x}'"),
        };
        let fields = reader.fields.to_string().replace('\'', "''");
        let mut sql = format!(
            "insert into subscribers (id, address, canonical, hash, name, fields, created_at, tracking)
             values ({id}, '{address}', '{address}', {hash}, '', '{fields}', 0, '{}');
             insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at,
                 joined_at, frequency)
             values ({id}, 1, {id}, '{}', '{}', 0, {}, {}, '{}');\n",
            reader.tracking,
            reader.status,
            reader.source,
            reader.confirmed_at,
            reader
                .joined_at
                .map_or("null".to_owned(), |at| at.to_string()),
            if reader.monthly { "monthly" } else { "every" }
        );
        if reader.on_other {
            sql += &format!(
                "insert into subscriptions (key, list_id, subscriber_id, status, source, created_at, confirmed_at)
                 values ({}, 2, {id}, 'confirmed', 'cli', 0, 1);\n",
                id + 1_000
            );
        }
        for tag in &reader.tags {
            sql += &format!("insert into tags (subscriber_id, tag) values ({id}, '{tag}');\n");
        }
        sql
    }
}

/// Whether somebody looked at it, and not only a machine or a proxy that loads everything.
fn person(row: &Delivery) -> bool {
    matches!(row.judged.0, Some("human" | "gmail")) || row.judged.1 == Some("human")
}

fn fits(order: Order, found: Option<std::cmp::Ordering>) -> bool {
    let Some(found) = found else { return false };
    match order {
        Order::Less => found.is_lt(),
        Order::AtMost => found.is_le(),
        Order::Equal => found.is_eq(),
        Order::AtLeast => found.is_ge(),
        Order::More => found.is_gt(),
    }
}

fn reader(dice: &Dice, id: i64, runs: &[Run]) -> Reader {
    let mut fields = serde_json::Map::new();
    let cities = [
        "Berlin",
        "berlin",
        "O'Hara; drop table tags; --",
        "100%",
        "",
    ];
    let values = [
        ("city", cities.map(|city| json!(city)).to_vec()),
        (
            "issues",
            vec![
                json!(0),
                json!(2),
                json!(2.5),
                json!(3),
                json!(3.0),
                json!(-7),
            ],
        ),
        (
            "born",
            vec![
                json!("1989-12-31"),
                json!("1990-06-15"),
                json!("2001-01-01"),
            ],
        ),
        ("vip", vec![json!(true), json!(false)]),
    ];
    for (name, values) in values {
        if dice.is(7) {
            fields.insert(name.into(), dice.one(&values));
        }
        // What an earlier declaration of the field let in: of another type, and never an error.
        if dice.is(1) {
            let odd = [
                json!("yes"),
                json!(1),
                json!(true),
                json!("3"),
                json!("'; --"),
            ];
            fields.insert(name.into(), dice.one(&odd));
        }
    }
    let tags = ["paid", "early-bird", "b2b"];
    let domains = ["gmail.com", "notgmail.com", "mail.gmail.com", "x.co"];
    let deliveries = runs
        .iter()
        .filter(|_| dice.is(8))
        .map(|run| delivery(dice, run, id))
        .collect();
    Reader {
        id,
        address: format!("r{id}@{}", dice.one(&domains)),
        fields: Value::Object(fields),
        tags: tags.into_iter().filter(|_| dice.is(4)).collect(),
        status: dice.one(&[
            "confirmed",
            "confirmed",
            "confirmed",
            "pending",
            "unsubscribed",
        ]),
        confirmed_at: NOW.0 - i64::try_from(dice.below(40)).expect("small") * DAY - 7,
        joined_at: (id % 3 == 0).then_some(NOW.0 - id % 50 * DAY - 9),
        source: dice.one(&["form", "import:a.csv", "import:b.csv", "importer", "cli"]),
        monthly: dice.is(2),
        tracking: dice.one(&["unset", "on", "off"]),
        on_other: dice.is(4),
        deliveries,
    }
}

fn delivery(dice: &Dice, run: &Run, seq: i64) -> Delivery {
    let sent = dice.is(8);
    let others = ["bounced", "uncertain", "unsubscribed", "at_dot"];
    let at = |is: bool| is.then_some(NOW.0 - DAY);
    let opened = ["human", "gmail", "apple", "unsure", "machine"];
    let clicked = ["human", "unsure", "machine"];
    let (seen, followed) = (sent && dice.is(6), sent && dice.is(4));
    // What waits in the log is not judged yet.
    let judged = (
        (seen && dice.is(9)).then(|| dice.one(&opened)),
        (followed && dice.is(9)).then(|| dice.one(&clicked)),
    );
    Delivery {
        run: run.id,
        seq,
        state: if sent { "sent" } else { dice.one(&others) },
        opened_at: at(seen),
        clicked_at: at(followed),
        judged,
    }
}
