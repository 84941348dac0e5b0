-- A `send` in the foreground leaves alone what a person interrupted before, and starts no other run in its hour. Other
-- processes have to know that, for `why` would else say of such a run that it goes on.

-- As JSON; none is all runs.
alter table senders add column charge text;
