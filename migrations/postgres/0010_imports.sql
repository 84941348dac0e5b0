-- Every import is kept: what was stated about the readers' consent, how far it came, so that a broken one goes
-- on, and whom it brought, so that the whole of it can be taken back.

create table imports (
    id bigint not null primary key,
    list_id bigint not null references lists (id),
    -- The file's name, and the service whose export it is; empty for any table.
    file text not null,
    service text not null,
    -- What the file and the options are known by when the import goes on.
    fingerprint bytea not null,
    -- How new subscriptions began, and how these readers agreed, in the author's words.
    status text not null check (status in ('pending', 'confirmed')),
    consent text not null,
    begun_at bigint not null,
    finished_at bigint,
    -- Batches taken, and what they came to, as JSON.
    done bigint not null,
    tally text not null,
    undone_at bigint,
    -- Subscriptions that were taken back, and that stayed because something had happened since.
    removed bigint not null default 0,
    stayed bigint not null default 0
);

-- The import that brought it. No reference is declared: each of a million rows would be looked up, and no import
-- is ever deleted.
alter table subscriptions add column import_id bigint;

-- Asked for together with the subscription of this key, whose confirm link confirms both.
alter table subscriptions add column asked_with bigint;
