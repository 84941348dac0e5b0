//! The two sites from outside: real sockets, both databases.

mod admin;
mod archive;
mod bombing;
mod counters;
mod leaving;
mod links;
mod listener;
mod preferences;
mod signup;
mod site;
mod wire;
