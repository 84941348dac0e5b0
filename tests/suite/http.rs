//! The two sites from outside: real sockets, both databases.

mod access;
mod admin;
mod author;
mod bombing;
mod counters;
mod db;
mod desk;
mod hostile;
mod leaving;
mod links;
mod listener;
mod preferences;
mod readers;
mod signup;
mod site;
mod wire;
