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
) without rowid;

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

create trigger journal_of_new after insert on subscriptions
when new.confirmed_at is not null
begin
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, case when new.joined_at is null and substr(new.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(new.joined_at, new.confirmed_at) / 86400000, '', 0, 1
    where true
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
end;

-- Who comes from elsewhere and has left there.
create trigger journal_of_new_left after insert on subscriptions
when new.confirmed_at is not null and new.status = 'unsubscribed' and new.left_at is not null
begin
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, 'left', new.left_at / 86400000, '', 0, 1
    where true
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
end;

create trigger journal_of_first after update of status, confirmed_at on subscriptions
when new.confirmed_at is not null and old.confirmed_at is null
begin
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, case when new.joined_at is null and substr(new.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(new.joined_at, new.confirmed_at) / 86400000, '', 0, 1
    where true
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
end;

-- Whose address was suppressed had left by that.
create trigger journal_of_leaving after update of status on subscriptions
when new.status = 'unsubscribed' and old.status <> 'unsubscribed' and old.confirmed_at is not null
    and new.confirmed_at is not null and new.left_at is not null
begin
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, 'left',
        case when x.created_at is null then new.left_at
            when x.created_at > new.confirmed_at then x.created_at else new.confirmed_at end / 86400000,
        coalesce(x.reason, ''), 0, 1
    from subscribers s left join suppressions x on x.hash = s.hash
    where s.id = new.subscriber_id
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
end;

-- Who comes back, by a time of her own; without any, her leaving is taken back as if it had never been.
create trigger journal_of_return after update of status on subscriptions
when old.status = 'unsubscribed' and new.status <> 'unsubscribed' and old.confirmed_at is not null
    and new.confirmed_at is not null
begin
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, 'joined', new.confirmed_at / 86400000, 'returned', 0, 1
    where new.confirmed_at <> old.confirmed_at
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, 'joined', new.returned_at / 86400000, 'returned', 0, 1
    where new.confirmed_at = old.confirmed_at
        and new.returned_at is not old.returned_at
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, 'left', old.left_at / 86400000,
        coalesce((
            select r.reason from leave_reasons r where r.subscription = new.key and r.at >= old.left_at
        ), ''), 0, -1
    where new.confirmed_at = old.confirmed_at and new.returned_at is old.returned_at
        and old.left_at is not null
    on conflict (list_id, what, day, why, part) do update set number = number - 1;
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
    insert into journal (list_id, what, day, why, part, number)
    select old.list_id, case when old.joined_at is null and substr(old.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(old.joined_at, old.confirmed_at) / 86400000, '', 0, -1
    where true
    on conflict (list_id, what, day, why, part) do update set number = number - 1;
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, case when new.joined_at is null and substr(new.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(new.joined_at, new.confirmed_at) / 86400000, '', 0, 1
    where true
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
end;

create trigger journal_of_never after update of confirmed_at on subscriptions
when old.confirmed_at is not null and new.confirmed_at is null
begin
    insert into journal (list_id, what, day, why, part, number)
    select old.list_id, case when old.joined_at is null and substr(old.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(old.joined_at, old.confirmed_at) / 86400000, '', 0, -1
    where true
    on conflict (list_id, what, day, why, part) do update set number = number - 1;
    -- And has not left either.
    insert into journal (list_id, what, day, why, part, number)
    select old.list_id, 'left', old.left_at / 86400000,
        coalesce((
            select r.reason from leave_reasons r where r.subscription = new.key and r.at >= old.left_at
        ), ''), 0, -1
    where old.status = 'unsubscribed' and old.left_at is not null
    on conflict (list_id, what, day, why, part) do update set number = number - 1;
end;

-- An import is taken back: its readers never joined. A reader who is erased did; her own row is gone before.
create trigger journal_of_gone after delete on subscriptions
when old.confirmed_at is not null and old.status <> 'unsubscribed'
begin
    insert into journal (list_id, what, day, why, part, number)
    select old.list_id, case when old.joined_at is null and substr(old.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(old.joined_at, old.confirmed_at) / 86400000, '', 0, -1
    where exists (select 1 from subscribers where id = old.subscriber_id)
    on conflict (list_id, what, day, why, part) do update set number = number - 1;
end;

-- Why she left is said after she has.
create trigger journal_of_reason after insert on leave_reasons
begin
    insert into journal (list_id, what, day, why, part, number)
    select n.list_id, 'left', n.left_at / 86400000, w.value->>0, 0, cast(w.value->>1 as bigint)
    from subscriptions n join json_each(json_array(json_array('', -1), json_array(new.reason, 1))) w
    where n.key = new.subscription and n.status = 'unsubscribed' and n.confirmed_at is not null
        and n.left_at is not null and new.reason <> '' and new.at >= n.left_at and not exists (
            select 1 from subscribers s join suppressions x on x.hash = s.hash
            where s.id = n.subscriber_id and x.created_at <= n.left_at
        )
    on conflict (list_id, what, day, why, part) do update set number = number + excluded.number;
end;

create trigger journal_of_reason_changed after update on leave_reasons
begin
    insert into journal (list_id, what, day, why, part, number)
    select n.list_id, 'left', n.left_at / 86400000, w.value->>0, 0, cast(w.value->>1 as bigint)
    from subscriptions n join json_each(json_array(
        json_array(case when old.at < n.left_at then '' else old.reason end, -1),
        json_array(new.reason, 1)
    )) w
    where n.key = new.subscription and n.status = 'unsubscribed' and n.confirmed_at is not null
        and n.left_at is not null and new.at >= n.left_at and not exists (
            select 1 from subscribers s join suppressions x on x.hash = s.hash
            where s.id = n.subscriber_id and x.created_at <= n.left_at
        )
    on conflict (list_id, what, day, why, part) do update set number = number + excluded.number;
end;
