-- Senders hear at once that there is work, or that a run was paused, and need not wait for their next look.
-- Several changes of one transaction are one word on the channel.

create function pressrun_wake() returns trigger language plpgsql as $$
begin
    perform pg_notify('pressrun', '');
    return null;
end
$$;

create trigger runs_begun after insert on runs
    for each statement execute function pressrun_wake();

create trigger runs_moved after update of status on runs
    for each statement execute function pressrun_wake();

create trigger mails_waiting after insert on system_mails
    for each statement execute function pressrun_wake();
