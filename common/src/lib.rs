//! Shared by SiMO's programs: the domain's terms and limits, the wire types of the HTTP API, the history query language, and the
//! typed HTTP client.

pub mod api;
pub mod audit;
pub mod client;
pub mod command_line;
pub mod delivery;
pub mod hex;
pub mod hours;
pub mod id;
pub mod lang;
pub mod message;
pub mod page;
pub mod paths;
pub mod people;
pub mod qr;
pub mod query;
pub mod receipt;
pub mod spelling;
pub mod text;
pub mod time;
pub mod token;
