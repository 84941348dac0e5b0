-- On PostgreSQL, senders are woken by triggers from here on. A SQLite file has one sender, which is woken within
-- its process or looks every 200 ms: nothing to do.

select 1;
