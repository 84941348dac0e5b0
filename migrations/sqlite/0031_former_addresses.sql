-- A reader's address before she moved to another one: its keyed hash, so that a file which still holds it means her and
-- not somebody new; and for as long as a link to it may take the move back, the address itself.

create table former_addresses (
    hash blob not null primary key,
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    at bigint not null,
    -- In the link that went to the address.
    key bigint not null,
    -- Null once that link is too old.
    address text
) without rowid;

create unique index former_addresses_by_key on former_addresses (key);
create index former_addresses_by_subscriber on former_addresses (subscriber_id);
