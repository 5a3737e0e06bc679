//! What phones may read: their employee's own history, and messages that a stream still owes its device.

use simo_common::{
    api::device::DeviceMessage,
    delivery::DeliveryState,
    message::{OPERATOR, Priority},
    time::from_us,
};
use uuid::Uuid;

use crate::store::{
    ClientNo, DeviceCaller, DeviceNo, EmployeeNo, MessageNo, Result, Store,
    db::engine::{
        Conn,
        Kind::{Bytes, Truth, Whole},
        Row, query, query_as, query_scalar,
    },
    message_spans::first_since,
    phones::retire_device::oldest_open,
};

/// A phone that holds a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamPhone {
    /// The client.
    pub client_no: ClientNo,
    /// Its employee.
    pub employee_no: EmployeeNo,
    /// The device.
    pub device_no: DeviceNo,
    /// Its id.
    pub device_id: Uuid,
    /// Whether its messages are pushed to it: then the stream only shows them, and changes no claims, pushes or
    /// deliveries.
    pub is_pushed_to: bool,
    /// Hash of the token it authenticated with.
    pub token_hash: [u8; 32],
}

/// The columns that [`read_message`] reads.
macro_rules! message_columns {
    () => {
        "m.no, m.id, m.title, m.body, m.priority, m.data, m.require_ack, m.accepted_at, d.expires_at, d.state,
         t.slug as topic, t.name as topic_name, a.name as acs"
    };
}

/// Their tables, for a delivery `d`.
macro_rules! message_joins {
    () => {
        " join message m on m.client_no = d.client_no and m.no = d.message_no
         left join topic t on t.client_no = m.client_no and t.no = m.topic_no
         left join acs a on a.client_no = m.client_no and a.no = m.acs_no "
    };
}

/// The deliveries that an employee may read: none that were denied, and canceled ones only if their phone reported them
/// before.
macro_rules! own_deliveries {
    () => {
        " d.client_no = $1 and d.employee_no = $2 and d.state not in (7, 8)
         and (m.canceled_at is null or d.state in (2, 3, 4)) "
    };
}

impl Store {
    /// An employee's own messages, newest first, after `cursor` (the number of the last one); each with its number.
    pub async fn own_messages(
        &self,
        phone: &DeviceCaller,
        cursor: Option<MessageNo>,
        limit: usize,
    ) -> Result<Vec<(MessageNo, DeviceMessage)>> {
        query(concat!(
            "select ",
            message_columns!(),
            " from delivery d indexed by delivery_employee",
            message_joins!(),
            "where d.message_no < $3 and",
            own_deliveries!(),
            "order by d.message_no desc limit $4"
        ))
        .bind(phone.client_no)
        .bind(phone.employee_no)
        .bind(cursor.unwrap_or(MessageNo(i64::MAX)))
        .bind(limit as i64)
        .fetch_all(&mut *self.read_promptly().await?)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("no")?, read_message(row)?)))
        .collect()
    }

    /// One of an employee's own messages.
    pub async fn own_message(&self, phone: &DeviceCaller, id: Uuid) -> Result<Option<DeviceMessage>> {
        query(concat!(
            "select ",
            message_columns!(),
            " from delivery d",
            message_joins!(),
            "where m.client_no = $1 and m.id = $3 and",
            own_deliveries!(),
        ))
        .bind(phone.client_no)
        .bind(phone.employee_no)
        .bind(id)
        .fetch_optional(&mut *self.read_promptly().await?)
        .await?
        .as_ref()
        .map(read_message)
        .transpose()
    }

    /// The messages that streams have no receipt for: index in `phones`, and message; a phone's oldest first. A phone
    /// that is pushed to is shown the unconfirmed ones.
    pub async fn open_stream_messages(&self, phones: &[StreamPhone]) -> Result<Vec<(usize, MessageNo)>> {
        let mut reader = self.read_promptly().await?;
        let rows = |of_pushed: bool| {
            let phones = phones.iter().enumerate().filter(move |(_, phone)| phone.is_pushed_to == of_pushed);
            phones.map(|(place, phone)| {
                [
                    (place as i64).into(),
                    phone.client_no.into(),
                    phone.employee_no.into(),
                    phone.device_no.into(),
                ]
            })
        };
        let columns = [("place", Whole), ("client", Whole), ("employee", Whole), ("device", Whole)];
        let mut open: Vec<(i64, MessageNo)> = query_as(
            "select {place}, p.message_no from {rows}
             cross join push p indexed by push_pulled on p.client_no = {client} and p.device_no = {device}
                  and p.done_at is null and p.channel < 0",
        )
        .over(columns, rows(false))
        .fetch_all(&mut reader)
        .await?;
        if phones.iter().any(|phone| phone.is_pushed_to) {
            let since = first_since(&mut reader, oldest_open(self.clock.now())).await?;
            let shown: Vec<(i64, MessageNo)> = query_as(
                "select {place}, d.message_no from {rows}
                 cross join delivery d indexed by delivery_employee
                 where d.client_no = {client} and d.employee_no = {employee} and d.message_no >= $1
                   and d.state in (0, 1, 5)",
            )
            .bind(since)
            .over(columns, rows(true))
            .fetch_all(&mut reader)
            .await?;
            open.extend(shown);
        }
        open.sort_unstable();
        Ok(open.into_iter().map(|(place, no)| (place as usize, no)).collect())
    }

    /// The texts of messages owed to streams, the oldest first, without canceled, denied or expired ones.
    pub async fn stream_messages(
        &self,
        owed: &[(usize, StreamPhone, MessageNo)],
    ) -> Result<Vec<(usize, DeviceMessage)>> {
        let rows = owed.iter().map(|(place, phone, message)| {
            [(*place as i64).into(), phone.client_no.into(), phone.employee_no.into(), (*message).into()]
        });
        query(concat!(
            "select {place} as place, ",
            message_columns!(),
            " from {rows} join delivery d
                  on d.client_no = {client} and d.employee_no = {employee} and d.message_no = {message}",
            message_joins!(),
            "where m.canceled_at is null and d.expires_at > $1
             and d.state not in (7, 8)
             order by d.message_no"
        ))
        .bind(self.clock.settled())
        .over([("place", Whole), ("client", Whole), ("employee", Whole), ("message", Whole)], rows)
        .fetch_all(&mut *self.read_promptly().await?)
        .await?
        .iter()
        .map(|row| Ok((row.try_get::<i64, _>("place")? as usize, read_message(row)?)))
        .collect()
    }

    /// The indexes of `phones` that may hold no stream any more: the token is invalid, the device retired or has
    /// another way, the employee blocked or archived.
    pub async fn lost_streams(&self, phones: &[StreamPhone]) -> Result<Vec<usize>> {
        let lost: Vec<i64> = query_scalar(
            "select {#} from {rows} where not exists (
                 select 1 from token t
                 join client c on c.no = t.client_no and c.archived_at is null
                 join device d on d.client_no = t.client_no and d.no = t.holder_no and d.retired_at is null
                      and (d.channel > 0) = {is_pushed_to}
                 join employee e on e.client_no = d.client_no and e.no = d.employee_no and e.blocked_at is null
                      and e.archived_at is null
                 where t.hash = {hash} and t.kind = 'device' and t.revoked_at is null
                 and (t.expires_at is null or t.expires_at > $1))",
        )
        .bind(self.clock.now())
        .over(
            [("hash", Bytes), ("is_pushed_to", Truth)],
            phones.iter().map(|phone| [phone.token_hash.to_vec().into(), phone.is_pushed_to.into()]),
        )
        .fetch_all(&mut *self.read_promptly().await?)
        .await?;
        Ok(lost.into_iter().map(|place| place as usize).collect())
    }
}

/// An employee's own messages with these numbers, in their order.
pub(in crate::store) async fn read_own(
    conn: &mut Conn,
    phone: &DeviceCaller,
    numbers: &[MessageNo],
) -> Result<Vec<DeviceMessage>> {
    query(concat!(
        "select ",
        message_columns!(),
        " from {rows} join delivery d on d.message_no = {message}",
        message_joins!(),
        "where",
        own_deliveries!(),
        "order by {#}"
    ))
    .bind(phone.client_no)
    .bind(phone.employee_no)
    .each(("message", Whole), numbers.iter().copied())
    .fetch_all(conn)
    .await?
    .iter()
    .map(read_message)
    .collect()
}

fn read_message(row: &Row) -> Result<DeviceMessage> {
    let acs: Option<String> = row.try_get("acs")?;
    Ok(DeviceMessage {
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        topic: row.try_get("topic")?,
        topic_name: row.try_get("topic_name")?,
        acs: acs.unwrap_or_else(|| OPERATOR.to_owned()),
        priority: Priority::from_rank(row.try_get("priority")?),
        data: row.json("data")?,
        require_ack: row.try_get("require_ack")?,
        accepted_at: from_us(row.try_get("accepted_at")?),
        expires_at: from_us(row.try_get("expires_at")?),
        state: DeliveryState::from_rank(row.try_get("state")?).unwrap_or(DeliveryState::Queued),
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::Plant;

    #[tokio::test]
    async fn a_new_phone_reads_what_was_accepted_for_its_employee_before_it_came() {
        let plant = Plant::new().await;
        let (me, other) = (plant.employee(1).await, plant.employee(2).await);
        for title in ["first", "second", "third"] {
            plant.message(title, &[me, other]).await;
            plant.advance(1);
        }
        for (title, change) in [
            ("denied", "delivery set outcome = 8 where message_no"),
            ("canceled", "delivery set outcome = 7 where message_no"),
            ("canceled when sent", "message set canceled_at = 1 where no"),
        ] {
            let message = plant.message(title, &[me]).await;
            plant.run(&format!("update {change} = {}", message.no.0)).await;
            let phone = plant.phone(me, None).await;
            assert_eq!(plant.store.own_message(&phone.caller, message.id).await.unwrap(), None);
        }
        let foreign = plant.message("other", &[other]).await;
        let phone = plant.phone(me, None).await.caller;
        assert_eq!(plant.store.own_message(&phone, foreign.id).await.unwrap(), None);

        let first_page = plant.store.own_messages(&phone, None, 2).await.unwrap();
        let (cursor, last) = first_page.last().unwrap();
        assert_eq!((&*last.title, &*last.acs), ("second", "scada"));
        assert_eq!(last.topic_name.as_deref(), Some("Котельная"));
        assert_eq!(last.data.as_ref().unwrap().as_str(), "{\"unit\":3}");
        let rest = plant.store.own_messages(&phone, Some(*cursor), 2).await.unwrap();
        let titles: Vec<_> = first_page.iter().chain(&rest).map(|(_, m)| m.title.as_str()).collect();
        assert_eq!(titles, ["third", "second", "first"]);
    }

    #[tokio::test]
    async fn a_message_that_was_read_stays_in_the_own_history_when_it_is_canceled() {
        let plant = Plant::new().await;
        let me = plant.employee(1).await;
        let id = plant.message("read", &[me]).await.id;
        plant.run("update delivery set read_at = 1; update message set canceled_at = 2").await;
        let phone = plant.phone(me, None).await.caller;
        assert!(plant.store.own_message(&phone, id).await.unwrap().is_some());
    }
}
