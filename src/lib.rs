//! Pressrun: a self-hosted newsletter delivery service.
//!
//! The house, from the ground up; a module uses its own layer and what stands before it,
//! never what stands after.

// Ground.
pub mod address;
pub mod chance;
pub mod clock;
pub mod config;
pub mod failpoint;
pub mod hex;
pub mod id;
pub mod keyfile;
pub mod keyring;
pub mod lock;
pub mod network;
pub mod octets;
pub mod slug;
pub mod terminal;
pub mod token;

// Domain: pure.
pub mod appearance;
pub mod certificate;
pub mod compile;
pub mod delivery;
pub mod diagnostic;
pub mod dkim;
pub mod dmarc;
pub mod draft;
pub mod dsn;
pub mod event;
pub mod feed;
pub mod issue;
pub mod lint;
pub mod message;
pub mod mjml;
pub mod mx;
pub mod pace;
pub mod pseudonym;
pub mod rate;
pub mod reply;
pub mod retry;
pub mod rollout;
pub mod schedule;
pub mod segment;
pub mod spf;
pub mod stats;
pub mod status;
pub mod subscriber;
pub mod trial;

// Store: all the SQL.
pub mod store;

// Services.
pub mod access;
pub mod amend;
pub mod app;
pub mod archive;
pub mod backup;
pub mod deliver;
pub mod dns;
pub mod doctor;
pub mod erasure;
pub mod hygiene;
pub mod import;
pub mod inbound;
pub mod lists;
pub mod notice;
pub mod numbers;
pub mod preflight;
pub mod publication;
pub mod rehearse;
pub mod retention;
pub mod run;
pub mod signup;
pub mod smtp;
pub mod track;
pub mod web;

// Edges.
pub mod cli;
pub mod http;
