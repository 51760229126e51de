//! Publishing outside any transaction.

use std::collections::BTreeMap;

use auren::bus::{BusError, Cursor, Outgoing, Topic, key_partition};
use bytes::Bytes;

use crate::support::{Stage, keyed, placed, text};

pub async fn records_come_back_as_they_went_in(stage: Stage) {
    stage.create(&[Topic::Inbox], 1).await;
    let headers = vec![
        ("ce_id".into(), Bytes::from_static(b"one")),
        ("traceparent".into(), Bytes::from_static(&[0, 255, 10])),
        ("ce_id".into(), Bytes::from_static(b"two")),
        ("empty".into(), Bytes::new()),
    ];
    let plain = Outgoing { topic: Topic::Inbox, partition: None, key: None, payload: None, headers: vec![] };
    let key = Some(Bytes::from_static(b"user"));
    let sent = vec![
        Outgoing { payload: Some(Bytes::from_static(b"{}")), headers: headers.clone(), ..plain.clone() },
        Outgoing { key: key.clone(), payload: Some(Bytes::from_static(&[0, 1, 254])), ..plain.clone() },
        Outgoing { key: key.clone(), headers: headers.clone(), ..plain.clone() },
        Outgoing { key, payload: Some(Bytes::new()), ..plain.clone() },
        Outgoing { key: Some(Bytes::new()), payload: Some(Bytes::from_static(b"x")), ..plain.clone() },
        plain,
    ];
    stage.publish(sent.clone()).await;
    let read = stage.all(Topic::Inbox).await;
    assert_eq!(read.len(), sent.len());
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = i64::try_from(clock).unwrap();
    for (offset, (read, sent)) in (0..).zip(read.iter().zip(&sent)) {
        assert_eq!((read.topic, read.cursor()), (Topic::Inbox, Cursor { partition: 0, offset }));
        assert_eq!((&read.key, &read.payload, &read.headers), (&sent.key, &sent.payload, &sent.headers));
        assert!((now - 60_000..=now).contains(&read.timestamp_ms), "{}", read.timestamp_ms);
    }
    assert_eq!(read[0].header("ce_id"), Some("one"));
    assert_eq!(read[0].header("traceparent"), None, "it is no text");
}

pub async fn a_key_chooses_its_partition_by_murmur2(stage: Stage) {
    stage.create(&[Topic::Inbox], 5).await;
    let keys: Vec<_> = (0..60).map(|n| format!("user-{n}")).collect();
    let records = keys.iter().map(|key| keyed(Topic::Inbox, key, "x")).collect();
    let answers = stage.bus.publish(records).await;
    for (key, answer) in keys.iter().zip(answers) {
        assert_eq!(answer.unwrap().partition, key_partition(key.as_bytes(), 5), "{key}");
    }
}

pub async fn answers_come_in_the_order_of_the_records(stage: Stage) {
    stage.create(&[Topic::Inbox], 3).await;
    let mut places = BTreeMap::new();
    for round in 0..3 {
        let records = (0..200).map(|n| {
            let text = format!("{round}-{n}");
            match n % 3 {
                0 => placed(Topic::Inbox, 1, &text),
                1 => Outgoing { key: None, ..keyed(Topic::Inbox, "", &text) },
                _ => keyed(Topic::Inbox, &text, &text),
            }
        });
        let answers = stage.bus.publish(records.collect()).await;
        let mut last = BTreeMap::new();
        for (n, answer) in answers.into_iter().enumerate() {
            let cursor = answer.unwrap();
            assert!(n % 3 != 0 || cursor.partition == 1);
            assert!(last.insert(cursor.partition, cursor.offset).is_none_or(|last| last < cursor.offset));
            assert_eq!(places.insert(cursor, format!("{round}-{n}")), None, "a place that was given away");
        }
    }
    let read: BTreeMap<_, _> = stage.all(Topic::Inbox).await.iter().map(|read| (read.cursor(), text(read))).collect();
    assert_eq!(read, places);
}

pub async fn a_record_that_is_too_large_is_refused_alone(stage: Stage) {
    stage.create(&[Topic::Inbox, Topic::InboxDlq], 1).await;
    // Noise, so that no compression makes it small.
    let noise = |bytes: usize| {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        Bytes::from(std::iter::repeat_with(next).take(bytes).collect::<Vec<u8>>())
    };
    let most = Topic::Inbox.max_record_bytes();
    let with = |topic, payload| Outgoing { payload: Some(payload), ..keyed(topic, "key", "") };
    let records = vec![
        keyed(Topic::Inbox, "key", "before"),
        with(Topic::Inbox, noise(most - 2)),
        keyed(Topic::Inbox, "key", "between"),
        with(Topic::Inbox, noise(most - 3)),
        with(Topic::InboxDlq, noise(most + 1)),
    ];
    let answers = stage.bus.publish(records).await;
    let BusError::TooLarge { bytes, max, .. } = answers[1].as_ref().unwrap_err() else { panic!("{answers:?}") };
    assert_eq!((*bytes, *max), (most + 1, most));
    let offsets: Vec<_> = answers.iter().flatten().map(|cursor| cursor.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 0], "{answers:?}");
    let read = stage.all(Topic::Inbox).await;
    assert_eq!(read[2].payload.as_ref().unwrap(), &noise(most - 3));
}

pub async fn a_partition_that_is_not_there_is_refused(stage: Stage) {
    stage.create(&[Topic::Inbox], 2).await;
    let answers = stage.bus.publish(vec![placed(Topic::Inbox, 2, "no"), placed(Topic::Inbox, 1, "yes")]).await;
    assert!(matches!(answers[0], Err(BusError::Refused { .. })), "{answers:?}");
    assert_eq!(answers[1].as_ref().unwrap(), &Cursor { partition: 1, offset: 0 });
}

pub async fn a_compacted_topic_takes_no_record_without_a_key(stage: Stage) {
    stage.create(&[Topic::StateDetect], 1).await;
    let answers = stage.bus.publish(vec![Outgoing { key: None, ..keyed(Topic::StateDetect, "", "lost") }]).await;
    assert!(matches!(answers[0], Err(BusError::Refused { .. })), "{answers:?}");
    stage.publish(vec![keyed(Topic::StateDetect, "user", "kept")]).await;
    assert_eq!(stage.texts(Topic::StateDetect).await, ["kept"]);
}
