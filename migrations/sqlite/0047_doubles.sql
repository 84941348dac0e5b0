-- Of a run that waits for its hour, how many of its readers would get its issue more than once was known when it was
-- planned, so that those of whom nobody was asked hold it then.
alter table runs add column doubles bigint;
