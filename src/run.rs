//! Runs: freeze, pause, resume, cancel, verify.
