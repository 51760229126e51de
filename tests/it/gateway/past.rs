//! What cannot be had or is not taken: a past that the log keeps no more is told as a gap, on every way on which events come;
//! what is on its way is told; and a frame of any size ends with a word about it.

use std::{net::SocketAddr, time::Duration};

use auren::{
    bus::{Topic, key_partition},
    config::Role,
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
};

use super::chat::{log, open};
use crate::support::{
    Kind, River,
    chatter::{Chatter, token, token_for},
    http, keyed, on_system, settled, trigger, until, within,
};

/// Deletes what a person's partition holds below this offset, as retention does.
async fn forget(river: &River, user: &str, below: i64) {
    let settings = river.stage.settings();
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    let (topic, partition) = (format!("{}{}", settings.prefix, Topic::Events), key_partition(user.as_bytes(), 2));
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(&topic, partition, Offset::Offset(below)).unwrap();
    admin.delete_records(&places, &AdminOptions::new()).await.unwrap();
    let first = || async { river.stage.bus.watermarks(Topic::Events).await.unwrap()[&partition].0 };
    until("they are gone", || async { first().await == below }).await;
}

#[test]
fn a_place_in_a_past_that_is_gone_is_a_gap() {
    on_system(async {
        let river = open(Kind::Kafka).await.roles(&[Role::Converse]);
        let hub = river.hub().await;
        for number in 0..4 {
            let noticed = trigger("u-1", &format!("t-{number}"), &["neuroscientist", "coach"]);
            river.json(Topic::Triggers, "u-1", &noticed).await;
        }
        settled(&hub).await;
        let all = log(&river, "u-1").await;
        let (lost, kept) = all.split_at(3);
        let below: i64 = kept[0].0.split(':').nth(1).unwrap().parse().unwrap();
        forget(&river, "u-1", below).await;
        let address = hub.http_address().unwrap();
        let after = &lost[0].0;
        let resumes_at = format!("{}:{}", key_partition(b"u-1", 2), below - 1);

        let mut chatter = Chatter::open(address, &token(&river.config, "u-1"), Some(after)).await;
        let gap = chatter.of("gap").await;
        assert_eq!(gap, json!({ "type": "gap", "after": after, "resumes_at": resumes_at }));
        chatter.cursor.clone_from(&resumes_at);
        for (cursor, _) in kept {
            assert_eq!(chatter.event().await["cursor"], **cursor);
        }

        let bearer = format!("Bearer {}", token(&river.config, "u-1"));
        let line = format!("GET /v1/conversations/events?after={after}");
        let page = http::send(address, &line, &[("Authorization", &bearer)], "").await.json();
        let cursors = |events: &Value| -> Vec<String> {
            events.as_array().unwrap().iter().map(|placed| placed["cursor"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!((&page["gap"], cursors(&page["events"]).len()), (&json!(resumes_at), kept.len()), "{page}");

        let short = token_for(&river.config, "u-1", "chat", Duration::from_secs(4));
        let line = format!("GET /v1/conversations/events/stream?after={after}");
        let stream = http::send(address, &line, &[("Authorization", &format!("Bearer {short}"))], "").await.body;
        let mut ids = stream.lines().filter_map(|line| line.strip_prefix("id: "));
        assert_eq!(ids.next(), Some(&*resumes_at), "{stream}");
        assert_eq!(ids.collect::<Vec<_>>(), kept.iter().map(|(cursor, _)| &**cursor).collect::<Vec<_>>(), "{stream}");
        assert!(stream.contains("event: gap"), "{stream}");
        hub.stop().await;
    });
}

fn said(user: &str, id: &str, content: &str) -> Value {
    json!({
        "event_id": id, "conversation_id": "c-1", "user_id": user, "specialist_id": "coach",
        "message_type": "specialist_response", "content": content,
        "metadata": { "cause": "t-1", "cause_type": "trigger", "turn": 1 }, "timestamp": "2024-01-01T10:00:00Z",
    })
}

/// An event in a transaction of somebody's that is not committed yet.
fn uncommitted(river: &River, user: &str, id: &str) -> BaseProducer {
    let (settings, limit) = (river.stage.settings(), Duration::from_secs(10));
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("transactional.id", format!("{}outside", settings.prefix))
        .create()
        .unwrap();
    producer.init_transactions(limit).unwrap();
    producer.begin_transaction().unwrap();
    let (topic, payload) = (format!("{}{}", settings.prefix, Topic::Events), said(user, id, "Sleep well.").to_string());
    let record = BaseRecord::to(&topic).partition(key_partition(user.as_bytes(), 2)).key(user).payload(&payload);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(limit).unwrap();
    producer
}

#[test]
fn what_is_being_committed_when_somebody_first_listens_is_told() {
    on_system(async {
        let river = open(Kind::Kafka).await.roles(&[Role::Detect]);
        let hub = river.hub().await;
        let (river, producer) = blocking(move || {
            let producer = uncommitted(&river, "u-1", "e-1");
            (river, producer)
        })
        .await;
        let mut chatter = Chatter::open(hub.http_address().unwrap(), &token(&river.config, "u-1"), None).await;
        blocking(move || producer.commit_transaction(Duration::from_secs(10)).unwrap()).await;
        assert_eq!(chatter.event().await["event"]["event_id"], "e-1");
        hub.stop().await;
    });
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// A connection that holds hardly anything that is not taken from it.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    within(socket.connect(address)).await.unwrap()
}

#[test]
fn who_takes_nothing_of_the_past_lets_others_read_it_and_goes_on_later() {
    on_system(async {
        let mut river = open(Kind::Embedded).await.roles(&[Role::Detect]);
        river.config.chat.max_log_reads = 1;
        // Longer than anybody here waits.
        river.config.chat.slow_ms = 600_000;
        let large = "x".repeat(16_000);
        let past = |user: &str| -> Vec<_> {
            let event = |number| said(user, &format!("{user}-{number}"), &large).to_string();
            (0..1000).map(|number| keyed(Topic::Events, user, &event(number))).collect()
        };
        for user in ["u-1", "u-2"] {
            river.stage.publish(past(user)).await;
        }
        river.json(Topic::Events, "u-3", &said("u-3", "e-1", "Sleep well.")).await;
        let hub = river.hub().await;
        let address = hub.http_address().unwrap();

        let (path, token_of) = ("/v1/conversations/events/stream?after=earliest", |user| token(&river.config, user));
        let mut stream = narrow(address).await;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n", token_of("u-1"));
        stream.write_all(request.as_bytes()).await.unwrap();
        within(stream.readable()).await.unwrap();
        let mut socket =
            Chatter::enter_over(narrow(address).await, &address.to_string(), &token_of("u-2"), Some("earliest")).await;

        let mut other = Chatter::open(address, &token_of("u-3"), Some("earliest")).await;
        assert_eq!(other.event().await["event"]["event_id"], "e-1");

        socket.hello().await;
        for number in 0..1000 {
            assert_eq!(socket.event().await["event"]["event_id"], format!("u-2-{number}"));
        }
        let mut lines = BufReader::new(stream).lines();
        for number in 0..1000 {
            let id = format!("\"event_id\":\"u-1-{number}\"");
            let mut event = String::new();
            while !event.starts_with("data: ") {
                event = within(lines.next_line()).await.unwrap().unwrap();
            }
            assert!(event.contains(&id), "{id}: {event:.200}");
        }
        hub.stop().await;
    });
}

#[test]
fn ten_megabytes_are_no_frame_and_harm_nobody() {
    on_system(async {
        let river = open(Kind::Embedded).await.roles(&[Role::Detect]);
        let hub = river.hub().await;
        let address = hub.http_address().unwrap();
        let mut other = Chatter::open(address, &token(&river.config, "u-2"), None).await;
        let mut chatter = Chatter::open(address, &token(&river.config, "u-1"), None).await;
        let large = json!({ "type": "ping", "more": "x".repeat(10 * 1024 * 1024) }).to_string();
        // The other side may have gone before all of it is sent.
        let _ = futures::SinkExt::send(&mut chatter.socket, large.into()).await;
        assert_eq!(chatter.closed().await, 4500);
        other.message("c-1", "hi").await;
        other.of("ack").await;
        hub.stop().await;
    });
}
