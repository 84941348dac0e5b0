-- Who was erased, complained or left is asked for under every spelling of her mailbox, and not only under the one that
-- she gave: everyone can make up others (`+tag`, dots at Gmail).

-- The keyed hash of the mailbox where it is not that of the address; null also where only the address is refused.
alter table suppressions add column mailbox bytea;
create index suppressions_by_mailbox on suppressions (mailbox) where mailbox is not null;

-- Readers whose address is not the plainest spelling of its mailbox, by that one.
create index subscribers_by_mailbox on subscribers ((case when substr(canonical, strpos(canonical, '@')) in ('@gmail.com', '@googlemail.com')
        then replace(substr(canonical, 1,
            case when strpos(canonical, '+') between 2 and strpos(canonical, '@') then strpos(canonical, '+')
                else strpos(canonical, '@') end - 1), '.', '') || '@gmail.com'
        else substr(canonical, 1,
            case when strpos(canonical, '+') between 2 and strpos(canonical, '@') then strpos(canonical, '+')
                else strpos(canonical, '@') end - 1) || substr(canonical, strpos(canonical, '@'))
    end), id)
where (case when substr(canonical, strpos(canonical, '@')) in ('@gmail.com', '@googlemail.com')
        then replace(substr(canonical, 1,
            case when strpos(canonical, '+') between 2 and strpos(canonical, '@') then strpos(canonical, '+')
                else strpos(canonical, '@') end - 1), '.', '') || '@gmail.com'
        else substr(canonical, 1,
            case when strpos(canonical, '+') between 2 and strpos(canonical, '@') then strpos(canonical, '+')
                else strpos(canonical, '@') end - 1) || substr(canonical, strpos(canonical, '@'))
    end) <> canonical;
