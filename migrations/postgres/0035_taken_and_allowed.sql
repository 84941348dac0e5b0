-- Which leavings of the journal are in force already. A process may be killed between the commit of one and the emptying
-- of the journal: brought in once more, it would take off who has come back in between. The id is a random number of
-- the leaving, and leads to no reader.

create table leavings_taken (
    id bigint not null primary key,
    at bigint not null
);

-- Whose address was allowed again, by a person or with a bounce that was taken back: the bounces from before have no
-- suppression, and `verify` is not to miss it.

create table allowed_again (
    subscriber_id bigint not null primary key references subscribers (id) on delete cascade,
    at bigint not null
);
