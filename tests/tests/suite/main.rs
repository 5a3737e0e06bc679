//! The promises of SiMO, tested with the real daemon: one module per subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics where it stands"
)]

mod access;
mod bad_input;
mod cli;
mod clocks;
mod commands;
mod connecting;
mod copy;
mod database_file;
mod delivery;
mod demo;
mod distribution;
mod durability;
mod events;
mod failover;
mod health;
mod ingest;
mod instances;
mod matrix;
mod mistakes;
mod nesting;
mod people;
mod pooler;
mod protection;
mod search;
mod stand_in;
mod stream;
mod tui;
mod web_app;
mod web_push;
