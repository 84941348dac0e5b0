-- By which numbers of sent and bounced copies a block was counted stands beside those numbers, so that a block that is
-- to be counted is known without a look at what it gave.
alter table blocks add column counted_sent bigint not null default 0;
alter table blocks add column counted_bounced bigint not null default 0;
update blocks set counted_sent = p.sent, counted_bounced = p.bounced
from block_parts p
where p.run_id = blocks.run_id and p.block = blocks.block;
alter table block_parts drop column sent;
alter table block_parts drop column bounced;

-- The counters of a run, and how many of its blocks are to be counted. SQLite keeps them as they move; here that would
-- make senders wait for each other at one row, so they are summed when they are asked for.
create view run_sums as
select run_id,
    cast(coalesce(sum(queued), 0) as bigint) as queued, cast(coalesce(sum(at_dot), 0) as bigint) as at_dot,
    cast(coalesce(sum(sent), 0) as bigint) as sent, cast(coalesce(sum(bounced), 0) as bigint) as bounced,
    cast(coalesce(sum(failed), 0) as bigint) as failed, cast(coalesce(sum(expired), 0) as bigint) as expired,
    cast(coalesce(sum(suppressed), 0) as bigint) as suppressed,
    cast(coalesce(sum(unsubscribed), 0) as bigint) as unsubscribed,
    cast(coalesce(sum(uncertain), 0) as bigint) as uncertain,
    cast(coalesce(sum(cancelled), 0) as bigint) as cancelled, cast(coalesce(sum(opened), 0) as bigint) as opened,
    cast(coalesce(sum(clicked), 0) as bigint) as clicked, cast(coalesce(sum(departed), 0) as bigint) as departed,
    cast(coalesce(sum(opens), 0) as bigint) as opens, cast(coalesce(sum(clicks), 0) as bigint) as clicks,
    cast(coalesce(sum(complained), 0) as bigint) as complained,
    count(case when sent <> counted_sent or bounced <> counted_bounced then 1 end) as stale
from blocks
group by run_id;
