//! Segments on a database, held against a brute-force oracle that knows every reader by heart.

mod oracle;

use pressrun::clock::Timestamp;
use pressrun::id::{ListId, RunId, SubscriberId};
use pressrun::segment::named::Segments;
use pressrun::segment::{Filter, Given, Sieve};
use pressrun::store::Store;
use pressrun::store::audience::Whom;
use pressrun::subscriber::field::FieldTable;

use crate::harness::{Database, Engine};
use crate::on_both;
use crate::segments::oracle::{NOW, World};

const FIELDS: &str = "[fields.city]\ntype = \"text\"\n[fields.issues]\ntype = \"number\"\n\
                      [fields.born]\ntype = \"date\"\n[fields.vip]\ntype = \"bool\"\n";

/// Every kind of test, and how they are joined.
const EXPRESSIONS: [&str; 43] = [
    "tag:paid",
    "not tag:paid",
    "tag:paid and tag:early-bird",
    "tag:nobody",
    "field:city",
    "not field:city",
    "field:city = Berlin",
    "field:city != Berlin",
    "field:city = \"O'Hara; drop table tags; --\"",
    "field:issues",
    "field:issues = 3",
    "field:issues != 3",
    "field:issues < 3",
    "field:issues >= 2.5",
    "field:issues > -1",
    "field:born < 1990-01-01",
    "field:born >= 1990-06-15",
    "field:born = 1990-06-15",
    "field:vip",
    "field:vip = false",
    "not field:vip",
    "joined > 2026-01-10",
    "joined <= 2026-01-10",
    "joined = 2026-01-10",
    "joined:20d",
    "sent:last-2",
    "sent:issue-1",
    "not sent:issue-3",
    "opened:last-1",
    "opened:last-3",
    "opened:issue-2",
    "not opened:last-3 and sent:last-3",
    "clicked:last-2",
    "clicked:issue-1",
    "inactive:2",
    "inactive:4",
    "source:import",
    "source:\"import:a.csv\"",
    "list:other",
    "domain:gmail.com",
    "frequency:monthly",
    "(tag:paid or field:vip) and not (opened:last-2 or domain:gmail.com)",
    "tag:paid or tag:early-bird and not source:import or joined:5d",
];

fn filter(text: &str) -> Filter {
    let fields = FieldTable::parse(FIELDS).expect("four declarations");
    let named = Segments::default();
    let given = Given {
        fields: &fields,
        named: &named,
        zone: "UTC",
    };
    pressrun::segment::parser::parse(text, &given).unwrap_or_else(|error| panic!("{text}: {error}"))
}

async fn found(store: &Store, filter: &Filter) -> Vec<i64> {
    let mut all = Vec::new();
    let mut after = SubscriberId(0);
    loop {
        let page = store.members(ListId(1), filter, NOW, after, 7).await;
        let page = page.expect("a page");
        let Some(last) = page.last() else { return all };
        after = SubscriberId(last.id);
        all.extend(page.iter().map(|member| member.id));
    }
}

on_both!(
    every_test_finds_whom_a_search_by_hand_finds,
    async |engine: Engine| {
        let database = Database::new(engine).await;
        let store = database.store().await;
        let world = World::random(11, engine);
        database.raw(&world.sql()).await;
        let mut some = 0;
        for text in EXPRESSIONS {
            let filter = filter(text);
            let expected = world.confirmed(|reader| world.holds(reader, &filter));
            assert_eq!(found(&store, &filter).await, expected, "{text}");
            let count = store.in_segment(ListId(1), &filter, true, NOW).await;
            assert_eq!(
                count.expect("a count").readers,
                expected.len() as i64,
                "{text}"
            );
            let weekly = world.confirmed(|reader| !reader.monthly && world.holds(reader, &filter));
            let count = store.in_segment(ListId(1), &filter, false, NOW).await;
            assert_eq!(
                count.expect("a count").readers,
                weekly.len() as i64,
                "{text}"
            );
            some += usize::from(!expected.is_empty() && expected.len() < world.readers.len());
        }
        assert!(some > 35, "only {some} expressions tell readers apart");
    }
);

on_both!(
    a_reader_is_described_by_one_bit_for_each_segment,
    async |engine: Engine| {
        let database = Database::new(engine).await;
        let store = database.store().await;
        let world = World::random(12, engine);
        database.raw(&world.sql()).await;
        let sieves: Vec<Sieve> = ["tag:paid", "opened:last-2", "not field:city", "inactive:2"]
            .map(|said| Sieve {
                said: said.into(),
                filter: filter(said),
            })
            .into();
        let bits = |reader| -> i64 {
            let each = sieves.iter().enumerate();
            each.map(|(bit, sieve)| i64::from(world.holds(reader, &sieve.filter)) << bit)
                .sum()
        };
        let whom = Whom {
            segment: None,
            monthly: true,
            parts: &sieves,
        };
        let page = store
            .audience(ListId(1), whom, NOW, SubscriberId(0), 1_000)
            .await;
        let page = page.expect("the audience");
        let expected: Vec<(i64, i64)> = world
            .confirmed_rows(|_| true)
            .map(|reader| (reader.id, bits(reader)))
            .collect();
        let got: Vec<(i64, i64)> = page.iter().map(|one| (one.id, one.parts)).collect();
        assert_eq!(got, expected);
        for reader in &world.readers {
            let of = store
                .segments_of(SubscriberId(reader.id), ListId(1), &sieves, NOW)
                .await;
            assert_eq!(of.expect("bits"), bits(reader), "{reader:?}");
        }
        // Who is not on the list wants no digest of it.
        let weekly = [Sieve {
            said: "not frequency:monthly".into(),
            filter: filter("not frequency:monthly"),
        }];
        let elsewhere = world.readers.iter().find(|reader| !reader.on_other);
        let elsewhere = SubscriberId(elsewhere.expect("a reader").id);
        let of = store.segments_of(elsewhere, ListId(2), &weekly, NOW).await;
        assert_eq!(of.expect("bits"), 1);
    }
);

on_both!(
    a_run_in_numbers_counts_the_readers_of_a_segment,
    async |engine: Engine| {
        let database = Database::new(engine).await;
        let store = database.store().await;
        let world = World::random(13, engine);
        database.raw(&world.sql()).await;
        for text in ["tag:paid", "not tag:paid", "field:vip or domain:gmail.com"] {
            let filter = filter(text);
            let run = world.runs[1].id;
            let came = store.run_in_segment(RunId(run), &filter, NOW).await;
            let came = came.expect("numbers");
            let rows: Vec<_> = world
                .readers
                .iter()
                .filter(|reader| world.holds(reader, &filter))
                .filter_map(|reader| reader.deliveries.iter().find(|row| row.run == run))
                .collect();
            let count = |is: fn(&oracle::Delivery) -> bool| {
                rows.iter().filter(|row| is(row)).count() as i64
            };
            assert!(came.sent > 0, "{text}");
            assert_eq!(came.recipients, rows.len() as i64, "{text}");
            assert_eq!(came.sent, count(|row| row.state == "sent"), "{text}");
            // Machines are no readers.
            let opened = |row: &oracle::Delivery| {
                matches!(row.judged.0, Some("human" | "gmail")) || row.judged.1 == Some("human")
            };
            assert_eq!(came.opened, count(opened), "{text}");
            let clicked = |row: &oracle::Delivery| row.judged.1 == Some("human");
            assert_eq!(came.clicked, count(clicked), "{text}");
        }
        // By its own name a run counts itself; of the last issues it counts those before it.
        let (first, second) = (&world.runs[0], &world.runs[1]);
        let reached = |reader: &&oracle::Reader, run: i64| {
            let mut rows = reader.deliveries.iter();
            rows.any(|row| row.run == run && ["sent", "at_dot", "uncertain"].contains(&row.state))
        };
        let got = world
            .readers
            .iter()
            .filter(|reader| reached(reader, second.id));
        let both = got.clone().filter(|reader| reached(reader, first.id));
        for (text, readers) in [
            ("sent:issue-2", got.count()),
            ("sent:issue-2 and sent:last-1", both.count()),
        ] {
            let came = store
                .run_in_segment(RunId(second.id), &filter(text), NOW)
                .await;
            assert_eq!(came.expect("numbers").recipients, readers as i64, "{text}");
        }
    }
);

on_both!(
    tags_are_put_on_once_and_taken_off,
    async |engine: Engine| {
        let database = Database::new(engine).await;
        let store = database.store().await;
        let world = World::random(14, engine);
        database.raw(&world.sql()).await;
        let readers: Vec<SubscriberId> = world
            .readers
            .iter()
            .map(|reader| SubscriberId(reader.id))
            .chain([SubscriberId(999_999)])
            .collect();
        let bore = world
            .readers
            .iter()
            .filter(|reader| reader.tags.contains(&"paid"))
            .count();
        let all = world.readers.len();
        let tag = store.tag(&readers, "paid").await.expect("a change");
        assert_eq!(tag, (all - bore) as u64, "who is gone is passed over");
        assert_eq!(store.tag(&readers, "paid").await.expect("a change"), 0);
        let known = store.tags().await.expect("tags");
        assert!(known.contains(&("paid".into(), all as i64)), "{known:?}");
        let of = store.tags_of(&readers[..1]).await.expect("tags");
        assert!(of.contains(&(readers[0].0, "paid".into())), "{of:?}");
        assert_eq!(
            store.untag(&readers, "paid").await.expect("a change"),
            all as u64
        );
        assert_eq!(store.untag(&readers, "paid").await.expect("a change"), 0);
        let now = Timestamp(NOW.0);
        let paid = store
            .in_segment(ListId(1), &filter("tag:paid"), true, now)
            .await;
        assert_eq!(paid.expect("a count").readers, 0);
    }
);
