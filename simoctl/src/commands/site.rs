//! Site files: read with the place of every value, and written.

pub(super) mod files;
mod shape;
pub(super) mod write;
mod yaml;
