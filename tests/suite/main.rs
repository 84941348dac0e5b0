//! The suite: the whole program from outside, on both databases.

mod check;
mod compile;
mod control;
mod deliver;
mod dkim;
mod dns;
mod doctor;
mod harness;
mod hostile;
mod house;
mod http;
mod keys;
mod ledger;
mod message;
mod migrations;
mod mjml;
mod mjml_errors;
mod mjml_page;
mod preview;
mod readers;
mod rehearse;
mod segments;
mod setup;
mod smtp;
mod store;
mod verify;
