//! The one writer of events.
