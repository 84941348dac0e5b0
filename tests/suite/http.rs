//! The two sites from outside: real sockets, both databases.

mod admin;
mod alike;
mod bombing;
mod counters;
mod inbound;
mod leaving;
mod links;
mod listener;
mod offer;
mod preferences;
mod signup;
mod site;
mod wire;
