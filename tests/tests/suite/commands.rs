//! The short commands of `simod`: what they write where, and how they end.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use simo_tests::programs::program;

#[test]
fn a_result_that_nobody_reads_is_no_failure_and_one_that_cannot_be_written_is() {
    let config = |stdout: Stdio| {
        let mut command = Command::new(program("simod"));
        let child = command
            .arg("config")
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn();
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
