//! The suite: the whole program from outside, on both databases.

mod harness;
mod house;
mod ledger;
mod migrations;
mod store;
