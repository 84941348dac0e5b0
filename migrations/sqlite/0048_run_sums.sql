-- By which numbers of sent and bounced copies a block was counted stands beside those numbers, so that a block that is
-- to be counted is known without a look at what it gave.
alter table blocks add column counted_sent bigint not null default 0;
alter table blocks add column counted_bounced bigint not null default 0;
update blocks set counted_sent = p.sent, counted_bounced = p.bounced
from block_parts p
where p.run_id = blocks.run_id and p.block = blocks.block;
alter table block_parts drop column sent;
alter table block_parts drop column bounced;

-- The counters of a run, and how many of its blocks are to be counted: kept as its blocks move, so that a page over
-- many runs of a million readers need not sum four thousand rows of each. On PostgreSQL it is a view.
create table run_sums (
    run_id bigint not null primary key,
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
    opened bigint not null default 0,
    clicked bigint not null default 0,
    departed bigint not null default 0,
    opens bigint not null default 0,
    clicks bigint not null default 0,
    complained bigint not null default 0,
    stale bigint not null default 0
) without rowid;

insert into run_sums
select run_id,
    sum(queued), sum(at_dot), sum(sent), sum(bounced), sum(failed), sum(expired), sum(suppressed),
    sum(unsubscribed), sum(uncertain), sum(cancelled), sum(opened), sum(clicked), sum(departed), sum(opens),
    sum(clicks), sum(complained), sum(sent <> counted_sent or bounced <> counted_bounced)
from blocks
group by run_id;

create trigger sums_of_new after insert on blocks
begin
    insert into run_sums (run_id)
    select new.run_id where not exists (select 1 from run_sums where run_id = new.run_id);
    update run_sums set
        queued = queued + new.queued, at_dot = at_dot + new.at_dot, sent = sent + new.sent,
        bounced = bounced + new.bounced, failed = failed + new.failed, expired = expired + new.expired,
        suppressed = suppressed + new.suppressed, unsubscribed = unsubscribed + new.unsubscribed,
        uncertain = uncertain + new.uncertain, cancelled = cancelled + new.cancelled, opened = opened + new.opened,
        clicked = clicked + new.clicked, departed = departed + new.departed, opens = opens + new.opens,
        clicks = clicks + new.clicks, complained = complained + new.complained,
        stale = stale + (new.sent <> new.counted_sent or new.bounced <> new.counted_bounced)
    where run_id = new.run_id;
end;

create trigger sums_of_change after update of
    queued, at_dot, sent, bounced, failed, expired, suppressed, unsubscribed, uncertain, cancelled, opened,
    clicked, departed, opens, clicks, complained, counted_sent, counted_bounced
on blocks
begin
    update run_sums set
        queued = queued + new.queued - old.queued, at_dot = at_dot + new.at_dot - old.at_dot,
        sent = sent + new.sent - old.sent, bounced = bounced + new.bounced - old.bounced,
        failed = failed + new.failed - old.failed, expired = expired + new.expired - old.expired,
        suppressed = suppressed + new.suppressed - old.suppressed,
        unsubscribed = unsubscribed + new.unsubscribed - old.unsubscribed,
        uncertain = uncertain + new.uncertain - old.uncertain,
        cancelled = cancelled + new.cancelled - old.cancelled, opened = opened + new.opened - old.opened,
        clicked = clicked + new.clicked - old.clicked, departed = departed + new.departed - old.departed,
        opens = opens + new.opens - old.opens, clicks = clicks + new.clicks - old.clicks,
        complained = complained + new.complained - old.complained,
        stale = stale + (new.sent <> new.counted_sent or new.bounced <> new.counted_bounced)
            - (old.sent <> old.counted_sent or old.bounced <> old.counted_bounced)
    where run_id = new.run_id;
end;

create trigger sums_of_gone after delete on blocks
begin
    update run_sums set
        queued = queued - old.queued, at_dot = at_dot - old.at_dot, sent = sent - old.sent,
        bounced = bounced - old.bounced, failed = failed - old.failed, expired = expired - old.expired,
        suppressed = suppressed - old.suppressed, unsubscribed = unsubscribed - old.unsubscribed,
        uncertain = uncertain - old.uncertain, cancelled = cancelled - old.cancelled, opened = opened - old.opened,
        clicked = clicked - old.clicked, departed = departed - old.departed, opens = opens - old.opens,
        clicks = clicks - old.clicks, complained = complained - old.complained,
        stale = stale - (old.sent <> old.counted_sent or old.bounced <> old.counted_bounced)
    where run_id = old.run_id;
end;
