-- Who joined a list and who left it, by day, written by whatever moves a subscription and in its transaction. What the
-- subscriptions say is how things stand: who left and came back has not left there, so that weeks that are over would
-- change. A day that is over changes here only by what never was: an import that is taken back, or a file that says
-- when those joined of whom nobody knew it.
-- Triggers write it, so that no way to join or to leave can be forgotten. Nothing in it leads to a reader: it holds sums,
-- and stays when she is erased. Whose address is suppressed has left as long as it is; that is read from there, and
-- written here when the subscription goes on to another state.

create table journal (
    list_id bigint not null references lists (id),
    what text not null check (what = 'joined' or what = 'imported' or what = 'left'),
    -- Days since 1970, in UTC.
    day bigint not null,
    -- Of a leaving why, if it is known; of a joining `returned`, if its reader had left before.
    why text not null,
    -- Who adds to it: on PostgreSQL the connection, so that no two transactions wait for each other; on SQLite 0.
    part bigint not null,
    number bigint not null,
    primary key (list_id, what, day, why, part)
);

-- When she first joined, if she left since and came back: a month's readers stay that month's.
alter table subscriptions add column first_joined_at bigint;

-- When she took her leaving back, as far as she did herself.
alter table subscriptions add column returned_at bigint;

insert into journal (list_id, what, day, why, part, number)
select list_id, what, day, why, 0, sum(number)
from (
    select n.list_id,
        case when n.joined_at is null and substr(n.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end as what,
        coalesce(n.joined_at, n.confirmed_at) / 86400000 as day, '' as why, 1 as number
    from subscriptions n where n.confirmed_at is not null
    union all
    select n.list_id, 'left', n.left_at / 86400000, coalesce(r.reason, ''), 1
    from subscriptions n left join leave_reasons r on r.subscription = n.key
    where n.confirmed_at is not null and n.status = 'unsubscribed' and n.left_at is not null
    union all
    select list_id, what, day, why, number from erasures
) m
group by list_id, what, day, why;

drop table erasures;

-- Differs by necessity: SQLite has one writer.
create function own_part() returns bigint
language sql volatile
as $$ select pg_backend_pid()::bigint $$;

create function journal_of_new() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, case when n.joined_at is null and substr(n.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce(n.joined_at, n.confirmed_at) / 86400000, '', 1
        from came n where n.confirmed_at is not null
        union all
        -- Who comes from elsewhere and has left there.
        select n.list_id, 'left', n.left_at / 86400000, '', 1
        from came n
        where n.confirmed_at is not null and n.status = 'unsubscribed' and n.left_at is not null
    ) m (list_id, what, day, why, number)
    group by m.list_id, m.what, m.day, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

create trigger journal_of_new after insert on subscriptions
referencing new table as came for each statement execute function journal_of_new();

create function journal_of_change() returns trigger language plpgsql as $$
begin
    if not exists (
        select 1 from was o join became n on n.key = o.key
        where n.status <> o.status or n.confirmed_at is distinct from o.confirmed_at
            or n.joined_at is distinct from o.joined_at
    ) then
        return null;
    end if;
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, case when n.joined_at is null and substr(n.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce(n.joined_at, n.confirmed_at) / 86400000, '', 1
        from was o join became n on n.key = o.key
        where o.confirmed_at is null and n.confirmed_at is not null
        union all
        -- Whose address was suppressed had left by that.
        select n.list_id, 'left',
            case when x.created_at is null then n.left_at
                else greatest(x.created_at, n.confirmed_at) end / 86400000,
            coalesce(x.reason, ''), 1
        from was o join became n on n.key = o.key
            join subscribers s on s.id = n.subscriber_id
            left join suppressions x on x.hash = s.hash
        where n.status = 'unsubscribed' and o.status <> 'unsubscribed' and n.left_at is not null
            and o.confirmed_at is not null and n.confirmed_at is not null
        union all
        -- Who comes back, by a time of her own.
        select n.list_id, 'joined',
            case when n.confirmed_at <> o.confirmed_at then n.confirmed_at else n.returned_at end / 86400000,
            'returned', 1
        from was o join became n on n.key = o.key
        where o.status = 'unsubscribed' and n.status <> 'unsubscribed'
            and o.confirmed_at is not null and n.confirmed_at is not null
            and (n.confirmed_at <> o.confirmed_at or n.returned_at is distinct from o.returned_at)
        union all
        -- Without any, her leaving is taken back as if it had never been.
        select n.list_id, 'left', o.left_at / 86400000, coalesce(r.reason, ''), -1
        from was o join became n on n.key = o.key
            left join leave_reasons r on r.subscription = n.key and r.at >= o.left_at
        where o.status = 'unsubscribed' and n.status <> 'unsubscribed'
            and n.confirmed_at = o.confirmed_at and o.left_at is not null
            and n.returned_at is not distinct from o.returned_at
        union all
        -- When she joined is known otherwise now.
        select v.list_id, v.what, v.day, '', v.number
        from was o join became n on n.key = o.key
            cross join lateral (values
                (o.list_id, case when o.joined_at is null and substr(o.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
                    coalesce(o.joined_at, o.confirmed_at) / 86400000, -1),
                (n.list_id, case when n.joined_at is null and substr(n.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
                    coalesce(n.joined_at, n.confirmed_at) / 86400000, 1)
            ) v (list_id, what, day, number)
        where o.confirmed_at is not null and n.confirmed_at is not null and n.first_joined_at is null
            and (n.status = 'unsubscribed') = (o.status = 'unsubscribed')
            and (n.joined_at is distinct from o.joined_at or n.confirmed_at <> o.confirmed_at)
        union all
        select o.list_id, case when o.joined_at is null and substr(o.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce(o.joined_at, o.confirmed_at) / 86400000, '', -1
        from was o join became n on n.key = o.key
        where o.confirmed_at is not null and n.confirmed_at is null
        union all
        -- Who never joined has not left either.
        select o.list_id, 'left', o.left_at / 86400000, coalesce(r.reason, ''), -1
        from was o join became n on n.key = o.key
            left join leave_reasons r on r.subscription = n.key and r.at >= o.left_at
        where o.confirmed_at is not null and n.confirmed_at is null
            and o.status = 'unsubscribed' and o.left_at is not null
    ) m (list_id, what, day, why, number)
    group by m.list_id, m.what, m.day, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

create trigger journal_of_change after update on subscriptions
referencing old table as was new table as became
for each statement execute function journal_of_change();

create function keep_first_joining() returns trigger language plpgsql as $$
begin
    new.first_joined_at := coalesce(old.first_joined_at, old.joined_at, old.confirmed_at);
    return new;
end $$;

create trigger keep_first_joining before update on subscriptions
for each row when (
    old.status = 'unsubscribed' and new.status <> 'unsubscribed' and (
        new.confirmed_at <> old.confirmed_at or new.returned_at is distinct from old.returned_at
    )
)
execute function keep_first_joining();

-- An import is taken back: its readers never joined. A reader who is erased did; her own row is gone before.
create function journal_of_gone() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select o.list_id, case when o.joined_at is null and substr(o.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce(o.joined_at, o.confirmed_at) / 86400000, '', -1
        from gone o
        where o.confirmed_at is not null and o.status <> 'unsubscribed'
            and exists (select 1 from subscribers s where s.id = o.subscriber_id)
    ) m (list_id, what, day, why, number)
    group by m.list_id, m.what, m.day, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

create trigger journal_of_gone after delete on subscriptions
referencing old table as gone for each statement execute function journal_of_gone();

-- Why she left is said after she has.
create function journal_of_reason() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, 'left', n.left_at / 86400000, w.why, w.number
        from said r join subscriptions n on n.key = r.subscription
            cross join lateral (values ('', -1), (r.reason, 1)) w (why, number)
        where n.status = 'unsubscribed' and n.confirmed_at is not null and n.left_at is not null
            and r.at >= n.left_at and not exists (
                select 1 from subscribers s join suppressions x on x.hash = s.hash
                where s.id = n.subscriber_id and x.created_at <= n.left_at
            )
    ) m (list_id, what, day, why, number)
    group by m.list_id, m.what, m.day, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

create trigger journal_of_reason after insert on leave_reasons
referencing new table as said for each statement execute function journal_of_reason();

create function journal_of_reason_changed() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, 'left', n.left_at / 86400000, w.why, w.number
        from before o join said r on r.subscription = o.subscription
            join subscriptions n on n.key = r.subscription
            cross join lateral (values
                (case when o.at < n.left_at then '' else o.reason end, -1), (r.reason, 1)
            ) w (why, number)
        where n.status = 'unsubscribed' and n.confirmed_at is not null and n.left_at is not null
            and r.at >= n.left_at and not exists (
                select 1 from subscribers s join suppressions x on x.hash = s.hash
                where s.id = n.subscriber_id and x.created_at <= n.left_at
            )
    ) m (list_id, what, day, why, number)
    group by m.list_id, m.what, m.day, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

create trigger journal_of_reason_changed after update on leave_reasons
referencing old table as before new table as said
for each statement execute function journal_of_reason_changed();
