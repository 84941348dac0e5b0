-- An author may say which readers of a list a run or a part of an issue is for.

-- Short words that an author puts on readers.
create table tags (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    tag text not null,
    primary key (subscriber_id, tag)
) without rowid;

create index tags_by_name on tags (tag, subscriber_id);

-- To whom of the list, as it was said and as it was understood, as JSON; null is all of it. Fixed when the
-- run is made, asked when it is frozen.
alter table runs add column segment text;
-- The segments that parts of the revision are for, in its order, as JSON; null where there are none.
alter table runs add column parts text;
-- Which of these the reader was in at the freeze: bit n is the nth. Null where there are none.
alter table deliveries add column parts bigint;
