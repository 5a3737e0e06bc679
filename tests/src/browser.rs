//! Real browsers and the desktop around them: Debian's Firefox driven by Marionette, Chromium driven by CDP, and the
//! notification area in which both show their notifications.
//!
//! Dropping a browser ends its process and removes its profile.

mod axe;
pub mod cdp;
pub mod chromium;
pub mod desktop;
pub mod firefox;
pub mod marionette;
mod screen;

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, kill_process_group};

pub use axe::axe;
pub use chromium::Chromium;
pub use desktop::{Desktop, Shown};
pub use firefox::Firefox;
pub use screen::Screen;

/// Each Firefox to test: those of `SIMO_FIREFOX`, separated by colons, else Debian's. Without one, none, which is reported
/// as skipped.
pub fn firefoxes() -> Vec<PathBuf> {
    if !has_libnotify() {
        missing("what Firefox does: without libnotify.so.4 it shows nothing on a desktop");
        return Vec::new();
    }
    programs("SIMO_FIREFOX", "firefox-esr")
}

/// The Chromium to test: `SIMO_CHROMIUM`, else Debian's. Without one, `None`, which is reported as skipped.
pub fn chromium() -> Option<PathBuf> {
    programs("SIMO_CHROMIUM", "chromium").pop()
}

fn programs(variable: &str, name: &str) -> Vec<PathBuf> {
    let named = std::env::var_os(variable).unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&named).filter(|path| path.is_file()).collect();
    if found.is_empty() {
        found.extend(in_path(name));
    }
    if found.is_empty() || in_path("dbus-daemon").is_none() {
        missing(&format!("what {name} does: it or dbus-daemon is missing"));
        return Vec::new();
    }
    found
}

/// Reports what is skipped. With `SIMO_TESTS_MUST=1` nothing may be skipped, and the test fails.
fn missing(what: &str) {
    let must = std::env::var_os("SIMO_TESTS_MUST").is_some_and(|must| must == "1");
    assert!(!must, "nothing may be skipped here: {what}");
    crate::skip(what);
}

fn has_libnotify() -> bool {
    // Debian has one directory per architecture.
    let directories = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all = directories.chain(["/usr/lib".into(), "/usr/lib64".into()]);
    all.any(|directory| directory.join("libnotify.so.4").exists())
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// A child process and all its descendants: a process group that does not outlive the test.
struct Group(Child);

impl Group {
    fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_owned();
        // Keeps it off any desktop but the test's own.
        let command = command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").process_group(0);
        Self(command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", name.display())))
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("our own child can be waited for").is_some()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let leader = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).expect("a child has a number");
        // Fails only when the whole group has ended already.
        let _ = kill_process_group(leader, Signal::KILL);
        let _ = self.0.wait();
    }
}
