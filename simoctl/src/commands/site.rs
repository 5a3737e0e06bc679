//! Files that describe a site: read with the place of everything that stands in them, and written.

pub(super) mod files;
mod shape;
pub(super) mod write;
mod yaml;
