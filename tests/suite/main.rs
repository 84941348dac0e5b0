//! The suite: the whole program from outside, on both databases.

mod harness;
mod hostile;
mod house;
mod ledger;
mod message;
mod migrations;
mod readers;
mod setup;
mod store;
