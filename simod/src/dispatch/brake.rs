//! The brake: when an implausible share of a provider's phones is reported dead within an hour, the reports are not
//! believed any more. Otherwise a wrong project file would wipe out every phone.

use std::collections::HashMap;

use simo_common::time;

use crate::config;
use crate::store::DeviceNo;

const WINDOW: i64 = time::HOUR;

/// How often older reports are dropped.
const FORGET_EVERY: i64 = time::SECOND;

/// Addresses that were reported dead lately.
#[derive(Debug)]
pub(super) struct Brake {
    share: f64,
    minimum: u64,
    /// The last report of each device.
    dead: HashMap<DeviceNo, i64>,
    forgotten_at: i64,
}

impl Brake {
    /// A brake that starts with `dead`: devices, and when they were reported.
    pub(super) fn new(config: &config::Delivery, dead: impl IntoIterator<Item = (DeviceNo, i64)>) -> Self {
        Self {
            share: config.brake_share,
            minimum: config.brake_minimum,
            dead: dead.into_iter().collect(),
            forgotten_at: i64::MIN,
        }
    }

    /// Whether so many of `devices` have died that further reports are not believed.
    pub(super) fn holds(&mut self, now: i64, devices: u64) -> bool {
        if !(self.forgotten_at..self.forgotten_at.saturating_add(FORGET_EVERY)).contains(&now) {
            self.forgotten_at = now;
            self.dead.retain(|_, at| {
                // Reported while the clock was ahead: counts for an hour from now, and no longer.
                *at = (*at).min(now);
                *at > now - WINDOW
            });
        }
        let dead = self.dead.len() as u64;
        dead >= self.minimum.max(1) && dead as f64 > self.share * devices as f64
    }

    /// Records a report that a device is dead, and returns whether it is not believed. Disbelieved reports count too: the
    /// brake holds for as long as they go on.
    pub(super) fn report(&mut self, now: i64, device_no: DeviceNo, devices: u64) -> bool {
        let holds = self.holds(now, devices);
        self.dead.insert(device_no, now);
        holds
    }

    /// A device that was reported dead works.
    pub(super) fn lives(&mut self, device_no: DeviceNo) {
        self.dead.remove(&device_no);
    }

    /// The number of devices reported dead lately.
    pub(super) fn dead(&self) -> usize {
        self.dead.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Delivery;

    fn brake(minimum: u64) -> Brake {
        let config = Delivery { brake_share: 0.2, brake_minimum: minimum, ..Delivery::default() };
        Brake::new(&config, [])
    }

    fn report(brake: &mut Brake, now: i64, devices: std::ops::Range<i64>) -> Vec<bool> {
        devices.map(|n| brake.report(now, DeviceNo(n), 100)).collect()
    }

    #[test]
    fn it_holds_beyond_the_share_and_lets_go_after_an_hour() {
        let mut brake = brake(5);
        assert!(report(&mut brake, 0, 0..21).iter().all(|held| !held));
        assert!(report(&mut brake, 1, 21..30).iter().all(|held| *held));
        assert!(brake.holds(WINDOW - 1, 100));
        assert!(!brake.holds(WINDOW + FORGET_EVERY, 100));
        assert_eq!(brake.dead(), 0);
    }

    #[test]
    fn it_lets_go_an_hour_after_the_clock_was_set_back() {
        let mut brake = brake(5);
        report(&mut brake, 9 * WINDOW, 0..30);
        assert!(brake.holds(0, 100));
        assert!(!brake.holds(WINDOW, 100));
    }

    #[test]
    fn few_phones_may_die_whatever_their_share() {
        let mut brake = brake(50);
        assert!(report(&mut brake, 0, 0..50).iter().all(|held| !held));
        assert!(report(&mut brake, 0, 50..51)[0]);
    }

    #[test]
    fn a_phone_counts_once_and_not_at_all_when_it_lives() {
        let mut brake = brake(2);
        assert!(!brake.report(0, DeviceNo(0), 4));
        assert!(!brake.report(0, DeviceNo(0), 4));
        assert_eq!(brake.dead(), 1);
        brake.lives(DeviceNo(0));
        assert_eq!(brake.dead(), 0);
    }

    #[test]
    fn it_remembers_what_the_database_knows() {
        let dead = (0..30).map(|n| (DeviceNo(n), 0));
        let mut brake = Brake::new(&Delivery { brake_minimum: 5, ..Delivery::default() }, dead);
        assert!(brake.holds(1, 100));
    }
}
