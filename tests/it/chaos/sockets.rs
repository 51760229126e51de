//! Many sockets at a time, when their node is killed and when all of them come back at once.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use auren::bus::{Topic, kafka::KafkaBus};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Chatting, Day, note, so_many};
use crate::support::{
    Stage,
    chatter::{Chatter, Heard},
    event, keyed, service, trigger,
};

/// Sockets that are opened at a time.
const AT_A_TIME: usize = 100;
/// How long anything may take with so many.
const PATIENCE: Duration = Duration::from_secs(240);

/// How many events each person has in all, once that is known.
type Totals = watch::Receiver<Option<Arc<HashMap<String, usize>>>>;

/// A frontend that comes back wherever it can, and all it has heard.
struct Frontend {
    user: String,
    token: String,
    cursor: String,
    heard: Vec<(String, String)>,
    /// How long after the kill it was let in again.
    resumed: Option<Duration>,
    connections: usize,
}

impl Frontend {
    fn new(chatting: &Chatting, user: &str) -> Self {
        let (user, token) = (user.to_owned(), chatting.token(user));
        Self { user, token, cursor: "earliest".to_owned(), heard: Vec::new(), resumed: None, connections: 0 }
    }

    /// Lives until it has heard as many events as there are.
    async fn live(mut self, nodes: Vec<SocketAddr>, killed: Arc<OnceLock<Instant>>, mut totals: Totals) -> Self {
        let complete = |totals: &Totals, heard: usize, user: &str| {
            totals.borrow().as_ref().is_some_and(|totals| heard >= totals.get(user).copied().unwrap_or(0))
        };
        loop {
            let address = nodes[self.connections % nodes.len()];
            self.connections += 1;
            let Some(mut chatter) = Chatter::tries(address, &self.token, &self.cursor).await else {
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..500))).await;
                continue;
            };
            loop {
                if complete(&totals, self.heard.len(), &self.user) {
                    return self;
                }
                let heard = tokio::select! {
                    heard = chatter.listens() => heard,
                    _ = totals.changed() => continue,
                };
                match heard {
                    Heard::Frame(frame) if frame["type"] == "event" => {
                        let text = |name: &str| frame[name].as_str().unwrap();
                        assert!(
                            self.cursor == "earliest" || text("prev") == self.cursor,
                            "between {} and {frame} one is missing",
                            self.cursor
                        );
                        text("cursor").clone_into(&mut self.cursor);
                        let content = frame["event"]["content"].as_str().unwrap().to_owned();
                        self.heard.push((self.cursor.clone(), content));
                    }
                    Heard::Frame(frame) if frame["type"] == "hello" => {
                        let back = killed.get().filter(|_| self.connections > 1);
                        self.resumed = self.resumed.or(back.map(Instant::elapsed));
                    }
                    Heard::Frame(frame) => assert_ne!(frame["type"], "gap", "{frame}"),
                    Heard::Closed(code) => {
                        assert!((4000..4500).contains(&code), "{code}");
                        break;
                    }
                    Heard::Cut => break,
                }
            }
            // As every client should: not all at once.
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..500))).await;
        }
    }
}

/// Every person's events in the log.
async fn log(stage: &Stage) -> HashMap<String, Vec<(String, String)>> {
    let mut log: HashMap<_, Vec<_>> = HashMap::new();
    for record in stage.all(Topic::Events).await {
        let event = event(&record);
        let own = log.entry(event.user_id.to_string()).or_default();
        own.push((record.cursor().to_string(), event.content.to_string()));
    }
    log
}

/// Half of them are within the first, 99 of a hundred within the second, all within the third; in milliseconds.
fn sorted(mut times: Vec<Duration>) -> [u128; 3] {
    times.sort_unstable();
    [50, 99, 100].map(|percent| times[(times.len() - 1) * percent / 100].as_millis())
}

fn on_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test hangs") });
}

#[test]
fn when_the_node_of_many_sockets_is_killed_all_resume_elsewhere_and_hear_the_log() {
    on_runtime(async {
        let count = so_many(200, 1000);
        let brokers = service("AUREN_TEST_KAFKA");
        let mut day = Day::on_kafka(&brokers);
        let settings = day.program.kafka(&brokers);
        let stage = Stage::of(Arc::new(KafkaBus::new(settings.clone()).unwrap()), settings);
        let chatting = Chatting::begin(&mut day);
        let (mut dies, stays) = (chatting.node(&day, "n1"), chatting.node(&day, "n2"));
        let users: Vec<_> = (0..count).map(|number| format!("u-{number}")).collect();
        let killed = Arc::new(OnceLock::new());
        let (tell, totals) = watch::channel(None);
        // Nobody knows where they come from; here the first one is the node that will be killed.
        let live = |user: &String| {
            let nodes = vec![dies.address, stays.address];
            tokio::spawn(Frontend::new(&chatting, user).live(nodes, Arc::clone(&killed), totals.clone()))
        };
        let frontends: Vec<_> = users.iter().map(live).collect();
        while dies.figure("auren_chat_open").await < count as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Each is told something before, and while nobody is there, and after.
        let mut rounds = 0;
        let mut round = async || {
            let id = rounds.to_string();
            rounds += 1;
            for users in users.chunks(50) {
                let triggers =
                    users.iter().map(|user| keyed(Topic::Triggers, user, &trigger(user, &id, &["coach"]).to_string()));
                stage.publish(triggers.collect()).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        round().await;
        // Some are back before whoever kills it knows that it is dead.
        killed.set(Instant::now()).unwrap();
        dies.node.kill();
        round().await;
        while stays.figure("auren_chat_open").await < count as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        round().await;
        let log = loop {
            let log = log(&stage).await;
            if log.values().map(Vec::len).sum::<usize>() >= rounds * count {
                break log;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let lengths = log.iter().map(|(user, events)| (user.clone(), events.len())).collect();
        tell.send(Some(Arc::new(lengths))).unwrap();
        let (mut resumed, mut connections) = (Vec::new(), 0);
        for frontend in frontends {
            let frontend = frontend.await.unwrap();
            assert_eq!(frontend.heard, log[&frontend.user], "{}", frontend.user);
            assert_eq!(frontend.heard.len(), rounds);
            connections += frontend.connections;
            resumed.push(frontend.resumed.expect("it was on the node that was killed"));
        }
        assert!(connections >= 2 * count);
        let [p50, p99, last] = sorted(resumed);
        note(&format!(
            "| node killed under {count} sockets, which all came back to another one | {0} | {0} | 0 | 0 | 0 | {count} | {p50} / {p99} / \
             {last} |",
            rounds * count
        ));
    });
}

#[test]
fn when_all_sockets_come_back_at_once_each_hears_what_it_missed_and_nobody_else_is_affected() {
    on_runtime(async {
        let (count, within) = so_many((400, Duration::from_millis(200)), (10_000, Duration::from_secs(5)));
        let brokers = service("AUREN_TEST_KAFKA");
        let mut day = Day::on_kafka(&brokers);
        let settings = day.program.kafka(&brokers);
        let stage = Stage::of(Arc::new(KafkaBus::new(settings.clone()).unwrap()), settings);
        let chatting = Chatting::begin(&mut day);
        let node = chatting.node(&day, "n1");
        let users: Vec<_> = (0..count).map(|number| format!("u-{number}")).collect();
        // Somebody who goes on talking meanwhile.
        let mut quiet = Chatter::open(node.address, &chatting.token("quiet"), None).await;
        let opened = stream::iter(&users).map(async |user| {
            let mut chatter = Chatter::tries(node.address, &chatting.token(user), "").await.unwrap();
            let Heard::Frame(hello) = chatter.listens().await else { panic!("no hello") };
            (user, chatter, hello["cursor"].as_str().unwrap().to_owned())
        });
        let open: Vec<_> = opened.buffer_unordered(AT_A_TIME).collect().await;
        let cursors: Vec<_> = open.into_iter().map(|(user, _, cursor)| (user, cursor)).collect();
        // All of them are cut off here. What is said to them now, they miss.
        for users in users.chunks(500) {
            let events = users.iter().map(|user| {
                let event = json!({
                    "event_id": format!("e-{user}"), "conversation_id": "c-1", "user_id": user, "specialist_id": "coach",
                    "message_type": "specialist_response", "content": format!("Sleep well, {user}."),
                    "metadata": { "cause": "t-1", "cause_type": "trigger", "turn": 1 }, "timestamp": "2024-01-01T10:00:00Z",
                });
                keyed(Topic::Events, user, &event.to_string())
            });
            stage.publish(events.collect()).await;
        }
        let began = Instant::now();
        let back = cursors.into_iter().map(|(user, cursor)| {
            let (token, user, address) = (chatting.token(user), user.clone(), node.address);
            tokio::spawn(async move {
                tokio::time::sleep(within.mul_f64(rand::random())).await;
                let came = Instant::now();
                let (mut tries, mut chatter) = (0, None);
                loop {
                    let Some(open) = &mut chatter else {
                        tries += 1;
                        chatter = Chatter::tries(address, &token, &cursor).await;
                        if chatter.is_none() {
                            tokio::time::sleep(Duration::from_millis(rand::random_range(0..1000))).await;
                        }
                        continue;
                    };
                    match open.listens().await {
                        Heard::Frame(frame) if frame["type"] == "event" => {
                            assert_eq!(frame["event"]["content"], format!("Sleep well, {user}."));
                            break;
                        }
                        Heard::Frame(frame) => assert_eq!(frame["type"], "hello", "{frame}"),
                        Heard::Closed(code) => {
                            assert!((4000..4500).contains(&code), "{code}");
                            chatter = None;
                        }
                        Heard::Cut => chatter = None,
                    }
                }
                (came.elapsed(), tries, chatter)
            })
        });
        let back: Vec<_> = back.collect();
        let mut slowest = Duration::ZERO;
        let (mut said, mut answered) = (0, 0);
        let answers = |frame: &Value| frame["event"]["message_type"] == "specialist_response";
        while !back.iter().all(tokio::task::JoinHandle::is_finished) {
            let asked = Instant::now();
            quiet.message(&format!("c-{said}"), "coach, may I train today?").await;
            loop {
                let frame = quiet.frame().await;
                answered += usize::from(answers(&frame));
                if frame["type"] == "ack" {
                    break;
                }
            }
            slowest = slowest.max(asked.elapsed());
            said += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let all = began.elapsed();
        let (mut times, mut tries, mut open) = (Vec::new(), 0, Vec::new());
        for back in back {
            let (took, tried, chatter) = back.await.unwrap();
            times.push(took);
            tries += tried;
            open.push(chatter);
        }
        // What the quiet one said was all taken, and answered.
        while answered < said {
            answered += usize::from(answers(&quiet.frame().await));
        }
        let [p50, p99, last] = sorted(times);
        let reads = node.figure("auren_chat_log_reads_total").await;
        note(&format!(
            "| {count} sockets come back within {} ms and have what they missed, the last {} ms after the first came: {tries} \
             handshakes, {reads} reads of the log, others acknowledged within {} ms | {count} | {count} | 0 | 0 | 0 | {count} | {p50} / \
             {p99} / {last} |",
            within.as_millis(),
            all.as_millis(),
            slowest.as_millis()
        ));
    });
}
