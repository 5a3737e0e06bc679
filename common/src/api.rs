//! Wire types of the HTTP API (v1). Field names, units and errors here are what the OpenAPI document says.
//!
//! Requests refuse unknown fields; answers may grow fields within a version.

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

/// Where every path of the API begins.
pub const PREFIX: &str = "/api/v1";
