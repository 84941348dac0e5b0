-- A reader who wants nothing counted any more takes what she did with old mail along: her copies are shares of nothing
-- from then on. The log says when, and the fold counts by it. And the day of a mailed link to a reader's data begins when
-- the mail goes out, which may be long after she asked.

-- One more kind of event; only the text of the constraint changes (0021 says how).
pragma writable_schema = on;

update sqlite_schema set sql = replace(
    sql,
    'or kind = ''complaint''',
    'or kind = ''complaint'' or kind = ''withdrawal'''
)
where type = 'table' and name = 'events';

pragma writable_schema = reset;

create table checks_changed (one bigint);
drop table checks_changed;

-- 1 where the copy's reader withdrew since she got it.
alter table judged add column withdrawn bigint not null default 0;

-- The mail with the link: a delivery of the open run.
alter table proofs add column seq bigint;
