//! Wire types of the HTTP API (v1). The OpenAPI document takes field names, units and errors from here.
//!
//! Requests reject unknown fields; answers may gain fields within a version.

pub mod access;
pub mod audit;
pub mod change;
pub mod clock;
pub mod device;
pub mod event;
pub mod history;
pub mod invites;
pub mod login;
pub mod message;
pub mod people;
pub mod problem;
pub mod service;
pub mod site;

/// The prefix of all API paths.
pub const PREFIX: &str = "/api/v1";
