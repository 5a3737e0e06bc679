//! Reports that this instance is not ready, and that it is again: `alarm_command` gets the reason on its standard
//! input. The program decides what to do with it (a text message, a call, a mail); simod cannot send anything itself
//! then.

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use simo_common::lang::Text;
use tokio::{io::AsyncWriteExt as _, process::Command};
use tokio_util::task::TaskTracker;

use crate::{app::App, background::keep_up_until_shutdown, health::Trouble};

/// The same reason is reported at most this often.
const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// How long the program may run.
const LIMIT: Duration = Duration::from_secs(30);

/// What has been reported.
#[derive(Debug, Default)]
struct Told {
    /// Each reason, and when it was last reported.
    reasons: HashMap<String, Instant>,
    /// Since when we are not ready, and the last reason reported for it.
    not_ready: Option<(Instant, Option<Text>)>,
}

/// A report to send.
#[derive(Debug, PartialEq, Eq)]
enum News {
    NotReady(Text),
    ReadyAgain { after: Duration, reason: Text },
}

impl Told {
    /// The report that the current trouble calls for; otherwise when to check again even if nothing changes.
    fn learn(&mut self, trouble: Option<&Trouble>, now: Instant) -> Result<News, Option<Instant>> {
        self.reasons.retain(|_, then| now.duration_since(*then) < AGAIN_AFTER);
        let Some(Trouble { reason, .. }) = trouble else {
            return match self.not_ready.take() {
                Some((since, Some(reason))) => {
                    Ok(News::ReadyAgain { after: now.duration_since(since), reason })
                }
                _ => Err(None),
            };
        };
        let (_, told) = self.not_ready.get_or_insert((now, None));
        if told.as_ref() == Some(reason) {
            return Err(None);
        }
        if let Some(then) = self.reasons.get(&reason.en) {
            return Err(Some(*then + AGAIN_AFTER));
        }
        *told = Some(reason.clone());
        self.reasons.insert(reason.en.clone(), now);
        Ok(News::NotReady(reason.clone()))
    }
}

impl News {
    /// The text of the report, in both languages, with the instance's name.
    fn in_words(&self, instance: &str) -> String {
        match self {
            Self::NotReady(reason) => format!(
                "simod {instance}: not ready: {}\nsimod {instance}: не готов: {}\n",
                reason.en, reason.ru
            ),
            Self::ReadyAgain { after, reason } => {
                let seconds = after.as_secs();
                format!(
                    "simod {instance}: ready again after {seconds} s; it was: {}\n\
                     simod {instance}: снова готов через {seconds} с; было: {}\n",
                    reason.en, reason.ru
                )
            }
        }
    }
}

/// Reports until shutdown, if a program is configured.
pub(crate) fn start(app: &Arc<App>, tracker: &TaskTracker) {
    let Some(program) = &app.config.alarm_command else {
        return;
    };
    if !program.is_file() {
        tracing::error!(program = %program.display(), "`alarm_command` is not a file: nobody will be alerted");
    }
    keep_up_until_shutdown(&app.shutdown, app, tracker, "alarm", async |app| tell(&app).await);
}

async fn tell(app: &App) {
    let Some(program) = &app.config.alarm_command else {
        return;
    };
    let mut told = Told::default();
    let mut health = app.health.follow();
    // Starting up is no alarm.
    health.mark_unchanged();
    let mut look_at = None;
    loop {
        let waited = async {
            match look_at {
                Some(moment) => tokio::time::sleep_until(tokio::time::Instant::from_std(moment)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = health.changed() => if changed.is_err() { return },
            () = waited => {}
        }
        let trouble = health.borrow_and_update().clone();
        look_at = match told.learn(trouble.as_deref(), Instant::now()) {
            Ok(news) => {
                run(program, &news.in_words(&app.config.found_at())).await;
                None
            }
            Err(look_at) => look_at,
        };
    }
}

/// Runs the program with the text on its standard input. Its standard error goes to our log.
async fn run(program: &Path, text: &str) {
    let ended = tokio::time::timeout(LIMIT, async {
        // The environment may hold our own secrets, and the database's.
        let is_secret =
            |name: &OsStr| ["SIMO_", "PG"].iter().any(|of| name.to_string_lossy().starts_with(of));
        let foreign = std::env::vars_os().filter(|(name, _)| !is_secret(name));
        let mut child = Command::new(program)
            .env_clear()
            .envs(foreign)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // The program need not read its input.
            let _unread = stdin.write_all(text.as_bytes()).await;
        }
        child.wait().await
    });
    let program = program.display();
    match ended.await {
        Ok(Ok(status)) if status.success() => tracing::info!(%program, "the alarm command was run"),
        Ok(Ok(status)) => tracing::error!(%program, %status, "the alarm command failed"),
        Ok(Err(error)) => tracing::error!(%program, %error, "the alarm command cannot be run"),
        Err(_) => tracing::error!(%program, "the alarm command did not end within {} s", LIMIT.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use simo_common::text;

    use super::*;

    #[test]
    fn a_reason_is_told_once_in_ten_minutes_and_its_end_to_those_who_were_told() {
        let (mut told, start) = (Told::default(), Instant::now());
        let at = |minutes| start + Duration::from_mins(minutes);
        let (full, away) =
            (Trouble::of_starting(text!("full", "мало места")), Trouble::of_starting(text!("away", "нет")));
        let not_ready = |trouble: &Trouble| Ok(News::NotReady(trouble.reason.clone()));
        let again = |minutes, trouble: &Trouble| {
            Ok(News::ReadyAgain { after: Duration::from_mins(minutes), reason: trouble.reason.clone() })
        };
        assert_eq!(told.learn(None, at(0)), Err(None));
        assert_eq!(told.learn(Some(&full), at(1)), not_ready(&full));
        assert_eq!(told.learn(Some(&full), at(2)), Err(None), "it goes on");
        assert_eq!(told.learn(Some(&away), at(3)), not_ready(&away), "another reason");
        assert_eq!(told.learn(None, at(4)), again(3, &away));
        // Trouble that comes and goes is reported only if it stays.
        assert_eq!(told.learn(Some(&full), at(5)), Err(Some(at(11))));
        assert_eq!(told.learn(None, at(6)), Err(None));
        assert_eq!(told.learn(Some(&full), at(7)), Err(Some(at(11))));
        assert_eq!(told.learn(Some(&full), at(11)), not_ready(&full));
        assert_eq!(told.learn(None, at(12)), again(5, &full));
    }

    #[test]
    fn who_is_told_reads_why_in_both_languages() {
        let news = News::NotReady(text!("full", "мало места")).in_words("https://simo.example.org");
        assert_eq!(
            news,
            "simod https://simo.example.org: not ready: full\nsimod https://simo.example.org: не готов: мало места\n"
        );
    }
}
