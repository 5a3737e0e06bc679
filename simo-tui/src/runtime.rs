//! The world around the model: terminal, clock, network. Nothing here waits for the network but tasks of their own,
//! which report back as actions.

mod feed;
mod fetch;
mod terminal;

use std::{sync::Arc, time::Duration};

use crossterm::event::EventStream;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use simo_common::{client::Connection, lang::Lang};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    time::MissedTickBehavior,
};

use crate::{
    action::{Action, Effect},
    keys,
    model::Model,
    update::update,
    view,
};

/// How often time passes.
const TICK: Duration = Duration::from_millis(250);

/// The operator's clock.
pub(crate) fn now() -> Timestamp {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place where this program asks what time it is"
    )]
    Timestamp::now()
}

/// Runs the program until the operator leaves it.
///
/// # Errors
/// When the terminal fails, or the connection cannot be set up.
pub(crate) async fn run(mut model: Model, connection: &Connection) -> anyhow::Result<()> {
    let (sender, mut actions) = mpsc::channel(256);
    let wake = Arc::new(Notify::new());
    let mut world = World {
        fetch: fetch::Fetch::new(connection.clone(), model.lang, sender.clone())?,
        wake: Arc::clone(&wake),
    };
    let feed = tokio::spawn(feed::follow(connection.open(model.lang)?, sender, wake));
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);

    let mut terminal = terminal::Terminal::open()?;
    let mut events = EventStream::new();
    let (columns, lines) = terminal.size()?;
    let mut next = Some(Action::Resize(columns, lines));
    loop {
        while let Some(action) = next {
            for effect in update(&mut model, action) {
                match effect {
                    Effect::Quit => {
                        feed.abort();
                        return Ok(());
                    }
                    Effect::Repaint => terminal.clear()?,
                    other => world.perform(other)?,
                }
            }
            // What has come in meanwhile is drawn together.
            next = actions.try_recv().ok();
        }
        terminal.draw(|frame| view::draw(&model, frame))?;
        next = tokio::select! {
            event = events.next() => match event {
                Some(event) => keys::action(model.focus, &event?),
                None => return Ok(()),
            },
            Some(action) = actions.recv() => Some(action),
            _ = ticks.tick() => Some(Action::Tick(now())),
            _ = hangup.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
    }
}

/// What effects reach.
struct World {
    fetch: fetch::Fetch,
    wake: Arc<Notify>,
}

impl World {
    fn perform(&mut self, effect: Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Load(load) => self.fetch.page(load),
            Effect::Story(key) => self.fetch.story(key),
            Effect::Names => self.fetch.names(),
            Effect::Reconnect => self.wake.notify_one(),
            Effect::Speak(lang) => self.speak(lang)?,
            Effect::Quit | Effect::Repaint => {}
        }
        Ok(())
    }

    fn speak(&mut self, lang: Lang) -> anyhow::Result<()> {
        Ok(self.fetch.speak(lang)?)
    }
}
