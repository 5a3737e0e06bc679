//! Clients and everything that belongs to them: people, groups, topics, grants, ACS, operators, tokens.

pub(super) mod acs;
pub(super) mod blocking;
pub(super) mod by_name;
pub(super) mod clients;
pub(super) mod employees;
pub(super) mod ends;
pub(super) mod grants;
pub(super) mod groups;
pub(super) mod import;
pub(super) mod operators;
pub(super) mod site;
pub(super) mod slugged;
pub(super) mod succession;
pub(super) mod tokens;
pub(super) mod topics;
pub(super) mod who_receives;
