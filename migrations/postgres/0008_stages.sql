-- A run may open in stages, try two subjects on a part of its readers, and tell the author how it goes.

-- The stages as JSON, fixed when the run is made; null opens all of it at once.
alter table runs add column stages text;
-- The stage that the run is in, from 0, and since when all of it has been tried.
alter table runs add column stage bigint;
alter table runs add column staged_at bigint;
-- Only deliveries of a lower number may leave; null is all of them.
alter table runs add column open_to bigint;
-- What had come of the run when a person last let it go on, as JSON: later numbers count from there.
alter table runs add column stage_base text;
-- The key at which the freeze begins, so that not the same readers come first each time, and how far it is:
-- 0 at the seeds, 1 behind that key, 2 before it.
alter table runs add column pivot bigint;
alter table runs add column lap bigint not null default 0;
-- The two subjects and, once decided, which one won by which numbers, as JSON.
alter table runs add column trial text;
-- The last status that was told to the author, and since when it was so: `held@1771502400000`.
alter table runs add column told text;

update runs set told = status || '@' || since;

-- First answers about recipients by the group of their domains, for the band of later runs.
create table answers (
    run_id bigint not null references runs (id),
    provider text not null,
    answered bigint not null,
    deferred bigint not null,
    primary key (run_id, provider)
);

-- What was told to the author, and what a webhook still has to hear.
create table notices (
    id bigint not null primary key,
    at bigint not null,
    kind text not null check (
        kind in ('started', 'finished', 'held', 'relay-down', 'relay-up', 'bounces')
    ),
    -- The issue of the run, or the relay.
    about text not null,
    run_id bigint references runs (id),
    -- As the webhook gets it.
    body text not null,
    -- When the webhook is asked next; null when it has heard or was given up.
    hook_due bigint,
    hook_tries bigint not null default 0,
    hook_answer text
);

create index notices_by_kind on notices (kind, about, at);
