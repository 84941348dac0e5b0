//! The suite: the whole program from outside, on both databases.

mod dkim;
mod harness;
mod hostile;
mod keys;
mod message;
mod store;
