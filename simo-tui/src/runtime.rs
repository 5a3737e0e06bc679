//! The model's environment: terminal, clock, network. Network requests run in their own tasks, which report back as actions;
//! nothing else waits for the network.

mod feed;
mod fetch;
mod terminal;

use std::{sync::Arc, time::Duration};

use crossterm::event::EventStream;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use simo_common::{
    client::{Client, Connection},
    lang::Lang,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{
        Notify,
        mpsc::{self, Receiver, Sender},
    },
    task::JoinHandle,
    time::MissedTickBehavior,
};

use crate::{
    action::{Action, Effect},
    keys,
    model::Model,
    update::update,
    view,
};

/// Interval of the clock ticks.
const TICK: Duration = Duration::from_millis(250);

/// The current time of the operator's machine.
pub(crate) fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods, reason = "the one place where this program asks what time it is")]
    Timestamp::now()
}

/// Runs the program until the operator quits.
///
/// # Errors
/// When the terminal fails, or the connection cannot be set up.
pub(crate) async fn run(mut model: Model, connection: Connection) -> anyhow::Result<()> {
    let mut world = World::new(connection, model.lang)?;
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
                    Effect::Quit => return Ok(()),
                    Effect::Repaint => terminal.clear()?,
                    other => world.perform(other)?,
                }
            }
            // Actions that arrived meanwhile are drawn together.
            next = world.incoming.try_recv().ok();
        }
        terminal.draw(|frame| view::draw(&model, frame))?;
        next = tokio::select! {
            event = events.next() => match event {
                Some(event) => keys::action(model.focus, &event?),
                None => return Ok(()),
            },
            Some(action) = world.incoming.recv() => Some(action),
            _ = ticks.tick() => Some(Action::Tick(now())),
            _ = hangup.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
    }
}

/// Runs the effects: calls the server as one caller, for one client.
struct World {
    connection: Connection,
    lang: Lang,
    client: Client,
    actions: Sender<Action>,
    incoming: Receiver<Action>,
    feed: JoinHandle<()>,
    wake: Arc<Notify>,
}

impl World {
    fn new(connection: Connection, lang: Lang) -> anyhow::Result<Self> {
        let client = connection.open(lang)?;
        let (actions, incoming) = mpsc::channel(256);
        let wake = Arc::new(Notify::new());
        Ok(Self {
            feed: tokio::spawn(feed::follow(client.clone(), actions.clone(), Arc::clone(&wake))),
            connection,
            lang,
            client,
            actions,
            incoming,
            wake,
        })
    }

    fn perform(&mut self, effect: Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Load(load) => self.ask(|client| fetch::page(client, load)),
            Effect::Story(key) => self.ask(|client| fetch::story(client, key)),
            Effect::Ask(question) => self.ask(|client| fetch::answer(client, question)),
            Effect::Names => self.ask(fetch::names),
            Effect::Clients => self.ask(fetch::clients),
            Effect::LookAt(slug) => self.look_at(slug)?,
            Effect::Speak(lang) => {
                self.lang = lang;
                self.client = self.connection.open(lang)?;
            }
            Effect::Reconnect => self.wake.notify_one(),
            Effect::Quit | Effect::Repaint => {}
        }
        Ok(())
    }

    /// Replaces the whole world: late answers for the previous client go nowhere.
    fn look_at(&mut self, slug: String) -> anyhow::Result<()> {
        self.feed.abort();
        self.connection.client = Some(slug);
        *self = Self::new(self.connection.clone(), self.lang)?;
        Ok(())
    }

    /// Runs a request in its own task.
    fn ask<F>(&self, request: impl FnOnce(Client) -> F)
    where
        F: Future<Output = Action> + Send + 'static,
    {
        let actions = self.actions.clone();
        let answer = request(self.client.clone());
        tokio::spawn(async move {
            // After the operator has quit, the channel is closed.
            let _ = actions.send(answer.await).await;
        });
    }
}
