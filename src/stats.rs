//! Numbers of a run, from its counters.
