# Short names for what one does all day; `just` lists them.

_list:
    @just --list

# Type-check everything.
check:
    cargo check --all-targets

# Lay out the code and lint it as CI does.
tidy:
    cargo fmt
    cargo clippy --all-targets -- -D warnings

# Every test, with all that they need: both databases, judges, Chromium.
test:
    ./tests/run

# The tests of the suite whose names contain WORD; PostgreSQL by PRESSRUN_TEST_POSTGRES.
suite WORD="":
    cargo test --test suite {{WORD}}

# Kill a sender again and again, with SEEDS different schedules.
kill SEEDS="3":
    PRESSRUN_KILL_SEEDS={{SEEDS}} cargo test --test kill -- --nocapture

# The fault tests whose names contain WORD, at full size; `just faults r6`.
faults WORD="":
    PRESSRUN_FAULTS=long cargo test --test faults -- --nocapture --test-threads 1 {{WORD}}

# What CI runs.
ci:
    ./.ci/run

# One benchmark: send, compile, import, track or numbers.
bench NAME:
    cargo bench --bench {{NAME}}

# The whole path on this machine: a folder, made-up readers, an embedded sink.
demo:
    cargo run --release -- demo

# Look at snapshots that changed, and take them over.
review:
    cargo insta review
