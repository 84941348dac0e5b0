//! Workers that move deliveries from the ledger through the relay.
