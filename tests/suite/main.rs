//! The suite: the whole program from outside, on both databases.

mod harness;
mod house;
mod migrations;
mod ledger;
mod store;
