//! The one place where the tests ask what time it is, and a clock that is wrong.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Microseconds since 1970, UTC.
#[allow(
    clippy::disallowed_methods,
    reason = "tests stand outside simod and its Clock; this is their one place"
)]
pub fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Now plus so many seconds, as RFC 3339.
pub fn in_seconds(seconds: i64) -> String {
    simo_common::time::from_us(now_us() + seconds * simo_common::time::SECOND).to_string()
}

/// Compiles what makes a program's clock wrong when it is preloaded: by `CLOCK_AHEAD_SECONDS`. How long something takes
/// it measures rightly.
pub(crate) fn wrong(directory: &Path) -> PathBuf {
    let (source, library) = (directory.join("clock.c"), directory.join("clock.so"));
    std::fs::write(&source, WRONG_CLOCK).expect("the source can be written");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status()
        .expect("there is a C compiler");
    assert!(status.success(), "cc: {status}");
    library
}

const WRONG_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *at) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    const char *ahead = getenv("CLOCK_AHEAD_SECONDS");
    if (result == 0 && id == CLOCK_REALTIME && ahead)
        at->tv_sec += atol(ahead);
    return result;
}
"#;
