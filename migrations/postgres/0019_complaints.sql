-- A complaint (a provider's feedback report) is an event of the delivery it is about, and is counted by run, so
-- that a run can be held for it and the author can be told.

alter table deliveries add column complained_at bigint;
alter table blocks add column complained bigint not null default 0;

-- Few runs ever have one: one look must tell which.
create index blocks_complained on blocks (run_id, block) where complained > 0;

-- One more kind of event and of notice.
alter table events drop constraint events_kind_check;
alter table events add constraint events_kind_check check (
    kind in ('open', 'click', 'unsubscribe', 'confirm', 'view', 'bounce', 'complaint')
);

alter table notices drop constraint notices_kind_check;
alter table notices add constraint notices_kind_check check (
    kind in ('started', 'finished', 'held', 'relay-down', 'relay-up', 'bounces', 'complaints')
);
