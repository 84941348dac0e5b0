-- Not every reader who leaves does it herself: an import's word, a run that asked her to stay, or the author ends
-- what she did not. The journal says which. And what stands behind a reader's page and cannot be taken back asks her
-- mailbox, for the link to that page is in every mail that she passes on.

-- Who ended it, if not the reader: `import`, `sunset` or `author`.
alter table subscriptions add column left_why text;

update subscriptions set left_why = 'import'
where status = 'unsubscribed' and exists (
    select 1 from import_moves m
    where m.key = subscriptions.key and m.what = 'left' and m.was <> 'unsubscribed'
        and m.left_at = subscriptions.left_at
);

update subscriptions set left_why = 'sunset'
where status = 'unsubscribed' and left_why is null and exists (
    select 1 from consents c
    where c.subscriber_id = subscriptions.subscriber_id and c.list_id = subscriptions.list_id
        and c.what = 'sunset' and c.at = subscriptions.left_at
);

insert into journal (list_id, what, day, why, part, number)
select n.list_id, 'left', n.left_at / 86400000, w.why, 0, sum(w.number)
from subscriptions n cross join lateral (values ('', -1), (n.left_why, 1)) w (why, number)
where n.left_why is not null and n.confirmed_at is not null
    and not exists (
        select 1 from leave_reasons r
        where r.subscription = n.key and r.at >= n.left_at and r.reason <> ''
    )
    and not exists (
        select 1 from subscribers s join suppressions x on x.hash = s.hash
        where s.id = n.subscriber_id and x.created_at <= n.left_at
    )
group by n.list_id, n.left_at / 86400000, w.why
on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;

-- Readers who come from another database may have left and come back there: they are of the month they first
-- joined in.
create or replace function journal_of_new() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, case when n.joined_at is null and substr(n.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
            coalesce(n.first_joined_at, n.joined_at, n.confirmed_at) / 86400000, '', 1
        from came n where n.confirmed_at is not null
        union all
        -- Who comes from elsewhere and has left there.
        select n.list_id, 'left', n.left_at / 86400000, coalesce(n.left_why, ''), 1
        from came n
        where n.confirmed_at is not null and n.status = 'unsubscribed' and n.left_at is not null
    ) m (list_id, what, day, why, number)
    group by m.list_id, m.what, m.day, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

-- What a change of rows puts into the journal is said in 0042, by sets.

create or replace function journal_of_reason() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, 'left', n.left_at / 86400000, w.why, w.number
        from said r join subscriptions n on n.key = r.subscription
            cross join lateral (values (coalesce(n.left_why, ''), -1), (r.reason, 1)) w (why, number)
        where r.reason <> '' and n.status = 'unsubscribed' and n.confirmed_at is not null and n.left_at is not null
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

create or replace function journal_of_reason_changed() returns trigger language plpgsql as $$
begin
    insert into journal (list_id, what, day, why, part, number)
    select m.list_id, m.what, m.day, m.why, own_part(), sum(m.number)
    from (
        select n.list_id, 'left', n.left_at / 86400000, w.why, w.number
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
    ) m (list_id, what, day, why, number)
    group by m.list_id, m.what, m.day, m.why
    having sum(m.number) <> 0
    on conflict (list_id, what, day, why, part) do update set number = journal.number + excluded.number;
    return null;
end $$;

-- A wish that needs the reader's own mailbox: her data, or her erasure. The key is random and stands in the link of
-- the mail.
create table proofs (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    what text not null check (what in ('export', 'erase')),
    key bigint not null,
    at bigint not null,
    primary key (subscriber_id, what)
);

create unique index proofs_by_key on proofs (key);
