//! Limits on how often a phone may do something.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use simo_common::time::SECOND;

use crate::store::DeviceNo;

/// The most phones remembered; beyond that, those whose time is over are forgotten.
const REMEMBERED: usize = 10_000;

/// How often each phone may do something within a period. In memory, so each instance has a limit of its own.
#[derive(Debug)]
pub(crate) struct PerPhone {
    times: usize,
    within: i64,
    done: Mutex<HashMap<DeviceNo, VecDeque<i64>>>,
}

impl PerPhone {
    /// Allows `times` within so many microseconds.
    pub(crate) fn new(times: usize, within: i64) -> Self {
        Self { times, within, done: Mutex::default() }
    }

    /// Counts a use by a phone.
    ///
    /// # Errors
    /// Seconds that the phone has to wait.
    pub(crate) fn take(&self, device_no: DeviceNo, now: i64) -> Result<(), u32> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // Times in the future come from a clock that was ahead.
        let is_recent = |at: &i64| *at <= now && now - *at < self.within;
        if done.len() >= REMEMBERED {
            done.retain(|_, at| at.back().is_some_and(is_recent));
        }
        let at = done.entry(device_no).or_default();
        at.retain(is_recent);
        match at.front() {
            Some(first) if at.len() >= self.times => Err(((first + self.within - now) / SECOND + 1) as u32),
            _ => {
                at.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_that_did_it_too_often_waits_until_the_first_time_is_over() {
        let limit = PerPhone::new(2, 100 * SECOND);
        let (one, other) = (DeviceNo(1), DeviceNo(2));
        let take = |phone, second: i64| limit.take(phone, second * SECOND);
        assert_eq!((take(one, 0), take(one, 10), take(one, 20)), (Ok(()), Ok(()), Err(81)));
        assert_eq!((take(other, 20), take(one, 100)), (Ok(()), Ok(())));
        assert_eq!(take(one, 5), Ok(()), "the clock was set back");
    }
}
