//! Everything below the statements: the two engines, transactions and their syncs, the dialect, the files.

pub(super) mod dialect;
pub(crate) mod engine;
pub(super) mod lock;
pub(super) mod migrations;
pub(super) mod postgres;
pub(super) mod rows_as_json;
pub(super) mod same_file;
pub(super) mod sqlite;
pub(super) mod transaction;
pub(crate) mod unreadable;
mod wal_sync;
