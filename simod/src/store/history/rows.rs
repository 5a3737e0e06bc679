//! Deliveries as history shows them.

use jiff::Timestamp;
use simo_common::{
    api::history::Delivery,
    delivery::{DeliveryState, Reason},
    message::{OPERATOR, Priority},
    time::from_us,
};

use super::scan::DeliveryKey;
use crate::store::{
    ClientNo, Result,
    db::engine::{Conn, Kind::Whole, Row, query},
};

/// The deliveries with these keys, in their order.
pub(super) async fn read(
    conn: &mut Conn,
    client_no: ClientNo,
    keys: &[DeliveryKey],
) -> Result<Vec<Delivery>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let keys = keys.iter().map(|key| [key.message_no.into(), key.employee_no.into()]);
    let rows = query(
        "select d.*, m.id as message_id, m.accepted_at, m.title, m.priority, m.require_ack, c.slug as client,
                e.personnel_no, e.full_name, t.slug as topic, a.name as acs
         from {rows}
         cross join client c on c.no = $1
         cross join delivery d on d.client_no = $1 and d.message_no = {message} and d.employee_no = {employee}
         cross join message m on m.client_no = $1 and m.no = d.message_no
         cross join employee e on e.client_no = $1 and e.no = d.employee_no
         left join topic t on t.client_no = $1 and t.no = m.topic_no
         left join acs a on a.client_no = $1 and a.no = m.acs_no
         order by {#}",
    )
    .bind(client_no)
    .over([("message", Whole), ("employee", Whole)], keys)
    .fetch_all(conn)
    .await?;
    rows.iter().map(delivery).collect()
}

fn delivery(row: &Row) -> Result<Delivery> {
    let at = |column| moment(row, column);
    let state = DeliveryState::from_rank(row.try_get("state")?).unwrap_or(DeliveryState::Queued);
    let reason: Option<Reason> = row.try_get("reason")?;
    Ok(Delivery {
        message_id: row.try_get("message_id")?,
        client: row.try_get("client")?,
        accepted_at: from_us(row.try_get("accepted_at")?),
        personnel_no: row.try_get("personnel_no")?,
        employee: row.try_get("full_name")?,
        acs: row.try_get::<Option<String>, _>("acs")?.unwrap_or_else(|| OPERATOR.to_owned()),
        topic: row.try_get("topic")?,
        title: row.try_get("title")?,
        priority: Priority::from_rank(row.try_get("priority")?),
        state,
        // A late receipt overrides the outcome that the reason belongs to.
        reason: reason
            .filter(|_| state >= DeliveryState::Failed || state == DeliveryState::Queued)
            .map(|reason| reason.as_str().to_owned()),
        require_ack: row.try_get("require_ack")?,
        sent_at: at("sent_at")?,
        delivered_at: at("delivered_at")?,
        read_at: at("read_at")?,
        acknowledged_at: at("acknowledged_at")?,
    })
}

/// A column of microseconds, where it is set.
pub(super) fn moment(row: &Row, column: &str) -> Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(from_us))
}
