-- Who may see the author's pages, and what was done there.

-- The one account: a password once somebody sets one, and a second factor once somebody turns it on. The
-- factor's secret is not here: the keyring gives it for the salt.
create table admin_account (
    id bigint not null primary key check (id = 1),
    -- As a PHC string, argon2id.
    password text,
    totp_salt text,
    -- The last step of 30 seconds whose code was used: each is good once.
    totp_step bigint not null default 0
) without rowid;

insert into admin_account (id) values (1);

-- Links that log in once, under their SHA-256.
create table admin_links (
    hash blob not null primary key,
    until bigint not null
) without rowid;

-- Sessions under the SHA-256 of their cookie; the id names one on a page and opens nothing.
create table admin_sessions (
    id bigint not null primary key,
    hash blob not null unique,
    way text not null check (way in ('password', 'link')),
    begun_at bigint not null,
    seen_at bigint not null,
    -- The browser as it names itself.
    agent text not null
) without rowid;

-- Passwords tried lately that did not hold, by keyed hash of the client's network.
create table admin_attempts (
    id bigint not null primary key,
    at bigint not null,
    network blob not null
) without rowid;

create index admin_attempts_by_time on admin_attempts (at);

-- What was done on the pages: when, in which session, what, and to what. Never an address: a reader is named
-- by the key that erasure takes away.
create table admin_audit (
    at bigint not null,
    -- Random: two lines of one moment are two.
    id bigint not null,
    session bigint not null,
    what text not null,
    about text not null,
    primary key (at, id)
) without rowid;

-- Readers are looked up by the beginning of their address. SQLite compares octets as it stands; the twin has
-- to be told.
