//! What readers do: events and their evidence.
