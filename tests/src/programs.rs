//! The programs that the tests run, built from the current sources.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The binary `name` of this workspace, in the same profile as this executable.
pub fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let path = DIRECTORY.get_or_init(build).join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --workspace --bins` or ./tests/run",
        path.display()
    );
    path
}

/// The workspace's directory.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the workspace")
}

/// `cargo test` builds no binaries of other packages, so a test could run yesterday's daemon. Under cargo, builds them
/// once per process (half a second when up to date); otherwise uses what is there.
fn build() -> PathBuf {
    let executable = std::env::current_exe().expect("this executable has a path");
    let mut directory = executable.parent().expect("it stands in a directory").to_owned();
    // Built together with the tests, so that features agree and nothing is compiled twice.
    let targets = if directory.ends_with("deps") {
        directory.pop();
        "--all-targets"
    } else {
        "--bins"
    };
    if let Some(cargo) = std::env::var_os("CARGO") {
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let output = Command::new(cargo)
            .args(["build", "--workspace", targets, "--locked", "--quiet", "--profile", profile])
            .current_dir(workspace())
            .output()
            .expect("cargo starts");
        assert!(
            output.status.success(),
            "the programs do not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    directory
}
