//! Readers, their fields and their subscriptions.
