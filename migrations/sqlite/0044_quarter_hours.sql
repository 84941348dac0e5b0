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
) without rowid;

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

-- They write quarter hours where they wrote days, and are otherwise as they were.
drop trigger journal_of_new;
drop trigger journal_of_new_left;
drop trigger journal_of_first;
drop trigger journal_of_leaving;
drop trigger journal_of_return;
drop trigger journal_of_time;
drop trigger journal_of_never;
drop trigger journal_of_gone;
drop trigger journal_of_reason;
drop trigger journal_of_reason_changed;

drop table journal;

alter table journal_by_quarters rename to journal;

create trigger journal_of_new after insert on subscriptions
when new.confirmed_at is not null
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select new.list_id, case when new.joined_at is null and substr(new.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(new.first_joined_at, new.joined_at, new.confirmed_at) / 900000, '', 0, 1
    where true
    on conflict (list_id, what, quarter, why, part) do update set number = number + 1;
end;

-- Who comes from elsewhere and has left there.
create trigger journal_of_new_left after insert on subscriptions
when new.confirmed_at is not null and new.status = 'unsubscribed' and new.left_at is not null
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select new.list_id, 'left', new.left_at / 900000, coalesce(new.left_why, ''), 0, 1
    where true
    on conflict (list_id, what, quarter, why, part) do update set number = number + 1;
end;

create trigger journal_of_first after update of status, confirmed_at on subscriptions
when new.confirmed_at is not null and old.confirmed_at is null
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select new.list_id, case when new.joined_at is null and substr(new.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(new.joined_at, new.confirmed_at) / 900000, '', 0, 1
    where true
    on conflict (list_id, what, quarter, why, part) do update set number = number + 1;
end;

-- Whose address was suppressed had left by that.
create trigger journal_of_leaving after update of status on subscriptions
when new.status = 'unsubscribed' and old.status <> 'unsubscribed' and old.confirmed_at is not null
    and new.confirmed_at is not null and new.left_at is not null
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select new.list_id, 'left',
        case when x.created_at is null then new.left_at
            when x.created_at > new.confirmed_at then x.created_at else new.confirmed_at end / 900000,
        coalesce(x.reason, new.left_why, ''), 0, 1
    from subscribers s left join suppressions x on x.hash = s.hash
    where s.id = new.subscriber_id
    on conflict (list_id, what, quarter, why, part) do update set number = number + 1;
end;

-- Who comes back, by a time of her own; without any, her leaving is taken back as if it had never been.
create trigger journal_of_return after update of status on subscriptions
when old.status = 'unsubscribed' and new.status <> 'unsubscribed' and old.confirmed_at is not null
    and new.confirmed_at is not null
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select new.list_id, 'joined', new.confirmed_at / 900000, 'returned', 0, 1
    where new.confirmed_at <> old.confirmed_at
    on conflict (list_id, what, quarter, why, part) do update set number = number + 1;
    insert into journal (list_id, what, quarter, why, part, number)
    select new.list_id, 'joined', new.returned_at / 900000, 'returned', 0, 1
    where new.confirmed_at = old.confirmed_at
        and new.returned_at is not old.returned_at
    on conflict (list_id, what, quarter, why, part) do update set number = number + 1;
    insert into journal (list_id, what, quarter, why, part, number)
    select new.list_id, 'left', old.left_at / 900000,
        coalesce((
            select r.reason from leave_reasons r where r.subscription = new.key and r.at >= old.left_at
        ), old.left_why, ''), 0, -1
    where new.confirmed_at = old.confirmed_at and new.returned_at is old.returned_at
        and old.left_at is not null
    on conflict (list_id, what, quarter, why, part) do update set number = number - 1;
    update subscriptions set first_joined_at = coalesce(old.joined_at, old.confirmed_at)
    where key = new.key and first_joined_at is null
        and (new.confirmed_at <> old.confirmed_at or new.returned_at is not old.returned_at);
end;

-- When she joined is known otherwise now.
create trigger journal_of_time after update of confirmed_at, joined_at on subscriptions
when old.confirmed_at is not null and new.confirmed_at is not null and new.first_joined_at is null
    and (new.status = 'unsubscribed') = (old.status = 'unsubscribed')
    and (new.joined_at is not old.joined_at or new.confirmed_at <> old.confirmed_at)
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select old.list_id, case when old.joined_at is null and substr(old.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(old.joined_at, old.confirmed_at) / 900000, '', 0, -1
    where true
    on conflict (list_id, what, quarter, why, part) do update set number = number - 1;
    insert into journal (list_id, what, quarter, why, part, number)
    select new.list_id, case when new.joined_at is null and substr(new.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(new.joined_at, new.confirmed_at) / 900000, '', 0, 1
    where true
    on conflict (list_id, what, quarter, why, part) do update set number = number + 1;
end;

create trigger journal_of_never after update of confirmed_at on subscriptions
when old.confirmed_at is not null and new.confirmed_at is null
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select old.list_id, case when old.joined_at is null and substr(old.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(old.joined_at, old.confirmed_at) / 900000, '', 0, -1
    where true
    on conflict (list_id, what, quarter, why, part) do update set number = number - 1;
    -- And has not left either.
    insert into journal (list_id, what, quarter, why, part, number)
    select old.list_id, 'left', old.left_at / 900000,
        coalesce((
            select r.reason from leave_reasons r where r.subscription = new.key and r.at >= old.left_at
        ), old.left_why, ''), 0, -1
    where old.status = 'unsubscribed' and old.left_at is not null
    on conflict (list_id, what, quarter, why, part) do update set number = number - 1;
end;

-- An import is taken back: its readers never joined. A reader who is erased did; her own row is gone before.
create trigger journal_of_gone after delete on subscriptions
when old.confirmed_at is not null and old.status <> 'unsubscribed'
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select old.list_id, case when old.joined_at is null and substr(old.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(old.joined_at, old.confirmed_at) / 900000, '', 0, -1
    where exists (select 1 from subscribers where id = old.subscriber_id)
    on conflict (list_id, what, quarter, why, part) do update set number = number - 1;
end;

-- Why she left is said after she has.
create trigger journal_of_reason after insert on leave_reasons
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select n.list_id, 'left', n.left_at / 900000, w.value->>0, 0, cast(w.value->>1 as bigint)
    from subscriptions n
        join json_each(json_array(json_array(coalesce(n.left_why, ''), -1), json_array(new.reason, 1))) w
    where n.key = new.subscription and n.status = 'unsubscribed' and n.confirmed_at is not null
        and n.left_at is not null and new.reason <> '' and new.at >= n.left_at and not exists (
            select 1 from subscribers s join suppressions x on x.hash = s.hash
            where s.id = n.subscriber_id and x.created_at <= n.left_at
        )
    on conflict (list_id, what, quarter, why, part) do update set number = number + excluded.number;
end;

create trigger journal_of_reason_changed after update on leave_reasons
begin
    insert into journal (list_id, what, quarter, why, part, number)
    select n.list_id, 'left', n.left_at / 900000, w.value->>0, 0, cast(w.value->>1 as bigint)
    from subscriptions n join json_each(json_array(
        json_array(case when old.at < n.left_at then coalesce(n.left_why, '') else old.reason end, -1),
        json_array(new.reason, 1)
    )) w
    where n.key = new.subscription and n.status = 'unsubscribed' and n.confirmed_at is not null
        and n.left_at is not null and new.at >= n.left_at and not exists (
            select 1 from subscribers s join suppressions x on x.hash = s.hash
            where s.id = n.subscriber_id and x.created_at <= n.left_at
        )
    on conflict (list_id, what, quarter, why, part) do update set number = number + excluded.number;
end;
