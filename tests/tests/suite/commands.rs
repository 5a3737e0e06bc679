//! The short commands of `simod`: their output and exit codes.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use simo_tests::{programs::program, simod::Setup};

#[test]
fn a_result_that_nobody_reads_is_no_failure_and_one_that_cannot_be_written_is() {
    let config = |stdout: Stdio| {
        let mut command = Command::new(program("simod"));
        let child = command.arg("config").stdout(stdout).stderr(Stdio::piped()).spawn();
        let ended = child.unwrap().wait_with_output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(config(writer.into()), (Some(0), String::new()));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (code, said) = config(full.into());
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot write the result"), "{said}");
}

#[tokio::test]
async fn whoever_reads_russian_is_told_in_russian_why_a_command_cannot_run() {
    let held = Setup::new().embedded().start().await;
    let held_by = format!("занят другим simod: PID {}", held.pid());
    let held = format!("sqlite:{}", held.database().display());
    let missing = "sqlite:/nowhere/simo.db";
    let server = "postgres://simo@127.0.0.1:9/simo";
    for (command, refusal) in [
        (["migrate", "--database", "mysql://simo"].as_slice(), "не адрес базы данных: нужно sqlite:"),
        (&["migrate", "--database", &held], &held_by),
        (&["copy", "--from", missing, "--to", server], "нет файла /nowhere/simo.db"),
        (&["config", "--listen", "нет"], "--listen: `listen`: `нет` не адрес"),
    ] {
        let ended = Command::new(program("simod")).args(["--lang", "ru"]).args(command).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains(refusal), "{command:?}: {said}");
    }
}
