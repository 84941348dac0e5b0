//! The suite: the whole program from outside, on both databases.

mod harness;
mod smtp;
mod store;
