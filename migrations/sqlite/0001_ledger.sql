-- The first house: lists and readers, runs and their deliveries, and what readers did.
-- Times are Unix milliseconds brought by the caller. Every id but a reader's is counted from 1;
-- a reader's and a subscription's are random, so that no link tells how many there are.

create table meta (
    key text not null primary key,
    value text not null
);

create table lists (
    id bigint not null primary key,
    slug text not null unique,
    title text not null,
    -- The label in List-Id: made once, so that renaming the list does not move it (RFC 2919, section 3).
    label text not null unique,
    created_at bigint not null
);

create table subscribers (
    id bigint not null primary key,
    address text not null,
    canonical text not null unique,
    -- Keyed hash of the canonical address: the name under which it may be suppressed. No index: it would
    -- cost an import one page per row, and readers are found by the canonical address.
    hash blob not null,
    name text not null,
    -- Declared custom fields as one JSON object.
    fields text not null,
    created_at bigint not null
);

create table subscriptions (
    key bigint not null primary key,
    list_id bigint not null references lists (id),
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    status text not null check (status in ('pending', 'confirmed', 'paused', 'unsubscribed')),
    -- How the reader came: `form`, `import:FILE`, `cli`.
    source text not null,
    created_at bigint not null,
    confirmed_at bigint,
    left_at bigint,
    unique (list_id, subscriber_id)
);

create index subscriptions_by_subscriber on subscriptions (subscriber_id);

create table suppressions (
    hash blob not null primary key,
    reason text not null,
    created_at bigint not null
);

-- Compiled issues by content: a run's revision never changes.
create table revisions (
    hash text not null primary key,
    slug text not null,
    content text not null,
    created_at bigint not null
);

create table links (
    revision text not null references revisions (hash),
    link bigint not null,
    url text not null,
    name text not null,
    primary key (revision, link)
);

create table images (
    hash text not null primary key,
    media_type text not null,
    bytes blob not null,
    created_at bigint not null
);

create table runs (
    id bigint not null primary key,
    kind text not null check (kind in ('system', 'issue')),
    slug text not null,
    title text not null,
    list_id bigint references lists (id),
    revision text references revisions (hash),
    -- From, Reply-To, List-Id and the like as one JSON object, fixed with the revision.
    headers text not null,
    relay text not null,
    policy text not null check (policy in ('hold', 'assume-sent', 'resend')),
    status text not null check (
        status in ('freezing', 'sending', 'paused', 'held', 'finished', 'cancelled', 'open')
    ),
    -- Subscriptions confirmed up to here take part.
    cutoff bigint not null,
    -- The last subscriber frozen; the freeze goes on behind it after a crash.
    frozen_to bigint not null,
    recipients bigint not null,
    reason text,
    created_at bigint not null,
    started_at bigint,
    finished_at bigint
);

create index runs_by_slug on runs (slug, id);
create index runs_by_status on runs (status);

-- Leases and counters for 256 deliveries at a time.
create table blocks (
    run_id bigint not null references runs (id),
    block bigint not null,
    owner text,
    boot bigint,
    until bigint,
    -- The earliest time a queued delivery of this block is due; null when none is.
    next_due bigint,
    queued bigint not null default 0,
    at_dot bigint not null default 0,
    sent bigint not null default 0,
    bounced bigint not null default 0,
    failed bigint not null default 0,
    expired bigint not null default 0,
    suppressed bigint not null default 0,
    unsubscribed bigint not null default 0,
    uncertain bigint not null default 0,
    cancelled bigint not null default 0,
    -- Readers who opened, clicked or left by this run's mail; then every open and click.
    opened bigint not null default 0,
    clicked bigint not null default 0,
    departed bigint not null default 0,
    opens bigint not null default 0,
    clicks bigint not null default 0,
    primary key (run_id, block)
) without rowid;

create table deliveries (
    run_id bigint not null references runs (id),
    seq bigint not null,
    subscriber_id bigint not null,
    state text not null check (
        state in (
            'queued', 'at_dot', 'sent', 'bounced', 'failed', 'expired',
            'suppressed', 'unsubscribed', 'uncertain', 'cancelled'
        )
    ),
    due_at bigint not null,
    attempts bigint not null default 0,
    -- The boot of the process whose marker stands here.
    boot bigint,
    marked_at bigint,
    settled_at bigint,
    code bigint,
    enhanced text,
    reply text,
    -- What this copy was made of, as JSON: with the revision, it gives the message back byte for byte.
    copy text,
    opened_at bigint,
    clicked_at bigint,
    departed_at bigint,
    primary key (run_id, seq)
) without rowid;

create index deliveries_by_subscriber on deliveries (subscriber_id, run_id);

-- What a delivery of the open run carries: one row beside each.
create table system_mails (
    run_id bigint not null,
    seq bigint not null,
    kind text not null check (kind in ('confirm', 'welcome', 'test', 'notice')),
    revision text not null references revisions (hash),
    -- The address of a reader who is none yet; else the subscriber's own is taken.
    address text,
    list_id bigint references lists (id),
    -- Values for slots that no subscriber field fills.
    data text not null,
    primary key (run_id, seq)
) without rowid;

-- One row per reader and link, so that a second click counts no second reader.
create table reader_clicks (
    run_id bigint not null,
    seq bigint not null,
    link bigint not null,
    clicked_at bigint not null,
    primary key (run_id, seq, link)
) without rowid;

create table link_counts (
    run_id bigint not null,
    link bigint not null,
    readers bigint not null,
    clicks bigint not null,
    primary key (run_id, link)
) without rowid;

create table events (
    id bigint not null primary key,
    at bigint not null,
    kind text not null check (kind in ('open', 'click', 'unsubscribe', 'confirm', 'view', 'bounce')),
    run_id bigint,
    seq bigint,
    link bigint,
    -- Evidence for judging man or machine later, as JSON.
    evidence text not null
) without rowid;

create index events_by_delivery on events (run_id, seq);

-- Who sends: on SQLite one row, on PostgreSQL one per node.
create table senders (
    node text not null primary key,
    boot bigint not null,
    started_at bigint not null,
    until bigint not null
);

insert into runs (
    id, kind, slug, title, headers, relay, policy, status, cutoff, frozen_to, recipients, created_at
)
values (1, 'system', '', 'System mails', '{}', '', 'hold', 'open', 0, 0, 0, 0);
