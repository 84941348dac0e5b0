-- A run may wait for its hour, keep a pace, and go to a part of those whom an earlier one was for.
-- SQLite changes no check in place, so the table is made anew; the references of its deliveries and blocks
-- are looked at when all of it is done.

pragma defer_foreign_keys = on;

create table runs_before as select * from runs;

drop table runs;

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
        status in (
            'scheduled', 'freezing', 'sending', 'paused', 'held', 'finished', 'cancelled', 'open'
        )
    ),
    -- Subscriptions confirmed up to here take part.
    cutoff bigint not null,
    -- How far the freeze came; it goes on behind it after a crash: the last subscriber, or the next number
    -- of the earlier run that gives the audience.
    frozen_to bigint not null,
    recipients bigint not null,
    reason text,
    created_at bigint not null,
    started_at bigint,
    finished_at bigint,
    -- When it came into its status.
    since bigint not null default 0,
    -- Not before this instant; null starts at once. The zone is the one in which the author said it.
    start_at bigint,
    zone text,
    -- Each reader's own time on the wall (`2026-02-20T07:00:00`), and the field that names the zone.
    local_at text,
    zone_field text,
    -- Worked out at the start: when it is that time in each zone, as JSON; the first one, without a name, is
    -- for readers of no or an unknown zone.
    dues text,
    -- Messages a day at most, and the time over which they are to be spread, in milliseconds.
    per_day bigint,
    spread bigint,
    -- When the spread is to end; moved by what the run stood still.
    spread_until bigint,
    -- The instant up to which the pace is used up.
    paced_to bigint,
    -- Who takes part: all of the list, or of the run `origin` those it left out, reached, or who neither
    -- opened nor clicked.
    audience text not null default 'list' check (
        audience in ('list', 'continue', 'reached', 'unopened')
    ),
    origin bigint references runs (id)
);

insert into runs (
    id, kind, slug, title, list_id, revision, headers, relay, policy, status, cutoff, frozen_to,
    recipients, reason, created_at, started_at, finished_at, since
)
select id, kind, slug, title, list_id, revision, headers, relay, policy, status, cutoff, frozen_to,
    recipients, reason, created_at, started_at, finished_at,
    coalesce(finished_at, started_at, created_at)
from runs_before;

drop table runs_before;

create index runs_by_slug on runs (slug, id);
create index runs_by_status on runs (status);
