//! Answers of the provider, and their effect in simod.

use super::*;

#[tokio::test]
async fn what_may_pass_by_itself_is_tried_again() {
    let site = Site::with(|setup| setup.set("fcm.timeout_seconds", 0.5)).await;
    for answer in [
        Answer::Unavailable(None),
        Answer::Internal,
        Answer::Html,
        Answer::ResetStream,
        Answer::DropConnection,
        Answer::Hang,
    ] {
        site.fcm.script().next(1, answer);
        let id = site.post(answer.name()).await;
        let why = site.reaches(id, DeliveryState::Sent).await;
        assert_eq!(site.calls(id).len(), 2, "{answer:?}");
        assert_eq!(why.pushes[0].tries, 2, "{answer:?}");
        assert_eq!(site.device(site.phone.id).await.state, "active", "{answer:?}");
    }
    site.fcm.script().next(1, Answer::GoAway);
    let id = site.post("goaway").await;
    site.reaches(id, DeliveryState::Sent).await;
    let id = site.post("after goaway").await;
    site.reaches(id, DeliveryState::Sent).await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let site = Site::new().await;
    site.fcm.script().next(1, Answer::Unavailable(Some(2)));
    let id = site.post("Подождать").await;
    site.reaches(id, DeliveryState::Sent).await;
    let calls = site.calls(id);
    assert!(calls[1].at_us - calls[0].at_us >= 2 * time::SECOND, "{calls:?}");
}

#[tokio::test]
async fn a_project_quota_pauses_everyone_and_a_devices_only_itself() {
    let site = Site::new().await;
    site.plant.fcm_phone(&site.simod, "002", "phone-2").await;
    site.fcm.script().next(1, Answer::QuotaProject(Some(2)));
    let first = site.post("Квота проекта").await;
    eventually("it was tried", || async { (site.calls(first).len() == 1).then_some(()) }).await;
    let second = post(&site.acs, &to_employees("Другому", &["002"])).await.id;
    let why = site.reaches(first, DeliveryState::Sent).await;
    assert!(why.pushes[0].tries <= 1, "a pause costs no try: {why:?}");
    eventually("the other one is sent", || async { (site.calls(second).len() == 1).then_some(()) }).await;
    let paused = site.calls(first)[0].at_us;
    let resumed = site.calls(first)[1].at_us.min(site.calls(second)[0].at_us);
    assert!(resumed - paused >= 2 * time::SECOND, "{} µs", resumed - paused);

    site.fcm.script().next(1, Answer::QuotaDevice(Some(2)));
    let first = site.post("Квота телефона").await;
    eventually("it was tried", || async { (site.calls(first).len() == 1).then_some(()) }).await;
    let second = post(&site.acs, &to_employees("Другому", &["002"])).await.id;
    within(Duration::from_millis(1500), "the other phone does not wait", || async {
        (site.calls(second).len() == 1).then_some(())
    })
    .await;
    site.reaches(first, DeliveryState::Sent).await;
    let calls = site.calls(first);
    assert!(calls[1].at_us - calls[0].at_us >= 2 * time::SECOND);
}

#[tokio::test]
async fn a_dead_address_is_quarantined_probed_once_and_retired() {
    for dead in [Answer::Unregistered, Answer::InvalidToken] {
        let site = Site::with(|setup| setup.set("delivery.quarantine_probe_seconds", 1.0)).await;
        site.fcm.script().address("phone-1", dead);
        let first = site.post("Первое").await;
        let why = site.reaches(first, DeliveryState::Failed).await;
        assert_eq!(why.pushes[0].reason.as_deref(), Some("dead_address"), "{why:?}");
        assert_eq!(why.pushes[0].tries, 1);
        assert_eq!(site.device(site.phone.id).await.state, "quarantined");

        // While in quarantine, it gets no pushes.
        let meanwhile = site.post("В карантине").await;
        let since = clock::now_us();
        eventually("a later message probes it, and it is retired", || async {
            if site.device(site.phone.id).await.state == "retired" {
                return Some(());
            }
            if clock::now_us() - since > 1_500_000 && site.fcm.journal().len() == 1 {
                site.post("Проба").await;
            }
            None
        })
        .await;
        assert!(site.calls(meanwhile).is_empty() || site.calls(meanwhile)[0].at_us - since > 900_000);
        assert_eq!(site.fcm.journal().len(), 2, "{:#?}", site.fcm.journal().calls());
        let after = post(&site.acs, &to_employees("После", &["001"])).await;
        assert_eq!(after.recipients.without_device, 1);
    }
}

#[tokio::test]
async fn a_sign_of_life_ends_the_quarantine() {
    let site = Site::new().await;
    let dies = async || {
        site.fcm.script().address("phone-1", Answer::Unregistered);
        let id = site.post("Умер").await;
        site.reaches(id, DeliveryState::Failed).await;
        assert_eq!(site.device(site.phone.id).await.state, "quarantined");
        site.fcm.script().forgive("phone-1");
        id
    };
    let lives = async |how: &str| {
        assert_eq!(site.device(site.phone.id).await.state, "active", "{how}");
        let id = site.post("Жив").await;
        site.reaches(id, DeliveryState::Sent).await;
    };
    let lost = dies().await;
    let receipt = Receipt {
        message_id: lost,
        kind: ReceiptKind::Delivered,
        at: time::from_us(clock::now_us()),
        by: None,
    };
    site.phone.client.send_receipts(&[receipt]).await.unwrap();
    lives("a receipt").await;
    dies().await;
    let address = ChannelAddress {
        kind: "fcm".to_owned(),
        address: Some("phone-1-new".to_owned()),
        address_kind: None,
        endpoint: None,
        keys: None,
        notifications: None,
    };
    site.phone.client.change_channel(&address).await.unwrap();
    lives("a new address").await;
}

#[tokio::test]
async fn a_payload_that_is_refused_is_not_tried_again() {
    let site = Site::new().await;
    site.fcm.script().next(1, Answer::InvalidPayload);
    let id = site.post("Отклонено").await;
    let why = site.reaches(id, DeliveryState::Failed).await;
    assert_eq!(why.pushes[0].reason.as_deref(), Some("rejected"));
    assert_eq!(why.delivery.unwrap().reason.as_deref(), Some("rejected"));
    assert_eq!((site.calls(id).len(), site.device(site.phone.id).await.state.as_str()), (1, "active"));
}

#[tokio::test]
async fn a_wrong_configuration_alarms_and_touches_no_phone() {
    for answer in [Answer::WrongProject, Answer::SenderIdMismatch, Answer::ThirdPartyAuth] {
        let site = Site::new().await;
        site.fcm.script().address("phone-1", answer);
        let id = site.post("Не туда").await;
        eventually("the channel's health says so", || async {
            let health = site.simod.owner().readiness().await.unwrap();
            assert!(health.ready, "a channel never makes the instance unready");
            health.channels.into_iter().find(|channel| channel.channel == "fcm" && channel.state == "alarm")
        })
        .await;
        assert_eq!(site.device(site.phone.id).await.state, "active", "{answer:?}");
        // Messages are still accepted meanwhile.
        site.post("Принимается").await;
        let state = site.explain(id).await.delivery.unwrap().state;
        assert!(matches!(state, DeliveryState::Queued | DeliveryState::Failed), "{answer:?}: {state:?}");
    }
}

#[tokio::test]
async fn a_refused_bearer_token_is_renewed_once() {
    let site = Site::new().await;
    let id = site.post("Раз").await;
    site.reaches(id, DeliveryState::Sent).await;
    assert_eq!(site.fcm.tokens_issued(), 1, "one token serves all");
    site.fcm.forget_tokens();
    let id = site.post("Два").await;
    site.reaches(id, DeliveryState::Sent).await;
    assert_eq!(site.fcm.tokens_issued(), 2);
}

#[tokio::test]
async fn all_who_wait_for_a_token_share_one() {
    let site = Site::new().await;
    let messages: Vec<PostMessage> = (0..200).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    site.acs.post_batch(&messages).await.unwrap();
    eventually("all are sent", || async { (site.fcm.journal().accepted() == 200).then_some(()) }).await;
    assert_eq!(site.fcm.tokens_issued(), 1);
}
