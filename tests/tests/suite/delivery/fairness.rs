//! Providers, clients and urgent messages do not wait behind others, nor a few behind many.

use super::*;

#[tokio::test]
async fn a_sick_provider_slows_nobody_else() {
    let site = Site::with(|setup| setup.set("fcm.connections", 1).set("fcm.streams_per_connection", 4)).await;
    site.fcm.script().address("phone-1", Answer::Hang);
    let stream = site.plant.stream_phone(&site.simod, "002").await;
    let mut live = stream.client.own_stream().await.unwrap();
    let many: Vec<PostMessage> = (0..300).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    site.acs.post_batch(&many).await.unwrap();
    eventually("the permits are all held", || async { (site.fcm.journal().len() == 4).then_some(()) }).await;
    let message = post(&site.acs, &to_employees("Мимо", &["002"])).await;
    let next = tokio::time::timeout(Duration::from_secs(1), futures_util::StreamExt::next(&mut live)).await;
    assert_eq!(next.expect("a stream does not wait for FCM").unwrap().unwrap().id, message.id);
    site.acs.cancel_message(message.id).await.unwrap();
}

/// Few permits and a slow provider, so that a queue builds up.
async fn slow_site() -> Site {
    let site = Site::with(|setup| setup.set("fcm.connections", 1).set("fcm.streams_per_connection", 4)).await;
    site.fcm.script().delay(Duration::from_millis(20));
    let many: Vec<PostMessage> = (0..400).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    site.acs.post_batch(&many).await.unwrap();
    eventually("the queue moves", || async { (site.fcm.journal().len() > 4).then_some(()) }).await;
    site
}

#[tokio::test]
async fn one_client_does_not_wait_behind_another() {
    let site = slow_site().await;
    let other = Plant::new(&site.simod, "fabrika").await;
    other.employees(&["001"], &[]).await;
    other.fcm_phone(&site.simod, "001", "other-phone").await;
    let acs = other.acs(&site.simod, "1c").await;
    let before = site.fcm.journal().len();
    post(&acs, &to_employees("Без очереди", &["001"])).await;
    let call = eventually("it arrives", || async { site.fcm.journal().calls_to("other-phone").pop() }).await;
    assert!((call.number as usize) < before + 60, "{} calls before it", call.number as usize - before);
}

#[tokio::test]
async fn the_more_urgent_overtake() {
    let site = slow_site().await;
    let before = site.fcm.journal().len();
    let urgent = PostMessage { priority: Some(Priority::Critical), ..to_employees("Авария", &["001"]) };
    let id = post(&site.acs, &urgent).await.id;
    let call = eventually("it arrives", || async { site.calls(id).pop() }).await;
    assert!((call.number as usize) < before + 60, "{} calls before it", call.number as usize - before);
}

#[tokio::test]
async fn no_connection_carries_more_streams_than_allowed() {
    let site =
        Site::with(|setup| setup.set("fcm.connections", 2).set("fcm.streams_per_connection", 20)).await;
    site.fcm.script().delay(Duration::from_millis(30));
    let many: Vec<PostMessage> = (0..600).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    site.acs.post_batch(&many).await.unwrap();
    eventually("all are sent", || async { (site.fcm.journal().accepted() == 600).then_some(()) }).await;
    let connections: HashSet<u64> = site.fcm.journal().calls().iter().map(|call| call.connection).collect();
    assert!(site.fcm.most_streams() <= 20, "{} streams", site.fcm.most_streams());
    assert!(site.fcm.most_streams() > 5, "{} streams: they are not used", site.fcm.most_streams());
    assert_eq!(connections.len(), 2, "{connections:?}");
    assert_eq!(site.fcm.journal().arrivals().values().max(), Some(&1));
}

#[tokio::test]
async fn the_brake_holds_when_an_unlikely_share_of_phones_dies() {
    let site =
        Site::with(|setup| setup.set("delivery.brake_minimum", 5).set("delivery.brake_share", 0.5)).await;
    let numbers: Vec<String> = (100..120).map(|n| n.to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    site.plant.employees(&numbers, &["tolpa"]).await;
    for number in &numbers {
        let address = format!("dying-{number}");
        site.fcm.script().address(&address, Answer::Unregistered);
        site.plant.fcm_phone(&site.simod, number, &address).await;
    }
    let states = async || {
        let list = ListQuery { limit: Some(1000), ..ListQuery::default() };
        let devices = site.plant.admin.devices(&list, None).await.unwrap().items;
        devices.iter().filter(|device| device.state != "active").count()
    };
    for number in &numbers {
        post(&site.acs, &to_employees("Проверка", &[number])).await;
    }
    eventually("an alarm says so", || async {
        let health = site.simod.owner().readiness().await.unwrap();
        health.channels.into_iter().find(|channel| channel.channel == "fcm" && channel.state == "alarm")
    })
    .await;
    let touched = states().await;
    assert!(touched < 20, "all {touched} phones were taken off");
}
