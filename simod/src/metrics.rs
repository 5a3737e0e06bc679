//! Metrics for Prometheus. The recorder belongs to this instance, not to the process: one program may embed several.

use std::{fmt, time::Duration};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::store::PushResult;

const MESSAGES: &str = "simo_messages_accepted_total";
const REFUSED: &str = "simo_posts_refused_total";
const REFUSED_UNTRACED: &str = "simo_posts_refused_untraced_total";
const BATCHES: &str = "simo_commit_batch_size";
const PUSHES: &str = "simo_pushes_total";
const SECONDS: &str = "simo_push_seconds";
const QUEUE: &str = "simo_push_queue";
const CLOCK: &str = "simo_clock_ahead_seconds";
const READY: &str = "simo_ready";
const NOT_READY: &str = "simo_not_ready";
const FAILED: &str = "simo_commits_failed_total";

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// All metrics.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Messages accepted and committed.
    pub messages: Counter,
    /// Refused posts without a trace, because they were of too many kinds.
    pub refused_untraced: Counter,
    /// Messages per commit.
    pub ingest_batches: Histogram,
    /// Results of pushes per commit.
    pub finish_batches: Histogram,
    /// Receipts per commit.
    pub receipt_batches: Histogram,
    /// How far the clock is ahead of the believed time.
    pub clock_ahead: Gauge,
}

/// The metrics of one channel, or of one of its providers.
#[derive(Clone)]
pub struct ChannelMetrics {
    accepted: Counter,
    retried: Counter,
    held: Counter,
    failed: Counter,
    skipped: Counter,
    seconds: Histogram,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for ChannelMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelMetrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let sizes: Vec<f64> = (0..=10).map(|power| f64::from(1 << power)).collect();
        let seconds = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
        // It only refuses an empty list.
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(BATCHES.to_owned()), &sizes)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &seconds))
            .unwrap_or_default()
            .build_recorder();
        let batches = |what| {
            recorder.register_histogram(&Key::from_parts(BATCHES, vec![Label::new("what", what)]), &METADATA)
        };
        recorder.describe_counter(name(MESSAGES), None, "Messages accepted and committed".into());
        recorder.describe_counter(name(REFUSED), None, "Posts of ACS that were refused, by code".into());
        recorder.describe_counter(
            name(REFUSED_UNTRACED),
            None,
            "Refused posts that are missing in the list: they were of too many kinds".into(),
        );
        recorder.describe_histogram(name(BATCHES), None, "Items per commit".into());
        recorder.describe_counter(name(PUSHES), None, "Pushes by how a try ended".into());
        recorder.describe_histogram(
            name(SECONDS),
            Some(Unit::Seconds),
            "Time from sending to the provider's answer".into(),
        );
        recorder.describe_gauge(
            name(QUEUE),
            None,
            "Pushes that are not done; NaN: the database does not say".into(),
        );
        recorder.describe_gauge(
            name(CLOCK),
            Some(Unit::Seconds),
            "By how much the clock was set ahead while expiry rests; else 0".into(),
        );
        recorder.describe_gauge(name(READY), None, "Whether this instance can store messages".into());
        recorder.describe_gauge(name(NOT_READY), None, "Why this instance cannot store messages".into());
        recorder.describe_counter(name(FAILED), None, "Commits that the database could not do".into());
        Self {
            messages: recorder.register_counter(&Key::from_static_name(MESSAGES), &METADATA),
            refused_untraced: recorder.register_counter(&Key::from_static_name(REFUSED_UNTRACED), &METADATA),
            ingest_batches: batches("messages"),
            finish_batches: batches("pushes"),
            receipt_batches: batches("receipts"),
            clock_ahead: recorder.register_gauge(&Key::from_static_name(CLOCK), &METADATA),
            handle: recorder.handle(),
            recorder,
        }
    }
}

impl Metrics {
    /// Counts a post refused with this code.
    pub fn refused(&self, code: &'static str) {
        let key = Key::from_parts(REFUSED, vec![Label::new("code", code)]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// The metrics of one channel, or of one of its providers.
    pub fn channel(&self, channel: &'static str, provider: Option<&str>) -> ChannelMetrics {
        let provider = provider.map(|provider| Label::new("provider", provider.to_owned()));
        let labels: Vec<_> = [Label::new("channel", channel)].into_iter().chain(provider).collect();
        let counter = |result| {
            let labels = [&*labels, &[Label::new("result", result)]].concat();
            self.recorder.register_counter(&Key::from_parts(PUSHES, labels), &METADATA)
        };
        ChannelMetrics {
            accepted: counter("accepted"),
            retried: counter("retried"),
            held: counter("held"),
            failed: counter("failed"),
            skipped: counter("skipped"),
            seconds: self.recorder.register_histogram(&Key::from_parts(SECONDS, labels.clone()), &METADATA),
        }
    }

    /// The number of unfinished pushes of a channel.
    pub fn queue(&self, channel: &'static str) -> Gauge {
        self.recorder.register_gauge(&Key::from_parts(QUEUE, vec![Label::new("channel", channel)]), &METADATA)
    }

    /// 1 if this instance can store messages, else 0.
    pub fn ready(&self) -> Gauge {
        self.recorder.register_gauge(&Key::from_static_name(READY), &METADATA)
    }

    /// 1 if this is the cause why it cannot, else 0.
    pub fn not_ready(&self, cause: &'static str) -> Gauge {
        self.recorder.register_gauge(&Key::from_parts(NOT_READY, vec![Label::new("cause", cause)]), &METADATA)
    }

    /// Commits that failed in the database.
    pub fn failed_commits(&self) -> Counter {
        self.recorder.register_counter(&Key::from_static_name(FAILED), &METADATA)
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Condenses the samples in histograms; otherwise they grow until metrics are read.
    pub fn sum_up(&self) {
        self.handle.run_upkeep();
    }
}

impl ChannelMetrics {
    /// Counts a try with this result.
    pub fn count(&self, result: &PushResult) {
        match result {
            PushResult::Accepted { .. } => &self.accepted,
            PushResult::Retry { counts: true, .. } => &self.retried,
            PushResult::Retry { counts: false, .. } => &self.held,
            PushResult::Failed { .. } => &self.failed,
            PushResult::Skipped(_) | PushResult::Again => &self.skipped,
        }
        .increment(1);
    }

    /// Records how long the provider took to answer.
    pub fn took(&self, time: Duration) {
        self.seconds.record(time.as_secs_f64());
    }
}

fn name(name: &'static str) -> KeyName {
    KeyName::from_const_str(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Skip;

    #[test]
    fn what_was_counted_is_shown() {
        let metrics = Metrics::default();
        metrics.messages.increment(3);
        metrics.refused("invalid");
        metrics.finish_batches.record(5.0);
        let channel = metrics.channel("fcm", None);
        channel.count(&PushResult::Skipped(Skip::Expired));
        channel.took(Duration::from_millis(7));
        metrics.queue("fcm").set(12.0);
        metrics.sum_up();
        let text = metrics.render();
        for line in [
            "simo_messages_accepted_total 3",
            "simo_posts_refused_total{code=\"invalid\"} 1",
            "simo_commit_batch_size_bucket{what=\"pushes\",le=\"8\"} 1",
            "simo_pushes_total{channel=\"fcm\",result=\"skipped\"} 1",
            "simo_push_seconds_bucket{channel=\"fcm\",le=\"0.01\"} 1",
            "simo_push_queue{channel=\"fcm\"} 12",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
