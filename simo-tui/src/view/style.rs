//! Colours; without them, weight and reversed video carry the same meaning.

use ratatui::style::{Color, Modifier, Style};
use simo_common::{delivery::DeliveryState, message::Priority};

/// The styles of one terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    colour: bool,
}

impl Palette {
    /// Styles with or without colours.
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn coloured(self, colour: Color, plain: Style) -> Style {
        if self.colour { Style::new().fg(colour) } else { plain }
    }

    /// A delivery's state.
    pub(crate) fn state(self, state: DeliveryState) -> Style {
        let plain = Style::new();
        match state {
            DeliveryState::Queued => self.coloured(Color::Yellow, plain),
            DeliveryState::Sent => self.coloured(Color::Blue, plain),
            DeliveryState::Delivered => self.coloured(Color::Cyan, plain),
            DeliveryState::Read => self.coloured(Color::Green, plain),
            DeliveryState::Acknowledged => self.coloured(Color::Green, plain).bold(),
            DeliveryState::Failed => self.coloured(Color::Red, plain).bold(),
            DeliveryState::Expired => self.coloured(Color::Magenta, plain),
            DeliveryState::Canceled => self.coloured(Color::DarkGray, plain),
            DeliveryState::Denied => self.coloured(Color::LightRed, plain),
        }
    }

    /// A message's urgency.
    pub(crate) fn priority(self, priority: Priority) -> Style {
        match priority {
            Priority::Low | Priority::Normal => Style::new(),
            Priority::High => self.coloured(Color::Yellow, Style::new()).bold(),
            Priority::Critical => self.coloured(Color::Red, Style::new()).bold(),
        }
    }

    /// The row under the bar; `strong` if the table has the focus.
    pub(crate) fn bar(self, strong: bool) -> Style {
        match (self.colour, strong) {
            (true, true) => Style::new().fg(Color::Black).bg(Color::Cyan),
            (true, false) => Style::new().fg(Color::White).bg(Color::DarkGray),
            (false, true) => Style::new().reversed(),
            (false, false) => Style::new().underlined(),
        }
    }

    /// Items to choose from.
    pub(crate) fn choice(self) -> Style {
        if self.colour { Style::new().fg(Color::White).bg(Color::DarkGray) } else { Style::new() }
    }

    /// The program's name.
    pub(crate) fn brand(self) -> Style {
        if self.colour {
            Style::new().fg(Color::Black).bg(Color::Cyan).bold()
        } else {
            Style::new().reversed().bold()
        }
    }

    pub(crate) fn heading(self) -> Style {
        self.coloured(Color::Cyan, Style::new()).add_modifier(Modifier::BOLD)
    }

    /// Secondary text.
    pub(crate) fn quiet(self) -> Style {
        self.coloured(Color::DarkGray, Style::new().dim())
    }

    /// Keys to press, and the keys of a query.
    pub(crate) fn key(self) -> Style {
        self.coloured(Color::Cyan, Style::new().bold())
    }

    /// Text found by the query.
    pub(crate) fn found(self) -> Style {
        self.coloured(Color::Yellow, Style::new()).underlined()
    }

    /// A good state.
    pub(crate) fn good(self) -> Style {
        self.coloured(Color::Green, Style::new())
    }

    /// A state that needs attention.
    pub(crate) fn notice(self) -> Style {
        self.coloured(Color::Yellow, Style::new()).bold()
    }

    /// An error.
    pub(crate) fn wrong(self) -> Style {
        self.coloured(Color::Red, Style::new()).bold()
    }

    /// A whole bar that shows an error.
    pub(crate) fn alarm(self) -> Style {
        if self.colour {
            Style::new().fg(Color::White).bg(Color::Red).bold()
        } else {
            Style::new().reversed()
        }
    }

    /// Frames of panes and pop-ups.
    pub(crate) fn frame(self, strong: bool) -> Style {
        if strong { self.key() } else { self.quiet() }
    }
}
