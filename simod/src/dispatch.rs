//! Dispatch: claims due pushes, sends them through their channel, and stores the results.
//!
//! A permit is held from the claim until the result is committed, so that a crash repeats no more pushes than there are
//! permits. A slow or dead channel uses up only its own permits, and one client's crowd never all of a channel's. Where a
//! channel has several providers, trouble at one holds up no phones of the others.

mod brake;
mod channels;
mod finish;
mod gate;
mod health;
mod learned;
mod permits;
mod provider;
mod retry;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use simo_common::{
    api::access::{Payload, WebPush},
    delivery::Reason,
    time,
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::task::TaskTracker;

pub(crate) use self::channels::start;
use self::{
    brake::Brake,
    finish::Done,
    permits::{Permit, Permits},
    provider::Provider,
    retry::{Policy, Try},
};
use crate::{
    app::App,
    background::keep_up,
    batch::Batcher,
    channel::{Accepted, Channel, ChannelKind, Failure, Outgoing},
    news,
    store::{self, ClaimedPush, DeviceEffect, DeviceNo, Finished, PushKey, PushResult, Room},
};

/// Dispatch polls after this long without a wake-up, because retries come due without one.
const POLL: Duration = Duration::from_millis(250);

/// A claimed push is sent within this time, or not at all.
const START_WITHIN: Duration = Duration::from_secs(10);

/// How long results may wait to be stored before their claims run out and the pushes count as lost.
const FLUSH: Duration = Duration::from_secs(10);

/// How long a provider's device count is recent enough for the brake.
const COUNTED_FOR: i64 = 10 * time::SECOND;

/// One channel's dispatch.
#[derive(Debug)]
struct Dispatcher<C> {
    app: Arc<App>,
    channel: C,
    policy: Policy,
    permits: Arc<Permits>,
    /// How long a claim lasts: longer than a try and storing its result.
    lease: Duration,
    /// Notified when permits come back.
    freed: Arc<Notify>,
    finished: Batcher<Done, ()>,
    /// Providers by name. `None`: the channel's only provider, or, with several, the one under which skipped pushes are
    /// counted.
    providers: Mutex<BTreeMap<Option<String>, Arc<Provider>>>,
}

/// The phones of a provider.
#[derive(Default)]
struct Phones {
    in_use: u64,
    /// Devices whose addresses were reported dead lately, and when.
    dead: Vec<(DeviceNo, i64)>,
}

/// Whether a device's quarantine lets a push through.
enum Clearance {
    /// Send it.
    Send,
    /// Send it, to see whether the address still is dead.
    Probe,
    /// Do not send it.
    Refused(PushResult),
}

impl<C: Channel> Dispatcher<C> {
    fn start(app: &Arc<App>, tracker: &TaskTracker, channel: C) {
        let freed = Arc::new(Notify::new());
        let dispatcher = Arc::new(Self {
            app: app.clone(),
            policy: Policy::new(&app.config.delivery),
            permits: Arc::new(Permits::default()),
            lease: START_WITHIN + channel.time_out() + FLUSH,
            freed: freed.clone(),
            finished: finish::batcher(app, tracker, freed),
            providers: Mutex::default(),
            channel,
        });
        let pushes = tracker.clone();
        keep_up(tracker, C::KIND.as_str(), move || {
            let (dispatcher, pushes) = (dispatcher.clone(), pushes.clone());
            async move { dispatcher.run(&pushes).await }
        });
    }

    /// Claims and sends until simod is about to stop; pushes in progress then finish by themselves. A claim is never
    /// interrupted: its pushes would stay claimed but unsent.
    async fn run(self: &Arc<Self>, tracker: &TaskTracker) {
        let leaving = &self.app.leaving;
        self.recall().await;
        while !leaving.is_cancelled() {
            self.publish();
            let (more, full) = self.send_what_is_due(tracker).await;
            // `Notify` stores a wake-up that came since the claim.
            tokio::select! {
                () = self.app.wake.pushes.notified(), if !full => {}
                () = self.freed.notified(), if more || full => {}
                () = tokio::time::sleep(self.pause()) => {}
                () = leaving.cancelled() => {}
            }
        }
    }

    /// Sends due pushes as far as there is room. Returns whether there may be more, and whether there is no room left for
    /// any client.
    async fn send_what_is_due(self: &Arc<Self>, tracker: &TaskTracker) -> (bool, bool) {
        let room = self.room();
        let free = room.free();
        if room.is_full() {
            return (true, true);
        }
        match self.app.store.claim(C::KIND, room, self.lease).await {
            Ok(claimed) => {
                let full = claimed.pushes.len() >= free;
                for push in claimed.pushes {
                    let permit = self.permits.take(push.claim.key.client_no);
                    tracker.spawn(self.clone().push(push, permit));
                }
                (claimed.more, full)
            }
            Err(error) => {
                news::warn(&format!("cannot claim pushes of {}", C::KIND), &error);
                (false, false)
            }
        }
    }

    /// How many more pushes may be in progress, and how many each client has.
    fn room(&self) -> Room {
        let (under_way, held) = self.permits.held();
        let width = match C::PROVIDER_OF {
            None => self.provider(None).learned().gate.width(self.app.clock().now()),
            // Where one provider is closed, another may be open.
            Some(_) => self.channel.permits(),
        };
        Room::new(width, width.saturating_sub(under_way), held)
    }

    /// How long to wait without a wake-up: until a gate opens, or until retries may be due.
    fn pause(&self) -> Duration {
        let now = self.app.clock().now();
        let gates = self.providers();
        match gates.iter().filter_map(|provider| provider.learned().gate.opens_at(now)).min() {
            Some(opens_at) => POLL.min(Duration::from_micros((opens_at - now).max(0) as u64)),
            None => POLL,
        }
    }

    /// A push from claim to stored result.
    async fn push(self: Arc<Self>, push: ClaimedPush, permit: Permit) {
        let (claim, tries) = (push.claim.clone(), push.tries);
        let name_of = C::PROVIDER_OF.filter(|_| push.skip.is_none());
        let provider = self.provider(name_of.map(|name_of| name_of(&push.address).to_owned()));
        let (result, probe) = AssertUnwindSafe(self.attempt(&provider, push))
            .catch_unwind()
            .await
            // Perhaps it was a probe: allow another one.
            .unwrap_or_else(|_| (self.broken(tries), true));
        let key = claim.key;
        provider.metrics.count(&result);
        let (got_through, waits) = (
            matches!(result, PushResult::Accepted { .. }),
            matches!(result, PushResult::Retry { counts: true, .. }),
        );
        let done = Done { finished: Finished { claim, at: self.app.clock().now(), result }, permit };
        // The batcher outlives this task, which holds it.
        let _stored = self.finished.submit(done).await;
        let now = self.app.clock().now();
        if probe {
            provider.learned().settle_probe(key.device_no, now);
        }
        if waits {
            provider.learned().waits(key.device_no, now);
        }
        if got_through && provider.learned().has_waited(key.device_no) {
            self.hasten(key).await;
        }
    }

    /// A phone is reachable again: makes its waiting pushes due now.
    async fn hasten(&self, key: PushKey) {
        match self.app.store.hasten(key).await {
            Ok(()) => self.app.wake.pushes.notify_one(),
            Err(error) => {
                tracing::warn!(%error, "waiting pushes of a reachable phone keep their retry times");
            }
        }
    }

    /// The result after a panic: the push waits like any that failed, and its claim is released.
    fn broken(&self, tries: u32) -> PushResult {
        PushResult::Retry {
            due_at: self.app.clock().now() + self.policy.back_off(tries, rand::random()).as_micros() as i64,
            answer: "a fault in simod; its log has more".to_owned(),
            counts: true,
        }
    }

    /// Sends a push if it may be sent. Also returns whether it was a probe.
    async fn attempt(&self, provider: &Provider, push: ClaimedPush) -> (PushResult, bool) {
        if let Some(skip) = push.skip {
            return (PushResult::Skipped(skip), false);
        }
        let now = self.app.clock().now();
        // This process was suspended: another instance may have taken the push over.
        if push.claimed.elapsed() > START_WITHIN {
            let result = PushResult::Retry {
                due_at: now,
                answer: "claimed too long ago to be sent".to_owned(),
                counts: false,
            };
            return (result, false);
        }
        let _under_way = match provider.admit(now, push.accepted_at) {
            Ok(under_way) => under_way,
            Err(result) => return (result, false),
        };
        let probe = match self.clear(provider, &push, now) {
            Clearance::Send => false,
            Clearance::Probe => true,
            Clearance::Refused(result) => return (result, false),
        };
        let attempt = Try {
            tries: push.tries,
            accepted_at: push.accepted_at,
            now,
            probe,
            braked: false,
            reopens_at: None,
            sample: rand::random(),
        };
        let device_no = push.claim.key.device_no;
        // The provider gets the remaining time to live, never more than the original.
        let left_from = self.app.clock().settled().max(push.accepted_at);
        let outgoing = outgoing(C::KIND, push, left_from);
        let started = Instant::now();
        let sent = self.channel.send(&outgoing).await;
        provider.metrics.took(started.elapsed());
        let result = self.judge(provider, sent, device_no, attempt).await;
        (result, probe)
    }

    /// Whether a device's quarantine lets a push through: a dead address gets a probe after a while.
    fn clear(&self, provider: &Provider, push: &ClaimedPush, now: i64) -> Clearance {
        let Some(quarantined_at) = push.quarantined_at else {
            return Clearance::Send;
        };
        let delivery = &self.app.config.delivery;
        let probe_from =
            quarantined_at.saturating_add((delivery.quarantine_probe_seconds * time::SECOND as f64) as i64);
        // A time before it means that the clock was ahead, and the address has waited long enough.
        if (quarantined_at..probe_from).contains(&now) {
            return Clearance::Refused(PushResult::Failed {
                reason: Reason::Quarantined,
                answer: "not sent: the address was reported dead".to_owned(),
                device: DeviceEffect::None,
            });
        }
        if provider.learned().begin_probe(push.claim.key.device_no, now) {
            return Clearance::Probe;
        }
        Clearance::Refused(PushResult::Retry {
            due_at: now + self.policy.back_off(0, rand::random()).as_micros() as i64,
            answer: "waits for another push that probes the quarantined address".to_owned(),
            counts: false,
        })
    }

    /// What a provider's answer means for the push and for the provider.
    async fn judge(
        &self,
        provider: &Provider,
        sent: Result<Accepted, Failure>,
        device_no: DeviceNo,
        attempt: Try,
    ) -> PushResult {
        if matches!(sent, Err(Failure::DeadAddress { .. })) {
            self.count_devices(provider).await;
        }
        let now = self.app.clock().now();
        let mut attempt = Try { now, ..attempt };
        let mut learned = provider.learned();
        match sent {
            Ok(accepted) => {
                learned.gate.passed(now);
                learned.brake.lives(device_no);
                PushResult::Accepted { answer: accepted.answer }
            }
            Err(failure) => {
                learned.take_note(&failure, device_no, &mut attempt);
                retry::verdict(failure, attempt, self.policy)
            }
        }
    }

    /// Loads the state of the providers' phones from the database.
    async fn recall(&self) {
        match self.phones().await {
            Ok(all) => {
                for (name, phones) in all {
                    let provider = self.provider(name);
                    let mut learned = provider.learned();
                    learned.brake = Brake::new(&self.app.config.delivery, phones.dead);
                    learned.devices = phones.in_use;
                    learned.counted_at = self.app.clock().now();
                }
            }
            Err(error) => tracing::warn!(channel = %C::KIND, %error, "cannot read the dead addresses"),
        }
    }

    /// Counts the provider's devices, unless that was done recently.
    async fn count_devices(&self, provider: &Provider) {
        let now = self.app.clock().now();
        {
            let mut learned = provider.learned();
            // A count in the future comes from before the clock was set back.
            if (learned.counted_at..learned.counted_at.saturating_add(COUNTED_FOR)).contains(&now) {
                return;
            }
            learned.counted_at = now;
        }
        match self.phones().await {
            Ok(all) => provider.learned().devices = all.get(&provider.name).map_or(0, |phones| phones.in_use),
            Err(error) => tracing::warn!(channel = %C::KIND, %error, "cannot count the devices"),
        }
    }

    /// The channel's phones, by provider.
    async fn phones(&self) -> store::Result<BTreeMap<Option<String>, Phones>> {
        let store = &self.app.store;
        let mut all = BTreeMap::<_, Phones>::new();
        let Some(name_of) = C::PROVIDER_OF else {
            let (in_use, dead) = (store.count_devices(C::KIND).await?, store.dead_devices(C::KIND).await?);
            return Ok(BTreeMap::from([(None, Phones { in_use, dead })]));
        };
        for known in store.known_addresses(C::KIND).await? {
            let phones = all.entry(Some(name_of(&known.address).to_owned())).or_default();
            phones.in_use += u64::from(known.is_in_use);
            phones.dead.extend(known.dead_at.map(|at| (known.device_no, at)));
        }
        Ok(all)
    }

    /// Publishes the channel's health: the state of its worst provider.
    fn publish(&self) {
        let now = self.app.clock().now();
        let mut worst = "ok";
        let mut said = Vec::new();
        for provider in self.providers() {
            let (state, detail) = provider.learned().health(now);
            if state == "alarm" || worst == "ok" {
                worst = state;
            }
            let name = provider.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
            said.extend(detail.map(|detail| format!("{name}{detail}")));
        }
        health::show(&self.app, C::KIND, worst, (!said.is_empty()).then(|| said.join("; ")));
    }

    /// The provider of this name.
    fn provider(&self, name: Option<String>) -> Arc<Provider> {
        let new = |name: &Option<String>| {
            let metrics = self.app.metrics.channel(C::KIND.as_str(), name.as_deref());
            let config = &self.app.config.delivery;
            Arc::new(Provider::new(name.clone(), self.channel.permits(), config, metrics))
        };
        self.lock_providers().entry(name).or_insert_with_key(new).clone()
    }

    /// All providers known so far.
    fn providers(&self) -> Vec<Arc<Provider>> {
        self.lock_providers().values().cloned().collect()
    }

    fn lock_providers(&self) -> MutexGuard<'_, BTreeMap<Option<String>, Arc<Provider>>> {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A push as the channel needs it.
fn outgoing(channel: ChannelKind, push: ClaimedPush, now: i64) -> Outgoing {
    Outgoing {
        message_id: push.message_id,
        address: push.address,
        title: push.title,
        body: push.body,
        data: push.data,
        topic: push.topic,
        topic_name: push.topic_name,
        acs: push.acs,
        client: push.client,
        priority: push.priority,
        require_ack: push.require_ack,
        accepted_at: push.accepted_at,
        expires_at: push.expires_at,
        now,
        lang: push.lang,
        platform: push.platform,
        doorbell: match channel {
            ChannelKind::WebPush => push.webpush == WebPush::Doorbell,
            _ => push.payload == Payload::Doorbell,
        },
        notification: push.notification,
    }
}
