//! The processor time of a process in microseconds: user and system, all its threads, including those that have ended.

use std::{cell::Cell, fs, time::Duration};

use simo_tests::wait::within;

/// The unit of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that Rust's standard library has for Linux.
const TICK_US: u64 = 10_000;

/// The time used so far.
pub(crate) fn used_us(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    parse(&stat).expect("Linux says how much")
}

/// The time used once the process is idle: at most about 2 % in the last second.
pub(crate) async fn used_us_when_idle(pid: u32) -> u64 {
    let last = Cell::new(used_us(pid));
    within(Duration::from_mins(2), "the process is idle", async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = used_us(pid);
        (now - last.replace(now) <= 2 * TICK_US).then_some(now)
    })
    .await
}

/// `utime` and `stime` of proc(5), the 14th and 15th field. The second field is the name in parentheses, which may
/// itself contain spaces and parentheses.
fn parse(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(TICK_US * (ticks()? + ticks()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added_up_whatever_the_name_is() {
        for name in ["simod", "si mo) 7 (d"] {
            let stat = format!(
                "4711 ({name}) S 1 4711 4711 0 -1 4194560 9151 88 77 66 1234 567 99 98 20 0 5 0 123456 987654321"
            );
            assert_eq!(parse(&stat), Some(18_010_000));
        }
        assert_eq!(parse("4711 (simod) S 1 4711"), None);
    }
}
