-- What copies were made of (an address, a name, fields) may be forgotten by its age. How far that is done in a run: the
-- copies of the deliveries below this number are gone.

alter table runs add column copies_gone bigint not null default 0;
