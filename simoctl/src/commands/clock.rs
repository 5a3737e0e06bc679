//! `simoctl clock`: how the server's clock was set, and whether the server trusts it.

use clap::Subcommand;
use simo_common::api::clock::{ClockState, ClockStep};

use crate::{
    failure::Failure,
    output::{Column, Record, Value},
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show what time it is for the server, and how its clock was set
    Show,
    /// Say that the clock is right after it was set ahead: what has expired by it is given up at once
    Accept,
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Show => Ok(session.out.record(&api.clock().await?)?),
        Verb::Accept => {
            let state = api.accept_clock().await?;
            session.out.record(&state)?;
            session.done(session.say("The clock is accepted.", "Часы приняты."));
            Ok(())
        }
    }
}

/// `+7200 s`, and when.
fn step(step: &ClockStep) -> String {
    format!("{:+} s: {:.0}", step.seconds, step.at)
}

impl Record for ClockState {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("now", "Time", "Время", |c| c.now.into()),
        Column::new("jump", "Jump ahead", "Скачок вперёд", |c| match &c.jump {
            None => Value::Nothing,
            Some(jump) => {
                let text = jump.text();
                Value::Code(text.en.clone(), (text.en, text.ru), None)
            }
        }),
        Column::new("steps", "Steps", "Переводы", |c| {
            (&c.steps.iter().map(step).collect::<Vec<_>>()).into()
        }),
    ];
}
