-- What direct delivery has learned outlives a restart: a provider that asked for quiet is left alone, a dead domain
-- stays as old as it is, and a policy holds as long as it said.

-- RFC 8461, section 3.2: a policy holds until its max_age, whatever the network says meanwhile.
create table sts_policies (
    domain text not null primary key,
    -- The id that its record announced.
    id text not null,
    -- As it was fetched.
    policy text not null,
    until bigint not null
);

-- By node, since providers judge the addresses that it sends from.
create table learned (
    node text not null,
    relay text not null,
    -- A provider's connections; hosts that fail; a domain that cannot be looked up.
    kind text not null check (kind in ('provider', 'hosts', 'domain')),
    name text not null,
    -- Of a provider: connections at a time, until when it is left alone, and in which words it asked for it.
    connections bigint,
    quiet_until bigint,
    quiet text,
    -- Of hosts and domains: since when they fail, and how often running.
    since bigint,
    failures bigint,
    told_at bigint not null,
    primary key (node, relay, kind, name)
);
