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
select n.list_id, 'left', n.left_at / 86400000, w.value->>0, 0, sum(cast(w.value->>1 as bigint))
from subscriptions n join json_each(json_array(json_array('', -1), json_array(n.left_why, 1))) w
where n.left_why is not null and n.confirmed_at is not null
    and not exists (
        select 1 from leave_reasons r
        where r.subscription = n.key and r.at >= n.left_at and r.reason <> ''
    )
    and not exists (
        select 1 from subscribers s join suppressions x on x.hash = s.hash
        where s.id = n.subscriber_id and x.created_at <= n.left_at
    )
group by n.list_id, n.left_at / 86400000, w.value->>0
on conflict (list_id, what, day, why, part) do update set number = number + excluded.number;

-- Readers who come from another database may have left and come back there: they are of the month they first
-- joined in.
drop trigger journal_of_new;
create trigger journal_of_new after insert on subscriptions
when new.confirmed_at is not null
begin
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, case when new.joined_at is null and substr(new.source, 1, 7) = 'import:'
            then 'imported' else 'joined' end,
        coalesce(new.first_joined_at, new.joined_at, new.confirmed_at) / 86400000, '', 0, 1
    where true
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
end;

drop trigger journal_of_new_left;
create trigger journal_of_new_left after insert on subscriptions
when new.confirmed_at is not null and new.status = 'unsubscribed' and new.left_at is not null
begin
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, 'left', new.left_at / 86400000, coalesce(new.left_why, ''), 0, 1
    where true
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
end;

drop trigger journal_of_leaving;
create trigger journal_of_leaving after update of status on subscriptions
when new.status = 'unsubscribed' and old.status <> 'unsubscribed' and old.confirmed_at is not null
    and new.confirmed_at is not null and new.left_at is not null
begin
    insert into journal (list_id, what, day, why, part, number)
    select new.list_id, 'left',
        case when x.created_at is null then new.left_at
            when x.created_at > new.confirmed_at then x.created_at else new.confirmed_at end / 86400000,
        coalesce(x.reason, new.left_why, ''), 0, 1
    from subscribers s left join suppressions x on x.hash = s.hash
    where s.id = new.subscriber_id
    on conflict (list_id, what, day, why, part) do update set number = number + 1;
end;

drop trigger journal_of_return;
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
        ), old.left_why, ''), 0, -1
    where new.confirmed_at = old.confirmed_at and new.returned_at is old.returned_at
        and old.left_at is not null
    on conflict (list_id, what, day, why, part) do update set number = number - 1;
    update subscriptions set first_joined_at = coalesce(old.joined_at, old.confirmed_at)
    where key = new.key and first_joined_at is null
        and (new.confirmed_at <> old.confirmed_at or new.returned_at is not old.returned_at);
end;

drop trigger journal_of_never;
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
        ), old.left_why, ''), 0, -1
    where old.status = 'unsubscribed' and old.left_at is not null
    on conflict (list_id, what, day, why, part) do update set number = number - 1;
end;

drop trigger journal_of_reason;
create trigger journal_of_reason after insert on leave_reasons
begin
    insert into journal (list_id, what, day, why, part, number)
    select n.list_id, 'left', n.left_at / 86400000, w.value->>0, 0, cast(w.value->>1 as bigint)
    from subscriptions n
        join json_each(json_array(json_array(coalesce(n.left_why, ''), -1), json_array(new.reason, 1))) w
    where n.key = new.subscription and n.status = 'unsubscribed' and n.confirmed_at is not null
        and n.left_at is not null and new.reason <> '' and new.at >= n.left_at and not exists (
            select 1 from subscribers s join suppressions x on x.hash = s.hash
            where s.id = n.subscriber_id and x.created_at <= n.left_at
        )
    on conflict (list_id, what, day, why, part) do update set number = number + excluded.number;
end;

drop trigger journal_of_reason_changed;
create trigger journal_of_reason_changed after update on leave_reasons
begin
    insert into journal (list_id, what, day, why, part, number)
    select n.list_id, 'left', n.left_at / 86400000, w.value->>0, 0, cast(w.value->>1 as bigint)
    from subscriptions n join json_each(json_array(
        json_array(case when old.at < n.left_at then coalesce(n.left_why, '') else old.reason end, -1),
        json_array(new.reason, 1)
    )) w
    where n.key = new.subscription and n.status = 'unsubscribed' and n.confirmed_at is not null
        and n.left_at is not null and new.at >= n.left_at and not exists (
            select 1 from subscribers s join suppressions x on x.hash = s.hash
            where s.id = n.subscriber_id and x.created_at <= n.left_at
        )
    on conflict (list_id, what, day, why, part) do update set number = number + excluded.number;
end;

-- A wish that needs the reader's own mailbox: her data, or her erasure. The key is random and stands in the link of
-- the mail.
create table proofs (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    what text not null check (what in ('export', 'erase')),
    key bigint not null,
    at bigint not null,
    primary key (subscriber_id, what)
) without rowid;

create unique index proofs_by_key on proofs (key);
