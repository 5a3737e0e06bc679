//! Scheduled messages.

use simo_common::{
    api::message::Message,
    page::{Page, decode_cursor, encode_cursor},
    text,
};
use uuid::Uuid;

use super::{PAGE_MOST, message::read};
use crate::store::{AcsNo, ClientNo, Error, MessageNo, Result, Store, db::engine::query_as};

impl Store {
    /// A page of the scheduled messages of a client (and, if given, of one ACS), the next one first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the cursor is not one of this list.
    pub async fn scheduled_messages(
        &self,
        client_no: ClientNo,
        acs_no: Option<AcsNo>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Message>> {
        let after = match cursor {
            None => (i64::MIN, Uuid::nil()),
            Some(text) => decode_cursor::<(i64, Uuid)>(text).ok_or_else(|| {
                let text = text!(
                    "is not a cursor of this list: pass `next` of its last page",
                    "это не курсор данного списка: передайте `next` предыдущей страницы"
                );
                Error::Invalid(vec![("cursor".to_owned(), text)])
            })?,
        };
        let limit = limit.clamp(1, PAGE_MOST) as usize;
        let mut snapshot = self.snapshot().await?;
        let mut places: Vec<(i64, Uuid, MessageNo)> = query_as(
            "select m.send_at, m.id, m.no from message m indexed by message_scheduled
             where m.client_no = $1 and m.no < 0 and m.canceled_at is null and (m.send_at, m.id) > ($3, $4)
             and ($2 is null or m.acs_no = $2)
             order by m.send_at, m.id limit $5",
        )
        .bind(client_no)
        .bind(acs_no)
        .bind(after.0)
        .bind(after.1)
        .bind(limit as i64 + 1)
        .fetch_all(&mut snapshot)
        .await?;
        let more = places.len() > limit;
        places.truncate(limit);
        let numbers: Vec<MessageNo> = places.iter().map(|(.., no)| *no).collect();
        let found = read(&mut snapshot, client_no, &numbers).await?;
        Ok(Page {
            items: found.into_iter().map(|found| found.message).collect(),
            next: places.last().filter(|_| more).map(|(send_at, id, _)| encode_cursor(&(send_at, id))),
        })
    }
}
