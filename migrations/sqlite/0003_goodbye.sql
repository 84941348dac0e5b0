-- A reader who leaves on the page may get one last mail. SQLite changes no check in place, so the table is
-- made anew; nothing refers to it.

create table system_mails_next (
    run_id bigint not null,
    seq bigint not null,
    kind text not null check (kind in ('confirm', 'welcome', 'goodbye', 'test', 'notice')),
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
