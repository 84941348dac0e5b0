-- A machine whose key was revoked on another, or whose keyring is an older one, signs nothing. It says so here, so that
-- those who can sign are known to go on, and a run is held only where nobody can.

alter table senders add column unfit text;
