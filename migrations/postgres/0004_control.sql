-- A run may wait for its hour, keep a pace, and go to a part of those whom an earlier one was for.

alter table runs drop constraint runs_status_check;

alter table runs add constraint runs_status_check check (
    status in (
        'scheduled', 'freezing', 'sending', 'paused', 'held', 'finished', 'cancelled', 'open'
    )
);

-- When it came into its status.
alter table runs add column since bigint not null default 0;

update runs set since = coalesce(finished_at, started_at, created_at);

-- Not before this instant; null starts at once. The zone is the one in which the author said it.
alter table runs add column start_at bigint;
alter table runs add column zone text;
-- Each reader's own time on the wall (`2026-02-20T07:00:00`), and the field that names the zone.
alter table runs add column local_at text;
alter table runs add column zone_field text;
-- Worked out at the start: when it is that time in each zone, as JSON; the first one, without a name, is for
-- readers of no or an unknown zone.
alter table runs add column dues text;
-- Messages a day at most, and the time over which they are to be spread, in milliseconds.
alter table runs add column per_day bigint;
alter table runs add column spread bigint;
-- When the spread is to end; moved by what the run stood still.
alter table runs add column spread_until bigint;
-- The instant up to which the pace is used up.
alter table runs add column paced_to bigint;
-- Who takes part: all of the list, or of the run `origin` those it left out, reached, or who neither opened
-- nor clicked.
alter table runs add column audience text not null default 'list' check (
    audience in ('list', 'continue', 'reached', 'unopened')
);
alter table runs add column origin bigint references runs (id);
