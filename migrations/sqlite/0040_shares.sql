-- What one reader's links store has a bound, what the front door lets through presses its brake whoever asked, and a
-- reader's page goes with her when she moves to another address.

-- Events that were not stored, because the links of their copies were asked more often than anybody reads.
create table dropped_events (
    run_id bigint not null primary key references runs (id),
    number bigint not null
) without rowid;

-- Forms that were taken, those that mail nobody among them: were the brake pressed by mails, it would tell of an address
-- whether it is known here.
alter table confirm_hours add column forms bigint not null default 0;
update confirm_hours set forms = mails;

-- In the links to her page since she moved to another address; null before. The links in the mailbox that she gave up
-- hold another key, and end what they ended before, no more.
alter table subscriptions add column manage_key bigint;
create unique index subscriptions_by_manage_key on subscriptions (manage_key) where manage_key is not null;
