//! The message template: one RFC 5322 message, encoded once, with holes for each copy.
