-- When a reader joined is not when she was put here: an import's file may say that she has been a reader for years. The
-- freeze goes by `confirmed_at`, which stays the time of the import; segments and the growth of a list go by this.
-- Null: she joined when she was confirmed, or, if an import brought her, nobody knows.

alter table subscriptions add column joined_at bigint;

-- Whoever stands as an import left her joined when its file said so, if it did; whoever confirmed since joined then.
update subscriptions
set joined_at = case when confirmed_at in (select begun_at from imports) then created_at else confirmed_at end
where import_id is not null and confirmed_at is not null
  and (created_at < confirmed_at or confirmed_at not in (select begun_at from imports));
