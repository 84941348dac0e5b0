-- An import may end or confirm subscriptions that were there before it. What each was is kept with the import, so that
-- taking it back puts them back, and a later import's word on the same subscription stands without it.

create table import_moves (
    key bigint not null references subscriptions (key) on delete cascade,
    import_id bigint not null references imports (id),
    -- `left` also where the subscription had ended by the word of an earlier import.
    what text not null check (what in ('left', 'confirmed')),
    -- The status before, and until when it rested; `unsubscribed` is nothing to put back.
    was text not null,
    paused_until bigint,
    -- What the import left as the time of leaving: another one is somebody else's doing.
    left_at bigint,
    primary key (key, import_id)
) without rowid;

create index import_moves_by_import on import_moves (import_id, key);

-- Readers of before who were put back when the import was taken back.
alter table imports add column put_back bigint not null default 0;
