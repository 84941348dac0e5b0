-- A complaint (a provider's feedback report) is an event of the delivery it is about, and is counted by run, so
-- that a run can be held for it and the author can be told.

alter table deliveries add column complained_at bigint;
alter table blocks add column complained bigint not null default 0;

-- Few runs ever have one: one look must tell which.
create index blocks_complained on blocks (run_id, block) where complained > 0;

-- One more kind of event and of notice. Differs by necessity: SQLite changes no check of a table that is there.
create table events_anew (
    id bigint not null primary key,
    at bigint not null,
    kind text not null check (
        kind in ('open', 'click', 'unsubscribe', 'confirm', 'view', 'bounce', 'complaint')
    ),
    run_id bigint,
    seq bigint,
    link bigint,
    evidence text not null,
    pseudonym bigint
) without rowid;

insert into events_anew (id, at, kind, run_id, seq, link, evidence, pseudonym)
select id, at, kind, run_id, seq, link, evidence, pseudonym from events order by id;

drop table events;
alter table events_anew rename to events;

create table notices_anew (
    id bigint not null primary key,
    at bigint not null,
    kind text not null check (
        kind in ('started', 'finished', 'held', 'relay-down', 'relay-up', 'bounces', 'complaints')
    ),
    about text not null,
    run_id bigint references runs (id),
    body text not null,
    hook_due bigint,
    hook_tries bigint not null default 0,
    hook_answer text
) without rowid;

insert into notices_anew (id, at, kind, about, run_id, body, hook_due, hook_tries, hook_answer)
select id, at, kind, about, run_id, body, hook_due, hook_tries, hook_answer from notices order by id;

drop table notices;
alter table notices_anew rename to notices;
create index notices_by_kind on notices (kind, about, at);
