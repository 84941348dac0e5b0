//! The suite: the whole program from outside, on both databases.

mod dkim;
mod harness;
mod hostile;
mod house;
mod ledger;
mod message;
mod migrations;
mod store;
