//! Tests that cannot run here.

use std::{fs::File, io::Write as _};

/// Reports that a test is skipped, and why: on stderr, and in the list that `tests/run` prints at its end.
pub fn skip(why: &str) {
    eprintln!("not tested: {why}");
    if let Some(list) = std::env::var_os("SIMO_TESTS_SKIPPED") {
        let list = File::options().append(true).open(list);
        // One write, because tests run in parallel.
        let _told = list.and_then(|mut list| list.write_all(format!("{why}\n").as_bytes()));
    }
}
