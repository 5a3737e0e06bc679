//! Tests that cannot be made here.

use std::{fs::File, io::Write as _};

/// Says that a test is not made, and why: on stderr, and where `tests/run` collects what it tells at its end.
pub fn skip(why: &str) {
    eprintln!("not tested: {why}");
    if let Some(list) = std::env::var_os("SIMO_TESTS_SKIPPED") {
        let list = File::options().append(true).open(list);
        // In one piece: tests run side by side.
        let _told = list.and_then(|mut list| list.write_all(format!("{why}\n").as_bytes()));
    }
}
