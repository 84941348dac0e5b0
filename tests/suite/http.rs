//! The two sites from outside: real sockets, both databases.

mod admin;
mod alike;
mod archive;
mod back_issues;
mod bombing;
mod counters;
mod folding;
mod inbound;
mod leaving;
mod links;
mod listener;
mod numbers;
mod offer;
mod preferences;
mod privacy;
mod repairs;
mod signup;
mod site;
pub mod wire;
