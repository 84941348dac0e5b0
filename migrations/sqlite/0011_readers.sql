-- What readers may wish for themselves, what they said of it and when, and what the subscribe form must
-- remember beyond one hour.

-- A paused subscription wakes at this time; none pauses for good.
alter table subscriptions add column paused_until bigint;

-- `monthly` readers are taken by the runs that say so, and by no other.
alter table subscriptions add column frequency text not null default 'every'
    check (frequency in ('every', 'monthly'));

create index subscriptions_paused on subscriptions (paused_until) where paused_until is not null;

-- Whether opens and clicks of this reader may be counted; `unset` follows the configuration.
alter table subscribers add column tracking text not null default 'unset'
    check (tracking in ('unset', 'on', 'off'));

create index subscribers_untracked on subscribers (id) where tracking = 'off';

-- Runs to which monthly readers belong.
alter table runs add column monthly bigint not null default 0;

-- What a reader agreed to or took back, as proof: `confirm`, `return`, `join`, `tracking-on` and the like.
-- List 0 means all of them.
create table consents (
    subscriber_id bigint not null references subscribers (id) on delete cascade,
    at bigint not null,
    what text not null,
    list_id bigint not null,
    primary key (subscriber_id, at, what, list_id)
) without rowid;

-- Why a reader left, if the reader said so.
create table leave_reasons (
    subscription bigint not null primary key references subscriptions (key) on delete cascade,
    at bigint not null,
    reason text not null,
    words text not null
) without rowid;

-- An address that waits to be confirmed by its owner, one for each reader; the key is in the mail's link.
create table address_changes (
    key bigint not null primary key,
    subscriber_id bigint not null unique references subscribers (id) on delete cascade,
    address text not null,
    canonical text not null,
    hash blob not null,
    at bigint not null
);

-- Every confirm mail of the last month, under the hash by which an address is limited.
create table confirm_log (
    hash blob not null,
    at bigint not null,
    primary key (hash, at)
) without rowid;

create index confirm_log_by_time on confirm_log (at);

-- Signups that wait for their confirmation, so that the forgotten ones are found.
create index subscriptions_pending on subscriptions (created_at) where status = 'pending';
