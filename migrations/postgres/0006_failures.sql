-- Why a delivery's last failed attempt failed: its class, and what both ends said. A table of its own, because
-- few deliveries ever fail and the rows of `deliveries` stay small. One row per delivery: the newest failure.
-- It holds the reader's address, as `deliveries.copy` does, and goes with it.
create table failures (
    run_id bigint not null,
    seq bigint not null,
    at bigint not null,
    -- The command that was refused or not answered; null where nothing was said.
    stage text,
    reason text not null,
    dialogue text not null,
    primary key (run_id, seq)
);
