//! The two sites from outside: real sockets, both databases.

mod access;
mod admin;
mod alike;
mod archive;
mod author;
mod back_issues;
mod bombing;
mod counters;
mod db;
mod desk;
mod folding;
mod hostile;
mod inbound;
mod leaving;
mod links;
mod listener;
mod numbers;
mod offer;
mod preferences;
mod privacy;
mod readers;
mod repairs;
mod segments;
mod signup;
mod site;
pub mod wire;
