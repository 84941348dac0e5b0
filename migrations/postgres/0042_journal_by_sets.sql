-- Differs by necessity: on PostgreSQL the journal is kept by statement, from what the rows were and what they
-- became. The two were joined by a plan that was made when they held one row each, and kept: a change of
-- thousands of rows compared each with each. A full join is never made of loops, whatever the plan thinks.

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
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select (p.n).list_id, case when (p.n).joined_at is null and substr((p.n).source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce((p.n).joined_at, (p.n).confirmed_at) / 86400000, '', 1
        from pairs p
        where (p.o).confirmed_at is null and (p.n).confirmed_at is not null
        union all
        -- Whose address was suppressed had left by that.
        select (p.n).list_id, 'left',
            case when x.created_at is null then (p.n).left_at
                else greatest(x.created_at, (p.n).confirmed_at) end / 86400000,
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
                else (p.n).returned_at end / 86400000,
            'returned', 1
        from pairs p
        where (p.o).status = 'unsubscribed' and (p.n).status <> 'unsubscribed'
            and (p.o).confirmed_at is not null and (p.n).confirmed_at is not null
            and ((p.n).confirmed_at <> (p.o).confirmed_at
                or (p.n).returned_at is distinct from (p.o).returned_at)
        union all
        -- Without any, her leaving is taken back as if it had never been.
        select (p.n).list_id, 'left', (p.o).left_at / 86400000, coalesce(r.reason, (p.o).left_why, ''), -1
        from pairs p
            left join leave_reasons r on r.subscription = (p.n).key and r.at >= (p.o).left_at
        where (p.o).status = 'unsubscribed' and (p.n).status <> 'unsubscribed'
            and (p.n).confirmed_at = (p.o).confirmed_at and (p.o).left_at is not null
            and (p.n).returned_at is not distinct from (p.o).returned_at
        union all
        -- When she joined is known otherwise now.
        select v.list_id, v.what, v.day, '', v.number
        from pairs p
            cross join lateral (values
                ((p.o).list_id, case when (p.o).joined_at is null and substr((p.o).source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
                    coalesce((p.o).joined_at, (p.o).confirmed_at) / 86400000, -1),
                ((p.n).list_id, case when (p.n).joined_at is null and substr((p.n).source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
                    coalesce((p.n).joined_at, (p.n).confirmed_at) / 86400000, 1)
            ) v (list_id, what, day, number)
        where (p.o).confirmed_at is not null and (p.n).confirmed_at is not null
            and (p.n).first_joined_at is null
            and ((p.n).status = 'unsubscribed') = ((p.o).status = 'unsubscribed')
            and ((p.n).joined_at is distinct from (p.o).joined_at or (p.n).confirmed_at <> (p.o).confirmed_at)
        union all
        select (p.o).list_id, case when (p.o).joined_at is null and substr((p.o).source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce((p.o).joined_at, (p.o).confirmed_at) / 86400000, '', -1
        from pairs p
        where (p.o).confirmed_at is not null and (p.n).confirmed_at is null
        union all
        -- Who never joined has not left either.
        select (p.o).list_id, 'left', (p.o).left_at / 86400000, coalesce(r.reason, (p.o).left_why, ''), -1
        from pairs p
            left join leave_reasons r on r.subscription = (p.n).key and r.at >= (p.o).left_at
        where (p.o).confirmed_at is not null and (p.n).confirmed_at is null
            and (p.o).status = 'unsubscribed' and (p.o).left_at is not null
    ) m (list_id, what, day, why, number)
    group by m.list_id, m.what, m.day, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;
