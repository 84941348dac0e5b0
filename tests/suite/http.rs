//! The two sites from outside: real sockets, both databases.

mod admin;
mod bombing;
mod counters;
mod folding;
mod leaving;
mod links;
mod listener;
mod numbers;
mod preferences;
mod signup;
mod site;
mod wire;
