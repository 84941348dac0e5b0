-- What the subscribe form must remember to be honest with strangers: forms that came back, addresses
-- that were mailed, and how many confirm mails each hour has been given.

-- A form is good for one answer.
create table form_nonces (
    nonce bigint not null primary key,
    used_at bigint not null
);

create index form_nonces_by_time on form_nonces (used_at);

-- The last confirm mail to an address on a list, under a keyed hash of the folded address.
create table signups (
    hash bytea not null,
    list_id bigint not null references lists (id),
    at bigint not null,
    primary key (hash, list_id)
);

create index signups_by_time on signups (at);

-- Confirm mails of the whole instance by hour (hours since 1970); a full hour passes them to the next.
create table confirm_hours (
    hour bigint not null primary key,
    mails bigint not null
);
