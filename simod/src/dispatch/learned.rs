//! What a provider's answers mean beyond the single push: when to pause, which addresses to believe dead, what to report.

use std::collections::{HashMap, HashSet};

use simo_common::time;

use super::{brake::Brake, gate::Gate, retry::Try};
use crate::channel::{Failure, FailureScope};
use crate::store::DeviceNo;

/// How long after a probe was stored its device's other pushes may still have been claimed in the state before.
const PROBE_SETTLES: i64 = time::SECOND;

/// How long an alarm that concerned single pushes is shown.
const NOTICE_FOR: i64 = time::HOUR;

/// Whether `until` is at most `longest` away; if not, the clock has been set back since.
pub(super) fn is_near(until: i64, now: i64, longest: i64) -> bool {
    until - now <= longest
}

/// State learned from a provider's answers.
#[derive(Debug)]
pub(super) struct Learned {
    pub(super) gate: Gate,
    pub(super) brake: Brake,
    /// Quarantined devices that are being probed, and until when no other push may probe them.
    probing: HashMap<DeviceNo, i64>,
    /// Devices with a push that failed for a reason of the device, not of the provider.
    waiting: HashSet<DeviceNo>,
    /// The provider's device count, and when it was taken.
    pub(super) devices: u64,
    pub(super) counted_at: i64,
    /// An alarm that concerns single pushes, and until when it is shown.
    notice: Option<(i64, String)>,
}

impl Learned {
    /// Nothing learned yet.
    pub(super) fn new(gate: Gate, brake: Brake) -> Self {
        Self {
            gate,
            brake,
            probing: HashMap::new(),
            waiting: HashSet::new(),
            devices: 0,
            counted_at: i64::MIN,
            notice: None,
        }
    }

    /// Whether a push may probe a quarantined device: one at a time, and none claimed before the last probe's result was
    /// stored.
    pub(super) fn begin_probe(&mut self, device_no: DeviceNo, now: i64) -> bool {
        self.probing
            .retain(|_, until| now < *until && (*until == i64::MAX || is_near(*until, now, PROBE_SETTLES)));
        let is_first = !self.probing.contains_key(&device_no);
        if is_first {
            self.probing.insert(device_no, i64::MAX);
        }
        is_first
    }

    /// Called when the result of a device's probe is stored.
    pub(super) fn settle_probe(&mut self, device_no: DeviceNo, now: i64) {
        self.probing.insert(device_no, now + PROBE_SETTLES);
    }

    /// A push of this device waits. Ignored if the provider is closed, which makes its pushes due when it opens.
    pub(super) fn waits(&mut self, device_no: DeviceNo, now: i64) {
        if self.gate.opens_at(now).is_none() {
            self.waiting.insert(device_no);
        }
    }

    /// A push of this device got through. Returns whether others have waited.
    pub(super) fn has_waited(&mut self, device_no: DeviceNo) -> bool {
        self.waiting.remove(&device_no)
    }

    /// Learns from a failure, and adds to `attempt` what the verdict needs.
    pub(super) fn take_note(&mut self, failure: &Failure, device_no: DeviceNo, attempt: &mut Try) {
        let Try { now, sample, .. } = *attempt;
        match failure {
            Failure::Retry { answer, .. } => self.gate.broken(answer),
            Failure::Permanent { answer, .. } => {
                self.gate.passed(now);
                self.notice = Some((now + NOTICE_FOR, format!("a payload was refused: {answer}")));
            }
            Failure::DeadAddress { .. } => {
                self.gate.passed(now);
                attempt.braked = self.brake.report(now, device_no, self.devices);
            }
            Failure::Paused { scope: FailureScope::Device, .. } => self.gate.passed(now),
            Failure::Paused { scope: FailureScope::Provider, after, answer } => {
                attempt.reopens_at = Some(self.gate.exhausted(now, *after, answer, sample));
            }
            Failure::Unreachable { answer } => {
                attempt.reopens_at = Some(self.gate.unreachable(now, answer, sample));
            }
            Failure::Misconfigured { scope: FailureScope::Device, answer } => {
                attempt.reopens_at = self.gate.suspected(now, device_no, answer, sample);
                self.notice = Some((now + NOTICE_FOR, answer.clone()));
            }
            Failure::Misconfigured { scope: FailureScope::Provider, answer } => {
                attempt.reopens_at = Some(self.gate.misconfigured(now, answer, sample));
            }
        }
    }

    /// The provider's state and trouble, for people.
    pub(super) fn health(&mut self, now: i64) -> (&'static str, Option<String>) {
        let closed = self.gate.opens_at(now);
        let mut alarm = false;
        let mut said = Vec::new();
        if let Some(trouble) = self.gate.trouble() {
            alarm |= trouble.alarm;
            said.push(match closed {
                Some(until) => format!("paused until {}: {}", time::from_us(until), trouble.answer),
                None => trouble.answer.clone(),
            });
        }
        if self.brake.holds(now, self.devices) {
            alarm = true;
            said.push(format!(
                "{} of {} addresses were reported dead within an hour; no more are believed, so that a wrong project \
                 does not retire every phone",
                self.brake.dead(),
                self.devices
            ));
        }
        if let Some((until, notice)) = &self.notice {
            if now < *until && is_near(*until, now, NOTICE_FOR) {
                alarm = true;
                said.push(notice.clone());
            } else {
                self.notice = None;
            }
        }
        let state = match (alarm, closed) {
            (true, _) => "alarm",
            (false, Some(_)) => "paused",
            (false, None) => "ok",
        };
        said.dedup();
        (state, (!said.is_empty()).then(|| said.join("; ")))
    }
}
