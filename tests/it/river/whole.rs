//! Whole months of several people: the same readings give the same conversation, whatever happens to the hubs.

use std::{collections::HashSet, sync::OnceLock, thread};

use auren::{app::Running, bus::Topic, config::Role};
use auren_agents::{ConversationEvent, MessageType, TriggerEvent, events};

use crate::support::{Kind, River, data_set, night, on_system, settled, until};

/// What is said over the small data set, on the embedded bus in one go.
pub fn reference() -> &'static [ConversationEvent] {
    static REFERENCE: OnceLock<Vec<ConversationEvent>> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let (said, result) = std::sync::mpsc::channel();
        let run = move || {
            on_system(async {
                let river = River::open(Kind::Embedded).await;
                let hub = river.hub().await;
                said.send(data_set().run(&hub, &river.keys).await.unwrap()).unwrap();
                hub.stop().await;
            });
        };
        thread::spawn(run).join().unwrap();
        result.recv().unwrap()
    })
}

pub fn assert_same(said: &[ConversationEvent]) {
    for (event, expected) in said.iter().zip(reference()) {
        assert_eq!(serde_json::to_value(event).unwrap(), serde_json::to_value(expected).unwrap());
    }
    assert_eq!(said.len(), reference().len());
}

pub fn worked(hub: &Running, role: Role) -> u64 {
    hub.stats(role).unwrap().totals().records
}

pub async fn a_data_set_always_gives_the_same_conversation(river: River) {
    let hub = river.hub().await;
    let said = data_set().run(&hub, &river.keys).await.unwrap();
    assert_same(&said);
    let ids: HashSet<_> = said.iter().map(|event| &event.event_id).collect();
    assert_eq!(ids.len(), said.len(), "every event has an id of its own");
    let triggers = river.stage.all(Topic::Triggers).await;
    assert!(triggers.len() >= 8, "{} triggers", triggers.len());
    for trigger in &triggers {
        let trigger: TriggerEvent = events::parse(trigger.payload.as_deref().unwrap()).unwrap();
        for agent in &trigger.recommended_agents {
            let answers = said.iter().filter(|event| {
                event.metadata.cause == trigger.trigger_id
                    && event.specialist_id == *agent
                    && event.message_type == MessageType::SpecialistResponse
            });
            assert_eq!(answers.count(), 1, "{agent} answers {}", trigger.trigger_id);
        }
    }
    hub.stop().await;
}

pub async fn a_restart_in_the_middle_changes_nothing(river: River) {
    reference();
    let set = data_set();
    // Small commits, so that the middle is somewhere in every role.
    let mut river = river;
    river.config.lanes.max_batch = 50;
    let hub = river.hub().await;
    river.read(&set.readings).await;
    until("some are worked", || async { worked(&hub, Role::Converse) > 50 }).await;
    hub.stop().await;
    let hub = river.apart().await;
    let far = set.readings.len() / 2;
    until("more are worked", || async { river.stage.all(Topic::Biometrics).await.len() > far }).await;
    hub.abandon();
    let hub = river.hub().await;
    settled(&hub).await;
    river.send(&set.messages).await;
    settled(&hub).await;
    assert_same(&river.said().await);
    assert_eq!(river.stage.all(Topic::Biometrics).await.len(), set.readings.len());
    hub.stop().await;
}

pub async fn sessions_that_were_put_to_sleep_say_the_same(river: River) {
    let mut river = river;
    river.config.lanes.max_resident = 1;
    river.config.lanes.max_batch = 40;
    let hub = river.hub().await;
    let said = data_set().run(&hub, &river.keys).await.unwrap();
    for role in Role::ON_LANES {
        assert!(hub.stats(*role).unwrap().totals().sessions <= 1);
    }
    assert_same(&said);
    hub.stop().await;
}

pub async fn two_nodes_share_the_work_and_one_finishes_it_alone(river: River) {
    reference();
    let set = data_set();
    let mut river = river;
    river.config.lanes.max_batch = 50;
    let stays = river.node("node-1").await;
    let leaves = river.node("node-2").await;
    for node in [&stays, &leaves] {
        until("each has a partition of every role", || async {
            Role::ON_LANES.iter().all(|role| node.stats(*role).unwrap().totals().partitions == 1)
        })
        .await;
    }
    let (first, second) = set.readings.split_at(set.readings.len() / 2);
    river.read(first).await;
    for node in [&stays, &leaves] {
        until("both work", || async { worked(node, Role::Enrich) > 0 && worked(node, Role::Converse) > 0 }).await;
    }
    leaves.stop().await;
    river.read(second).await;
    settled(&stays).await;
    river.send(&set.messages).await;
    settled(&stays).await;
    assert_same(&river.said().await);
    stays.stop().await;
}

/// A value that stands in the readings and nowhere else.
const PLANTED: f64 = 41.8125;

/// Every form in which somebody might have written it.
fn forms() -> Vec<Vec<u8>> {
    #[expect(clippy::cast_possible_truncation, reason = "it fits")]
    let short = PLANTED as f32;
    let texts = ["41.8125", "41,8125", "41.812", "4181", "NDEuODEyNQ"].map(|text| text.as_bytes().to_vec());
    let bits = [PLANTED.to_le_bytes().to_vec(), PLANTED.to_be_bytes().to_vec()];
    let short = [short.to_le_bytes().to_vec(), short.to_be_bytes().to_vec()];
    texts.into_iter().chain(bits).chain(short).collect()
}

fn assert_sealed(place: &str, bytes: &[u8]) {
    for form in forms() {
        let at = bytes.windows(form.len()).position(|window| window == form);
        assert!(at.is_none(), "a measured value stands in {place} as {form:?}");
    }
}

pub async fn no_measured_value_leaves_the_sealed_boundary(river: River) {
    let hub = river.hub().await;
    // A month as usual, and two weeks far below it.
    let usual = (0..30).map(|day| night("u-1", day, [60.5, 62.25, 58.75][usize::try_from(day % 3).unwrap()]));
    let low = (30..44).map(|day| night("u-1", day, PLANTED));
    river.read(&usual.chain(low).collect::<Vec<_>>()).await;
    settled(&hub).await;
    assert!(!river.said().await.is_empty(), "there is something to say about it");
    for topic in Topic::ALL {
        for record in river.stage.all(*topic).await {
            assert_sealed(topic.name(), record.payload.as_deref().unwrap_or_default());
            for (_, value) in &record.headers {
                assert_sealed(topic.name(), value);
            }
        }
    }
    hub.stop().await;
    for file in river.stage.files() {
        assert_sealed(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}
