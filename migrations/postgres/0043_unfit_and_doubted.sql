-- A machine whose key was revoked on another, or whose keyring is an older one, signs nothing. It says so here, so that
-- those who can sign are known to go on, and a run is held only where nobody can.

alter table senders add column unfit text;

-- A relay that refuses reader after reader holds a run, and a person who lets it go on says by that that the readers are
-- dead. That counts for this run and this server, whichever process goes on with it.

-- Servers of relays that the run was held for so, by the relay's name, as JSON.
alter table runs add column doubted text;
