//! The statements that claim pushes, and their results.

use std::{sync::LazyLock, time::Instant};

use simo_common::{
    api::access::{Payload, WebPush},
    lang::Lang,
    message::{OPERATOR, Priority},
    time::DAY,
};

use super::{Claim, ClaimedPush, LONGEST_LEASE, PACKED, PushKey, Skip};
use crate::{
    channel::Address,
    store::{ClientNo, Result, db::engine::Row},
};

/// The data that a channel needs of the pushes `due`. `{}` is replaced by their rows.
const CLAIMED: &str = "select due.claim, m.id as message_id, p.message_no, p.employee_no, p.device_no, p.step, p.tries, p.urgency,
            m.title, m.body, m.data, m.require_ack, m.accepted_at, m.expires_at, m.canceled_at, t.slug as topic,
            t.name as topic_name, a.name as acs, c.name as client, d.address, d.way_no, d.quarantined_at, d.retired_at, p.channel <> d.channel as moved,
            e.blocked_at, e.archived_at, c.payload, c.notification, c.webpush, d.lang, d.platform
     from {} due
     cross join push p cross join client c cross join message m cross join device d cross join employee e
     left join topic t on t.client_no = m.client_no and t.no = m.topic_no
     left join acs a on a.client_no = m.client_no and a.no = m.acs_no
     where p.client_no = $2 and p.message_no = due.message_no and p.employee_no = due.employee_no
       and p.device_no = due.device_no and p.step = due.step and c.no = p.client_no and m.client_no = p.client_no and m.no = p.message_no
       and d.client_no = p.client_no and d.no = p.device_no
       and e.client_no = p.client_no and e.no = p.employee_no";

/// Defines which pushes are due, and at what times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) now: i64,
    /// The time by which messages expire.
    pub(super) settled: i64,
    /// Whether the clock was later before: then a push may be due at a time that was reached then.
    pub(super) is_repeated: bool,
}

impl Due {
    /// The statement for this case.
    pub(super) fn of(self, text: &Text) -> &str {
        if self.is_repeated { &text.repeated } else { &text.usual }
    }
}

/// A statement for pushes due at `$N`: the usual one, and one for repeated times.
pub(super) struct Text {
    usual: String,
    repeated: String,
}

impl Text {
    fn new(make: impl Fn(&str) -> String, now: &str) -> Self {
        let usual = format!("due_at <= {now}");
        // A push waits from its last try on, or not at all. One that would wait from a time still to come has waited
        // already.
        let repeated = format!(
            "({usual} or last_tried_at is null or last_tried_at > {now} or due_at - last_tried_at > {LONGEST_WAIT})"
        );
        Self { usual: make(&usual), repeated: make(&repeated) }
    }
}

/// No push waits longer: a provider may ask for a day, plus up to half of that.
const LONGEST_WAIT: i64 = DAY + DAY / 2;

/// The clients with due pushes, and whether there are other clients.
pub(super) static CLIENTS: LazyLock<Text> = LazyLock::new(|| {
    let clients = |due: &str| {
        format!(
            "select c.no, (select count(*) from (select 1 from client where archived_at is null limit 2) living) > 1
             from client c where exists (
                 select 1 from push indexed by push_due where channel = $1 and client_no = c.no
                 and urgency in (0, 1, 2, 3) and done_at is null and channel > 0 and {due})"
        )
    };
    Text::new(clients, "$2")
});

/// The due pushes of one client that we have not claimed: a short seek per urgency, so that a long queue of future
/// retries or of less urgent pushes is never read.
pub(super) static CLAIM_IN_MEMORY: LazyLock<Text> = LazyLock::new(|| Text::new(claim_in_memory, "$3"));

fn claim_in_memory(due: &str) -> String {
    let due = [3, 2, 1, 0].map(|urgency| {
        format!(
            "select * from (select message_no, employee_no, device_no, step, urgency, due_at from push
             where channel = $1 and client_no = $2 and urgency = {urgency} and {due}
             and done_at is null and channel > 0
             and {PACKED} not in (select value from jsonb_each($5))
             order by due_at limit $4)"
        )
    });
    let due = format!(
        "(select message_no, employee_no, device_no, step, 0 as claim from ({}) order by urgency desc, due_at limit $4)",
        due.join(" union all ")
    );
    CLAIMED.replace("{}", &due)
}

/// The same, claimed in the rows: pushes that another instance is claiming are skipped.
pub(super) static CLAIM_IN_ROWS: LazyLock<Text> = LazyLock::new(|| Text::new(claim_in_rows, "$3"));

fn claim_in_rows(due: &str) -> String {
    format!(
        "with free as (
             select push.message_no, push.employee_no, push.device_no, push.step
             from (values (3), (2), (1), (0)) urgent (rank) cross join lateral (
                 select message_no, employee_no, device_no, step, due_at from push
                 where channel = $1 and client_no = $2 and urgency = urgent.rank and {due}
                 and done_at is null and channel > 0
                 and (held_until is null or held_until < clock_timestamp()
                      or held_until > clock_timestamp() + interval '{LONGEST_LEASE}')
                 order by due_at limit $4 for update skip locked) push
             order by urgent.rank desc, push.due_at limit $4),
         taken as (
             update push set claim = nextval('push_claim'),
                 held_until = clock_timestamp() + $5 * interval '1 microsecond'
             from free where push.client_no = $2 and push.message_no = free.message_no
                 and push.employee_no = free.employee_no and push.device_no = free.device_no and push.step = free.step
             returning push.message_no, push.employee_no, push.device_no, push.step, push.claim)
         {}",
        CLAIMED.replace("{}", "taken")
    )
}

pub(super) fn read_claimed(
    row: &Row,
    client_no: ClientNo,
    settled: i64,
    claimed: Instant,
) -> Result<ClaimedPush> {
    let expires_at: i64 = row.try_get("expires_at")?;
    let is_set = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.is_some());
    let skip = if is_set("canceled_at")? {
        Some(Skip::Canceled)
    } else if expires_at <= settled {
        Some(Skip::Expired)
    } else if is_set("blocked_at")? || is_set("archived_at")? {
        Some(Skip::Blocked)
    } else if is_set("retired_at")? || row.try_get("moved")? {
        Some(Skip::DeviceGone)
    } else {
        None
    };
    let (payload, webpush): (String, String) = (row.try_get("payload")?, row.try_get("webpush")?);
    let lang: Option<String> = row.try_get("lang")?;
    let address = Address::new(row.try_get::<Option<String>, _>("address")?.unwrap_or_default());
    Ok(ClaimedPush {
        claim: Claim {
            number: row.try_get("claim")?,
            address: address.clone(),
            way_no: row.try_get("way_no")?,
            key: PushKey {
                client_no,
                message_no: row.try_get("message_no")?,
                employee_no: row.try_get("employee_no")?,
                device_no: row.try_get("device_no")?,
                step: row.try_get("step")?,
            },
        },
        claimed,
        message_id: row.try_get("message_id")?,
        skip,
        tries: row.try_get::<i64, _>("tries")? as u32,
        priority: Priority::from_rank(row.try_get("urgency")?),
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        data: row.try_get("data")?,
        topic: row.try_get("topic")?,
        topic_name: row.try_get("topic_name")?,
        client: row.try_get("client")?,
        lang: Lang::from_tag(lang.as_deref().unwrap_or_default()),
        platform: row.try_get("platform")?,
        acs: row.try_get::<Option<String>, _>("acs")?.unwrap_or_else(|| OPERATOR.to_owned()),
        require_ack: row.try_get("require_ack")?,
        accepted_at: row.try_get("accepted_at")?,
        expires_at,
        address,
        payload: Payload::from_name(&payload),
        webpush: WebPush::from_name(&webpush),
        notification: row.try_get("notification")?,
        quarantined_at: row.try_get("quarantined_at")?,
    })
}
