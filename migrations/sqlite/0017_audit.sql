-- What commands change stands in the audit, too: in no session (0), and by whom the machine says.
alter table admin_audit add column who text not null default '';
