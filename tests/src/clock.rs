//! The only place where tests read the time, and a clock that is wrong.

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

/// The time in `seconds` seconds, as RFC 3339.
pub fn in_seconds(seconds: i64) -> String {
    simo_common::time::from_us(now_us() + seconds * simo_common::time::SECOND).to_string()
}

/// Sets how many seconds the clock of programs started with this file is ahead (negative: behind).
pub(crate) fn set(file: &Path, ahead: i64) {
    // Renamed into place: a program that reads it meanwhile sees the old number or the new one.
    let new = file.with_extension("new");
    std::fs::write(&new, ahead.to_string()).expect("the file can be written");
    std::fs::rename(&new, file).expect("the file can be replaced");
}

/// Compiles a library that, when preloaded, makes a program's clock wrong by the seconds in the file `CLOCK_AHEAD_FILE`,
/// which may change while it runs. Durations stay right.
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
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *at) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    const char *name = getenv("CLOCK_AHEAD_FILE");
    if (result != 0 || id != CLOCK_REALTIME || !name)
        return result;
    char text[32] = {0};
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0)
            at->tv_sec += atol(text);
        close(file);
    }
    return result;
}
"#;
