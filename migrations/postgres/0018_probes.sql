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
);

create index probes_under_way on probes (subscriber_id) where decided_at is null;

alter table system_mails drop constraint system_mails_kind_check;

alter table system_mails add constraint system_mails_kind_check
    check (kind in ('confirm', 'welcome', 'goodbye', 'test', 'notice', 'probe'));
