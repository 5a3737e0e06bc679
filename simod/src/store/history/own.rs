//! Searches an employee's own messages, in the query language of history.

use simo_common::{
    api::{device::DeviceMessage, history::Sort},
    message::OPERATOR,
    page::{Page, encode_cursor},
    query::{Filter, Query},
    text,
};

use super::{
    Cursor, Order, newest,
    sql::Sql,
    times::narrow,
    wanted::{Effort, Wanted},
};
use crate::store::{DeviceCaller, Error, MessageNo, Result, Store, db::engine::Conn, queue::inbox::read_own};

impl Store {
    /// A page of the employee's own messages that `query` finds, newest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the cursor is not one of this list, or the query asks for something other than one's
    /// own: other people, groups, an ACS that never wrote to this employee.
    pub async fn find_own(
        &self,
        phone: &DeviceCaller,
        query: &Query,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeviceMessage>> {
        refuse_others(query)?;
        self.index_for(query).await?;
        let sort = Sort::default();
        let after = cursor.map(|text| Cursor::read(text, &sort.to_string())).transpose()?;
        let as_of = after.as_ref().map_or_else(|| self.clock().now(), |after| after.as_of);
        let mut snapshot = self.snapshot().await?;
        refuse_strange_acs(&mut snapshot, phone, query).await?;
        let until = match &after {
            Some(after) => after.until,
            None => newest(&mut snapshot, phone.client_no).await?,
        };
        let mut wanted =
            Wanted::resolve(&mut snapshot, phone.client_no, query, as_of, Effort::default()).await?;
        narrow(&mut wanted.numbers, std::slice::from_ref(&(1..until.0.saturating_add(1))));
        wanted.people.narrow(false, [phone.employee_no]);
        let mut keys = wanted.keys(&mut snapshot, Order::of(sort), after.as_ref(), limit + 1).await?;
        let more = keys.len() > limit;
        keys.truncate(limit);
        let next = keys.last().filter(|_| more).map(|last| {
            let place = Cursor {
                sort: sort.to_string(),
                as_of,
                until,
                employee_no: last.employee_no,
                ..Cursor::at_message(last.message_no)
            };
            encode_cursor(&place)
        });
        let numbers: Vec<MessageNo> = keys.iter().map(|key| key.message_no).collect();
        Ok(Page { items: read_own(&mut snapshot, phone, &numbers).await?, next })
    }
}

fn refuse_others(query: &Query) -> Result<()> {
    let asks_for_others = |filter: &Filter| {
        matches!(filter, Filter::Employee(_) | Filter::Group(_) | Filter::GroupNow(_) | Filter::Device(_))
    };
    if query.terms.iter().any(|term| asks_for_others(&term.filter)) {
        let what = text!(
            "employee:, group:, group-now: and device: ask for other people; here are your own messages",
            "employee:, group:, group-now: и device: относятся к другим людям; здесь только ваши сообщения"
        );
        return Err(Error::Invalid(vec![("query".to_owned(), what)]));
    }
    Ok(())
}

/// A phone must not find out which ACS exist.
async fn refuse_strange_acs(conn: &mut Conn, phone: &DeviceCaller, query: &Query) -> Result<()> {
    let asked = query.terms.iter().filter_map(|term| match &term.filter {
        Filter::Acs(names) => Some(names),
        _ => None,
    });
    let mut asked: Vec<String> = asked.flatten().filter(|name| *name != OPERATOR).cloned().collect();
    if asked.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("select a.name from acs a where a.client_no = ");
    sql.bind(phone.client_no).push(" and a.name in ").list(&asked);
    sql.push(" and exists (select 1 from delivery d indexed by delivery_employee cross join message m where d.client_no = ");
    sql.bind(phone.client_no).push(" and d.employee_no = ").bind(phone.employee_no);
    sql.push(" and m.client_no = d.client_no and m.no = d.message_no and m.acs_no = a.no)");
    let known: Vec<String> = sql.scalars(conn).await?;
    asked.retain(|name| !known.contains(name));
    match asked.first() {
        None => Ok(()),
        Some(name) => {
            let what = text!(
                "no message of yours is from `{name}`",
                "среди ваших сообщений нет ни одного от «{name}»"
            );
            Err(Error::Invalid(vec![("query".to_owned(), what)]))
        }
    }
}

#[cfg(test)]
mod tests {
    use simo_common::query;

    use super::*;
    use crate::testing::Plant;

    #[tokio::test]
    async fn an_employee_finds_what_is_his_own_and_nothing_else() {
        let plant = Plant::new().await;
        let (me, other) = (plant.employee(1).await, plant.employee(2).await);
        for title in ["Котёл горячий", "Котлы проверены", "Насос"] {
            plant.message(title, &[me, other]).await;
        }
        let denied = plant.message("Котёл тайный", &[me, other]).await;
        plant.run(&format!("update delivery set outcome = 8 where message_no = {}", denied.no.0)).await;
        plant.message("Котёл чужой", &[other]).await;
        let phone = plant.phone(me, None).await.caller;
        let find = async |text: &str, cursor: Option<&str>, limit| {
            plant.store.find_own(&phone, &query::parse(text).unwrap(), cursor, limit).await
        };
        let titles =
            |page: &Page<DeviceMessage>| page.items.iter().map(|m| m.title.clone()).collect::<Vec<_>>();
        let page = find("acs:scada external:\"Котёл горячий\"", None, 10).await.unwrap();
        assert_eq!((titles(&page), page.next), (vec!["Котёл горячий".to_owned()], None));
        let first = find("topic:boiler -state:denied", None, 2).await.unwrap();
        let rest = find("topic:boiler -state:denied", first.next.as_deref(), 2).await.unwrap();
        assert_eq!([titles(&first), titles(&rest)].concat(), ["Насос", "Котлы проверены", "Котёл горячий"]);
        for text in ["employee:0002", "-group:smena", "group-now:smena", "device:x", "acs:payroll", "acs:нет"]
        {
            assert!(matches!(find(text, None, 10).await, Err(Error::Invalid(_))), "{text}");
        }
    }
}
