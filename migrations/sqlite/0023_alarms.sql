-- The author is told when the subscribe form is under attack: one more kind of notice. Differs by necessity: SQLite
-- changes no check of a table that is there.
create table notices_anew (
    id bigint not null primary key,
    at bigint not null,
    kind text not null check (
        kind in ('started', 'finished', 'held', 'relay-down', 'relay-up', 'bounces', 'complaints', 'signups')
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
