-- Several relays: what each has carried in its present second, minute, hour and day, so that caps hold
-- across restarts and for all nodes together; and how each node finds its relays, for whoever asks.

create table budgets (
    -- A relay, or a sending domain that is being warmed up.
    name text not null,
    span text not null check (span in ('second', 'minute', 'hour', 'day')),
    -- When the counted window began.
    began bigint not null,
    used bigint not null,
    primary key (name, span)
) without rowid;

create table relay_states (
    node text not null,
    relay text not null,
    state text not null check (state in ('works', 'broken', 'full')),
    since bigint not null,
    -- Why it is not used, in the relay's words or ours.
    why text,
    -- When it is tried, or goes on.
    next_at bigint,
    told_at bigint not null,
    primary key (node, relay)
) without rowid;
