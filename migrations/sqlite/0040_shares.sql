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
