-- What large tables check of every row that is written, in the cheapest way. SQLite tests `x in (...)` of a check by
-- building a table of the words for each row: a third of what a row of the ledger cost. The same words joined by `or`
-- cost nothing. That a delivery's run is there is not looked up for each any more: a freeze, which writes them, holds
-- the run's own row, and runs are never deleted.
-- Only the text of the constraints changes, which touches no row: https://www.sqlite.org/lang_altertable.html,
-- section 7.

pragma writable_schema = on;

update sqlite_schema set sql = replace(
    sql,
    'tracking in (''unset'', ''on'', ''off'')',
    'tracking = ''unset'' or tracking = ''on'' or tracking = ''off'''
)
where type = 'table' and name = 'subscribers';

update sqlite_schema set sql = replace(
    sql,
    'status in (''pending'', ''confirmed'', ''paused'', ''unsubscribed'')',
    'status = ''confirmed'' or status = ''pending'' or status = ''paused''
        or status = ''unsubscribed'''
)
where type = 'table' and name = 'subscriptions';

update sqlite_schema set sql = replace(
    sql,
    'state in (
            ''queued'', ''at_dot'', ''sent'', ''bounced'', ''failed'', ''expired'',
            ''suppressed'', ''unsubscribed'', ''uncertain'', ''cancelled''
        )',
    'state = ''queued'' or state = ''at_dot'' or state = ''sent'' or state = ''bounced''
        or state = ''failed'' or state = ''expired'' or state = ''suppressed''
        or state = ''unsubscribed'' or state = ''uncertain'' or state = ''cancelled'''
)
where type = 'table' and name = 'deliveries';

update sqlite_schema set sql = replace(
    sql,
    'run_id bigint not null references runs (id),',
    'run_id bigint not null,'
)
where type = 'table' and name = 'deliveries';

update sqlite_schema set sql = replace(
    sql,
    'kind in (''open'', ''click'', ''unsubscribe'', ''confirm'', ''view'', ''bounce'', ''complaint'')',
    'kind = ''open'' or kind = ''click'' or kind = ''unsubscribe'' or kind = ''confirm''
        or kind = ''view'' or kind = ''bounce'' or kind = ''complaint'''
)
where type = 'table' and name = 'events';

update sqlite_schema set sql = replace(
    sql,
    'opened in (''human'', ''gmail'', ''apple'', ''unsure'', ''machine'')',
    'opened = ''human'' or opened = ''gmail'' or opened = ''apple'' or opened = ''unsure''
        or opened = ''machine'''
)
where type = 'table' and name = 'judged';

update sqlite_schema set sql = replace(
    sql,
    'clicked in (''human'', ''unsure'', ''machine'')',
    'clicked = ''human'' or clicked = ''unsure'' or clicked = ''machine'''
)
where type = 'table' and name = 'judged';

pragma writable_schema = reset;

-- A change that all connections notice: they read the schema anew.
create table checks_changed (one bigint);
drop table checks_changed;
