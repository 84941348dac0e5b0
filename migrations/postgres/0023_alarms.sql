-- The author is told when the subscribe form is under attack: one more kind of notice.

alter table notices drop constraint notices_kind_check;
alter table notices add constraint notices_kind_check check (
    kind in ('started', 'finished', 'held', 'relay-down', 'relay-up', 'bounces', 'complaints', 'signups')
);
