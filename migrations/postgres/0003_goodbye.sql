-- A reader who leaves on the page may get one last mail.

alter table system_mails drop constraint system_mails_kind_check;

alter table system_mails add constraint system_mails_kind_check
    check (kind in ('confirm', 'welcome', 'goodbye', 'test', 'notice'));
