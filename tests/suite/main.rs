//! The suite: the whole program from outside, on both databases.

mod compile;
mod harness;
mod readers;
mod setup;
mod store;
