-- That a subscription's list is there was looked up for each of a million imported rows: a quarter of what the row
-- cost. Lists are never deleted, and whoever writes a subscription has looked its list up.

alter table subscriptions drop constraint subscriptions_list_id_fkey;
