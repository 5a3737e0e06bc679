//! Memory of an idle simod, and the time from its start on an empty directory until it is ready.

use std::{fs, path::Path, time::Duration};

use simo_tests::Simod;

use crate::{blast::median, site, table::Row};

const STARTS: usize = 7;

/// Several starts, each on a directory of its own.
pub(crate) async fn measure(directory: &Path) -> Vec<Row> {
    let mut memory = Vec::new();
    let mut ready = Vec::new();
    for number in 0..STARTS {
        let simod = site::setup(directory, &format!("start-{number}")).start().await;
        ready.push(simod.ready_after().as_secs_f64() * 1e3);
        memory.push(idle_mib(&simod).await);
    }
    vec![
        Row::at_most("ready on an empty directory", median(ready), 200.0, "ms"),
        Row::at_most("resident when idle", median(memory), 30.0, "MiB"),
    ]
}

/// Resident memory of a simod that has just started.
pub(crate) async fn idle_mib(simod: &Simod) -> f64 {
    // Wait until its first periodic duties are done.
    tokio::time::sleep(Duration::from_secs(2)).await;
    resident_mib(simod.pid())
}

/// Resident memory of a process.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux says how much");
    let kibibytes: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kibibytes / 1024.0
}
