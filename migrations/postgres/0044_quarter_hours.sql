-- Weeks and months are those of the publication's time zone, and so are the days that a segment names. The journal knew
-- days of UTC alone, of which no other zone's can be made. By quarter hours it fits every zone, also one that the author
-- chooses later: each zone's days begin with a quarter hour of UTC.

create table journal_by_quarters (
    list_id bigint not null references lists (id),
    what text not null check (what = 'joined' or what = 'imported' or what = 'left'),
    -- Quarter hours since 1970.
    quarter bigint not null,
    -- Of a leaving why, if it is known; of a joining `returned`, if its reader had left before.
    why text not null,
    -- Who adds to it: on PostgreSQL the connection, so that no two transactions wait for each other; on SQLite 0.
    part bigint not null,
    number bigint not null,
    primary key (list_id, what, quarter, why, part)
);

-- Whoever is on the list, or was last, says herself when she came and when she went. Of the others a day is known, and
-- no more: half past ten is on the same day from Honolulu to Auckland.
insert into journal_by_quarters (list_id, what, quarter, why, part, number)
with told as (
    select n.list_id,
        case when n.joined_at is null and substr(n.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end as what,
        coalesce(n.first_joined_at, n.joined_at, n.confirmed_at) / 900000 as quarter, '' as why, count(*) as number
    from subscriptions n
    where n.confirmed_at is not null
    group by 1, 2, 3
    union all
    select n.list_id, 'left', n.left_at / 900000, coalesce(r.reason, n.left_why, ''), count(*)
    from subscriptions n left join leave_reasons r on r.subscription = n.key and r.at >= n.left_at
    where n.confirmed_at is not null and n.status = 'unsubscribed' and n.left_at is not null
    group by 1, 2, 3, 4
), known as (
    select t.list_id, t.what, t.quarter, t.why, t.number
    from told t
    where exists (
        select 1 from journal j
        where j.list_id = t.list_id and j.what = t.what and j.day = t.quarter / 96 and j.why = t.why
    )
)
select list_id, what, quarter, why, 0, sum(number)
from (
    select list_id, what, quarter, why, number from known
    union all
    select list_id, what, day * 96 + 42, why, number from journal
    union all
    select list_id, what, quarter / 96 * 96 + 42, why, -number from known
) m
group by list_id, what, quarter, why
having sum(number) <> 0;

drop table journal;

alter table journal_by_quarters rename to journal;

alter table journal rename constraint journal_by_quarters_pkey to journal_pkey;

-- They write quarter hours where they wrote days, and are otherwise as they were.

create or replace function journal_of_new() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select m.list_id, m.what, m.quarter, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, case when n.joined_at is null and substr(n.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce(n.first_joined_at, n.joined_at, n.confirmed_at) / 900000, '', 1
        from came n where n.confirmed_at is not null
        union all
        -- Who comes from elsewhere and has left there.
        select n.list_id, 'left', n.left_at / 900000, coalesce(n.left_why, ''), 1
        from came n
        where n.confirmed_at is not null and n.status = 'unsubscribed' and n.left_at is not null
    ) m (list_id, what, quarter, why, number)
    group by m.list_id, m.what, m.quarter, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, quarter, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

create or replace function journal_of_change() returns trigger language plpgsql as $$
begin
    if not exists (
        select key, status, confirmed_at, joined_at from became
        except
        select key, status, confirmed_at, joined_at from was
    ) then
        return null;
    end if;
    with pairs as materialized (
        -- No row is without its other; a full join is never made of loops.
        select o, n from was o full join became n on n.key = o.key
    )
    insert into journal (list_id, what, quarter, why, part, number)
    select m.list_id, m.what, m.quarter, m.why, own_part(), sum(m.number)
    from (
        select (p.n).list_id, case when (p.n).joined_at is null and substr((p.n).source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce((p.n).joined_at, (p.n).confirmed_at) / 900000, '', 1
        from pairs p
        where (p.o).confirmed_at is null and (p.n).confirmed_at is not null
        union all
        -- Whose address was suppressed had left by that.
        select (p.n).list_id, 'left',
            case when x.created_at is null then (p.n).left_at
                else greatest(x.created_at, (p.n).confirmed_at) end / 900000,
            coalesce(x.reason, (p.n).left_why, ''), 1
        from pairs p
            join subscribers s on s.id = (p.n).subscriber_id
            left join suppressions x on x.hash = s.hash
        where (p.n).status = 'unsubscribed' and (p.o).status <> 'unsubscribed' and (p.n).left_at is not null
            and (p.o).confirmed_at is not null and (p.n).confirmed_at is not null
        union all
        -- Who comes back, by a time of her own.
        select (p.n).list_id, 'joined',
            case when (p.n).confirmed_at <> (p.o).confirmed_at then (p.n).confirmed_at
                else (p.n).returned_at end / 900000,
            'returned', 1
        from pairs p
        where (p.o).status = 'unsubscribed' and (p.n).status <> 'unsubscribed'
            and (p.o).confirmed_at is not null and (p.n).confirmed_at is not null
            and ((p.n).confirmed_at <> (p.o).confirmed_at
                or (p.n).returned_at is distinct from (p.o).returned_at)
        union all
        -- Without any, her leaving is taken back as if it had never been.
        select (p.n).list_id, 'left', (p.o).left_at / 900000, coalesce(r.reason, (p.o).left_why, ''), -1
        from pairs p
            left join leave_reasons r on r.subscription = (p.n).key and r.at >= (p.o).left_at
        where (p.o).status = 'unsubscribed' and (p.n).status <> 'unsubscribed'
            and (p.n).confirmed_at = (p.o).confirmed_at and (p.o).left_at is not null
            and (p.n).returned_at is not distinct from (p.o).returned_at
        union all
        -- When she joined is known otherwise now.
        select v.list_id, v.what, v.quarter, '', v.number
        from pairs p
            cross join lateral (values
                ((p.o).list_id, case when (p.o).joined_at is null and substr((p.o).source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
                    coalesce((p.o).joined_at, (p.o).confirmed_at) / 900000, -1),
                ((p.n).list_id, case when (p.n).joined_at is null and substr((p.n).source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
                    coalesce((p.n).joined_at, (p.n).confirmed_at) / 900000, 1)
            ) v (list_id, what, quarter, number)
        where (p.o).confirmed_at is not null and (p.n).confirmed_at is not null
            and (p.n).first_joined_at is null
            and ((p.n).status = 'unsubscribed') = ((p.o).status = 'unsubscribed')
            and ((p.n).joined_at is distinct from (p.o).joined_at or (p.n).confirmed_at <> (p.o).confirmed_at)
        union all
        select (p.o).list_id, case when (p.o).joined_at is null and substr((p.o).source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce((p.o).joined_at, (p.o).confirmed_at) / 900000, '', -1
        from pairs p
        where (p.o).confirmed_at is not null and (p.n).confirmed_at is null
        union all
        -- Who never joined has not left either.
        select (p.o).list_id, 'left', (p.o).left_at / 900000, coalesce(r.reason, (p.o).left_why, ''), -1
        from pairs p
            left join leave_reasons r on r.subscription = (p.n).key and r.at >= (p.o).left_at
        where (p.o).confirmed_at is not null and (p.n).confirmed_at is null
            and (p.o).status = 'unsubscribed' and (p.o).left_at is not null
    ) m (list_id, what, quarter, why, number)
    group by m.list_id, m.what, m.quarter, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, quarter, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

-- An import is taken back: its readers never joined. A reader who is erased did; her own row is gone before.
create or replace function journal_of_gone() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select m.list_id, m.what, m.quarter, m.why, own_part(), sum(m.number)
    from (
        select o.list_id, case when o.joined_at is null and substr(o.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce(o.joined_at, o.confirmed_at) / 900000, '', -1
        from gone o
        where o.confirmed_at is not null and o.status <> 'unsubscribed'
            and exists (select 1 from subscribers s where s.id = o.subscriber_id)
    ) m (list_id, what, quarter, why, number)
    group by m.list_id, m.what, m.quarter, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, quarter, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

-- Why she left is said after she has.
create or replace function journal_of_reason() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select m.list_id, m.what, m.quarter, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, 'left', n.left_at / 900000, w.why, w.number
        from said r join subscriptions n on n.key = r.subscription
            cross join lateral (values (coalesce(n.left_why, ''), -1), (r.reason, 1)) w (why, number)
        where r.reason <> '' and n.status = 'unsubscribed' and n.confirmed_at is not null and n.left_at is not null
            and r.at >= n.left_at and not exists (
                select 1 from subscribers s join suppressions x on x.hash = s.hash
                where s.id = n.subscriber_id and x.created_at <= n.left_at
            )
    ) m (list_id, what, quarter, why, number)
    group by m.list_id, m.what, m.quarter, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, quarter, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

create or replace function journal_of_reason_changed() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select m.list_id, m.what, m.quarter, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, 'left', n.left_at / 900000, w.why, w.number
        from before o join said r on r.subscription = o.subscription
            join subscriptions n on n.key = r.subscription
            cross join lateral (values
                (case when o.at < n.left_at then coalesce(n.left_why, '') else o.reason end, -1),
                (r.reason, 1)
            ) w (why, number)
        where n.status = 'unsubscribed' and n.confirmed_at is not null and n.left_at is not null
            and r.at >= n.left_at and not exists (
                select 1 from subscribers s join suppressions x on x.hash = s.hash
                where s.id = n.subscriber_id and x.created_at <= n.left_at
            )
    ) m (list_id, what, quarter, why, number)
    group by m.list_id, m.what, m.quarter, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, quarter, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;
