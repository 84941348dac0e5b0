-- A configuration that is edited while a sender runs is not in force with it. Who begins a run has to know that, for it
-- would else go out half by the old and half by the new one.

-- As JSON.
alter table senders add column setup text;

-- How many readers a run that waits for its hour would have gone to when it was planned: a list that an import has
-- emptied or doubled since is asked about before the run begins.
alter table runs add column expected bigint;
