-- Opens and clicks may be counted without anyone's name: an event then carries a pseudonym, which holds for
-- one run and only while that run's key is there.

alter table events add column pseudonym bigint;

-- The key of a run's pseudonyms; null once it is destroyed.
create table pseudonym_keys (
    run_id bigint not null primary key references runs (id),
    key blob,
    made_at bigint not null
);

-- What a pseudonym did already, so that it counts once: -2 is an open, -1 a click, else the link. Goes with
-- the key.
create table pseudonym_marks (
    run_id bigint not null,
    pseudonym bigint not null,
    mark bigint not null,
    primary key (run_id, pseudonym, mark)
);

-- What is forgotten by its age is found by it.
create index consents_by_time on consents (at);
create index failures_by_time on failures (at);
create index leave_reasons_by_time on leave_reasons (at);
