//! The other senders of web pushes: the bare loop, and popular libraries, fetched from their registries.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use simo_tests::programs;

use super::Figures;
use crate::drain::PUSHES;

/// Pushes for a library, which is slower.
const FEWER: usize = 5_000;

/// Another program that does the task.
pub(super) struct Other {
    pub(super) name: &'static str,
    /// The ratio to its rate that simod must reach.
    pub(super) least: f64,
    pub(super) pushes: usize,
    /// The command, or why it is not available here.
    pub(super) command: Result<Command, String>,
    pub(super) figures: Figures,
}

impl Other {
    fn new(
        name: &'static str,
        least: f64,
        pushes: usize,
        work: &Path,
        command: Result<Command, String>,
    ) -> Self {
        let command = command.map(|mut command| {
            command.arg(work).arg(pushes.to_string());
            command
        });
        Self { name, least, pushes, command, figures: Figures::default() }
    }
}

pub(super) fn all(directory: &Path, work: &Path) -> [Other; 3] {
    [
        Other::new("a bare loop", 0.7, PUSHES, work, Ok(bare())),
        Other::new("npm web-push 3.6.7, 64 at a time", 10.0, FEWER, work, npm(&directory.join("npm"))),
        Other::new("pywebpush 2.5.0, 16 threads", 15.0, FEWER, work, python(&directory.join("python"))),
    ]
}

fn bare() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this executable has a path"));
    command.arg("bare-web-push");
    command
}

fn npm(directory: &Path) -> Result<Command, String> {
    let fetch = ["install", "--no-fund", "--no-audit", "--silent", "web-push@3.6.7", "--prefix"];
    run(Command::new("npm").args(fetch).arg(directory))?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", directory.join("node_modules")).arg(script("npm_web_push.js"));
    Ok(command)
}

fn python(directory: &Path) -> Result<Command, String> {
    run(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
    let python = directory.join("bin/python");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "pywebpush==2.5.0"]))?;
    let mut command = Command::new(python);
    command.arg(script("pypi_pywebpush.py"));
    Ok(command)
}

fn script(name: &str) -> PathBuf {
    programs::workspace().join("tests/peers").join(name)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
