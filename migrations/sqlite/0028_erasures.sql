-- An erased reader leaves nothing but numbers: that on some day somebody joined a list, and that on some day somebody
-- left it and why. Neither leads to the other, and past weeks stay as they were.

create table erasures (
    list_id bigint not null references lists (id),
    what text not null check (what in ('joined', 'imported', 'left')),
    -- Days since 1970.
    day bigint not null,
    -- Of a leaving, if it is known; else empty.
    why text not null,
    number bigint not null,
    primary key (list_id, what, day, why)
) without rowid;
