//! The suite: the whole program from outside, on both databases.

mod harness;
mod http;
mod store;
