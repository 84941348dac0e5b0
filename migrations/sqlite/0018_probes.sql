-- An address whose mail came back several times running is asked by one short mail of its own before it is
-- suppressed: what came back may have been refused for what stood in it.

create table probes (
    -- One at a time; a later one takes the place of one that is decided.
    subscriber_id bigint not null primary key references subscribers (id) on delete cascade,
    -- The delivery of the open run.
    seq bigint not null,
    asked_at bigint not null,
    decided_at bigint,
    verdict text check (verdict in ('kept', 'suppressed'))
) without rowid;

create index probes_under_way on probes (subscriber_id) where decided_at is null;

-- SQLite changes no check in place, so the table is made anew; nothing refers to it.
create table system_mails_next (
    run_id bigint not null,
    seq bigint not null,
    kind text not null check (kind in ('confirm', 'welcome', 'goodbye', 'test', 'notice', 'probe')),
    revision text not null references revisions (hash),
    -- The address of a reader who is none yet; else the subscriber's own is taken.
    address text,
    list_id bigint references lists (id),
    -- Values for slots that no subscriber field fills.
    data text not null,
    primary key (run_id, seq)
) without rowid;

insert into system_mails_next (run_id, seq, kind, revision, address, list_id, data)
select run_id, seq, kind, revision, address, list_id, data from system_mails;

drop table system_mails;

alter table system_mails_next rename to system_mails;
