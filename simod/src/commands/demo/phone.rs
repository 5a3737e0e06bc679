//! A phone of the demo: paired, on the `stream` channel, sending receipts.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use simo_common::{
    api::{
        device::{ChannelAddress, DeviceMessage, Pair, Receipt},
        people::{NewEmployee, NewInvite},
    },
    client::{Client, Result, Server},
    lang::Lang,
    receipt::ReceiptKind,
};
use simod::clock::Clock;
use tokio::sync::watch;

/// A phone of an employee.
pub(super) struct Phone {
    owner: String,
    received: Arc<Mutex<Vec<DeviceMessage>>>,
    live: Arc<AtomicBool>,
}

impl Phone {
    /// Pairs a phone with an employee, and lets it listen for as long as the program runs. `total` counts the messages of
    /// all phones.
    pub(super) async fn pair(
        admin: &Client,
        server: &Server,
        employee: &NewEmployee,
        total: watch::Sender<u64>,
        lang: Lang,
    ) -> Result<Self> {
        let invite = NewInvite { employee: employee.personnel_no.clone(), valid_for: None };
        let code = admin.invite_device(&invite).await?.code;
        let pair = Pair {
            code: code.clone(),
            key: None,
            channel: ChannelAddress {
                kind: "stream".to_owned(),
                address: None,
                address_kind: None,
                endpoint: None,
                keys: None,
                notifications: None,
            },
            name: lang.pick("demo phone", "демо-телефон").to_owned(),
            platform: "cli".to_owned(),
        };
        let stranger = Client::new(server, lang)?;
        let paired = stranger.pair(&pair).await?;
        say!(
            "  {:<24} {}",
            employee.full_name,
            lang.pick("paired with code ", "подключён по коду ").to_owned() + &code
        );
        let phone =
            Self { owner: employee.full_name.clone(), received: Arc::default(), live: Arc::default() };
        let (received, live, owner) = (phone.received.clone(), phone.live.clone(), phone.owner.clone());
        let client = stranger.with_token(paired.token);
        tokio::spawn(async move {
            // The connection ends when the demo does.
            let Ok(mut stream) = client.own_stream().await else {
                return;
            };
            while let Some(Ok(message)) = stream.next().await {
                if live.load(Ordering::Relaxed) {
                    say!("  [{owner}] {}", message.title);
                }
                let receipts = receipts(&message);
                let seen = {
                    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                    let seen = received.iter().any(|earlier| earlier.id == message.id);
                    if !seen {
                        received.push(message);
                    }
                    seen
                };
                if !seen {
                    total.send_modify(|total| *total += 1);
                }
                if client.send_receipts(&receipts).await.is_err() {
                    return;
                }
            }
        });
        Ok(phone)
    }

    /// Shows the received messages.
    pub(super) fn print(&self, lang: Lang) {
        say!("  {}", self.owner);
        for message in self.received.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let ack = if message.require_ack {
                lang.pick(" (acknowledged)", " (подтверждено)")
            } else {
                ""
            };
            say!("    {:<9} {}{ack}", message.priority.as_str(), message.title);
        }
        say!();
    }

    /// From now on shows each message as it arrives.
    pub(super) fn report_live(&self) {
        self.live.store(true, Ordering::Relaxed);
    }
}

/// The receipts of a phone whose owner acknowledges when asked to.
fn receipts(message: &DeviceMessage) -> Vec<Receipt> {
    let at = Timestamp::from_microsecond(Clock::System.now()).unwrap_or_default();
    let receipt = |kind| Receipt { message_id: message.id, kind, at, by: None };
    let mut receipts = vec![receipt(ReceiptKind::Delivered)];
    if message.require_ack {
        receipts.push(receipt(ReceiptKind::Acknowledged));
    }
    receipts
}
