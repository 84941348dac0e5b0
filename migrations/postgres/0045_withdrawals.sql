-- A reader who wants nothing counted any more takes what she did with old mail along: her copies are shares of nothing
-- from then on. The log says when, and the fold counts by it. And the day of a mailed link to a reader's data begins when
-- the mail goes out, which may be long after she asked.

-- One more kind of event.
alter table events drop constraint events_kind_check;
alter table events add constraint events_kind_check check (
    kind in ('open', 'click', 'unsubscribe', 'confirm', 'view', 'bounce', 'complaint', 'withdrawal')
);

-- 1 where the copy's reader withdrew since she got it.
alter table judged add column withdrawn bigint not null default 0;

-- The mail with the link: a delivery of the open run.
alter table proofs add column seq bigint;
