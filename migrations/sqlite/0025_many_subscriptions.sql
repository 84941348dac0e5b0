-- That a subscription's list is there costs SQLite next to nothing to look up: only PostgreSQL's schema changes here.

select 1;
