-- An event is one row at the end of a log. What it counts is folded in behind it, in the order of the log and
-- exactly once; what was judged of a delivery may be thrown away and judged again from the log.

-- The last id given. A group takes its ids by moving this row and holds it until its commit, so that ids are in
-- the order of commits, and whoever sees one sees all before it.
create table event_log (
    one bigint not null primary key check (one = 1),
    last bigint not null
);

insert into event_log (one, last) select 1, coalesce(max(id), 0) from events;

-- How far the fold is.
create table event_fold (
    one bigint not null primary key check (one = 1),
    -- The rules by which all was judged; negative while it is being judged again by them, 0 before the first time.
    rules bigint not null,
    -- Events up to `folded` are counted, and those up to `upto` are being counted: done for deliveries up to
    -- (run_id, seq). While all is judged again, that is how far it is.
    folded bigint not null,
    upto bigint not null,
    run_id bigint not null,
    seq bigint not null
);

-- Whatever stands in the log by now was counted when it was stored.
insert into event_fold (one, rules, folded, upto, run_id, seq) select 1, 0, last, last, 0, -1 from event_log;

-- The events of a delivery. An index of the log would be written with each event, at a place of its own; this is
-- written by the fold, which sorts.
create table delivery_events (
    run_id bigint not null,
    seq bigint not null,
    event_id bigint not null,
    -- Seconds since the delivery was settled; null where it was not, or where the evidence says it.
    after bigint,
    primary key (run_id, seq, event_id)
);

insert into delivery_events (run_id, seq, event_id)
select run_id, seq, id from events where run_id is not null and seq is not null order by run_id, seq, id;

drop index events_by_delivery;

-- What is thought of a delivery by its events.
create table judged (
    run_id bigint not null,
    seq bigint not null,
    -- Who keeps the mailbox, as known when it was first judged.
    provider text not null,
    -- Who opened it and who clicked, by the best of its events; null is nobody.
    opened text check (opened in ('human', 'gmail', 'apple', 'unsure', 'machine')),
    clicked text check (clicked in ('human', 'unsure', 'machine')),
    primary key (run_id, seq)
);

-- Judged numbers of a run by what they are looked at by: readers and events, by hour, link and the like.
create table tallies (
    run_id bigint not null,
    part text not null,
    bucket text not null,
    what text not null,
    number bigint not null,
    primary key (run_id, part, bucket, what)
);

-- What a block gave to the tallies of sent and bounced copies, and by which counters that was known.
create table block_parts (
    run_id bigint not null,
    block bigint not null,
    sent bigint not null,
    bounced bigint not null,
    parts text not null,
    primary key (run_id, block)
);

-- How a list grew, and what became of those who joined in one month: counted now and then, as JSON.
create table list_numbers (
    list_id bigint not null primary key references lists (id),
    at bigint not null,
    numbers text not null
);

-- An event settles what is uncertain, and nearly always there is nothing: one look must tell.
create index blocks_uncertain on blocks (run_id, block) where uncertain > 0;
