//! The addresses of a channel's phones, for a channel that recognises its phones by them.

use simo_common::{delivery::Reason, time::HOUR};

use crate::{
    channel::{Address, ChannelKind},
    store::{DeviceNo, Result, Store, db::engine::query_as},
};

/// An address that is in use, or was reported dead within the last hour.
#[derive(Debug)]
pub struct KnownAddress {
    /// Its device.
    pub device_no: DeviceNo,
    /// The address.
    pub address: Address,
    /// Whether the phone still has it.
    pub is_in_use: bool,
    /// When it was reported dead, if it was.
    pub dead_at: Option<i64>,
}

impl Store {
    /// The addresses of a channel that are in use, or were reported dead within the last hour.
    pub async fn known_addresses(&self, channel: ChannelKind) -> Result<Vec<KnownAddress>> {
        let rows = query_as(
            "select no, address, retired_at,
                 case when reason = $2 and coalesce(retired_at, quarantined_at) > $3
                     then coalesce(retired_at, quarantined_at) end
             from device where channel = $1 and address is not null
             and (retired_at is null or (reason = $2 and retired_at > $3))",
        )
        .bind(channel)
        .bind(Reason::DeadAddress)
        .bind(self.clock.now() - HOUR)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let known = |(device_no, address, retired_at, dead_at): (_, _, Option<i64>, _)| KnownAddress {
            device_no,
            address: Address::new(address),
            is_in_use: retired_at.is_none(),
            dead_at,
        };
        Ok(rows.into_iter().map(known).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Plant, START};

    #[tokio::test]
    async fn those_in_use_are_known_and_those_that_died_lately() {
        let plant = Plant::new().await;
        let (lately, before, dead) = (START - HOUR / 2, START - 2 * HOUR, Reason::DeadAddress.number());
        let columns = ["quarantined_at", "retired_at"];
        let states = columns.iter().flat_map(|column| [(column, lately, dead), (column, before, dead)]);
        let left = (&columns[1], lately, Reason::DeviceGone.number());
        for (no, (column, at, reason)) in (1..).zip(states.chain([left])) {
            let phone = plant.phone(plant.employee(no).await, Some(&no.to_string())).await;
            let device = phone.caller.device_no.0;
            plant
                .run(&format!("update device set {column} = {at}, reason = {reason} where no = {device}"))
                .await;
        }
        let mut known: Vec<_> = plant.store.known_addresses(ChannelKind::Fcm).await.unwrap();
        known.sort_by(|a, b| a.address.as_str().cmp(b.address.as_str()));
        let known: Vec<_> =
            known.iter().map(|known| (known.address.as_str(), known.is_in_use, known.dead_at)).collect();
        assert_eq!(known, [("1", true, Some(lately)), ("2", true, None), ("3", false, Some(lately))]);
    }
}
