-- What anyone may read of the issues that were sent: their pages, the addresses that lead to them, and the
-- links that were corrected afterwards.

-- One row for each issue that has or may get a page.
create table archive (
    slug text not null primary key,
    -- The last part of its address while it is unlisted: random, so that nobody comes upon it.
    key text not null unique,
    -- What the author said since the run began, and until when it is held back (0: it is not); null follows
    -- what was frozen with the run.
    visibility text check (visibility in ('public', 'unlisted', 'never')),
    embargo_until bigint,
    changed_at bigint not null
);

-- What was frozen of an issue with each of its runs, and the back issues, which no run sent (run 0).
create table archive_pages (
    slug text not null references archive (slug),
    run_id bigint not null,
    -- Of a back issue; a run has its own, which may change until it begins.
    revision text references revisions (hash),
    title text not null,
    teaser text not null,
    language text not null,
    -- The hash of the first image that we keep ourselves.
    picture text,
    visibility text not null check (visibility in ('public', 'unlisted', 'never')),
    embargo_until bigint,
    -- When a back issue came out, and which file of which export it was.
    dated_at bigint,
    source text,
    made_at bigint not null,
    primary key (slug, run_id)
);

create index archive_pages_by_run on archive_pages (run_id, dated_at);

-- Where back issues stood before: paths that lead to their pages now.
create table archive_moves (
    path text not null primary key,
    slug text not null references archive (slug)
);

-- Targets corrected after sending. The frozen table stays as it was sent; the newest row here wins.
create table link_repairs (
    id bigint not null primary key,
    revision text not null references revisions (hash),
    link bigint not null,
    old_url text not null,
    new_url text not null,
    at bigint not null,
    who text not null
);

create index link_repairs_by_link on link_repairs (revision, link, id);
