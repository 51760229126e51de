//! What agents say before it is committed reaches sockets of other nodes through Redis, and nothing depends on it.

use std::net::SocketAddr;

use auren::{
    app::Running,
    bus::Topic,
    config::{Role, Secret},
    consult::Agents,
};
use serde_json::json;

use super::{
    chat::{log, open},
    provisional::Page,
};
use crate::support::{
    Kind, Line, River, Script,
    chatter::{Chatter, token},
    http::figure,
    on_system, own_name, service, trigger, until,
};

/// Two nodes on one Kafka that have these agents, and a line to their Redis.
async fn nodes(agents: Agents) -> (River, Line, [Running; 2], [SocketAddr; 2]) {
    let mut river = open(Kind::Kafka).await.roles(&[Role::Converse]).agents(agents);
    let url = service("AUREN_TEST_REDIS");
    let address = url.trim_end_matches('/').rsplit(['@', '/']).next().unwrap();
    let line = Line::to(address).await;
    river.config.redis.url = Some(Secret::from(url.replace(address, &line.address())));
    (river.config.redis.prefix, river.config.redis.timeout_ms) = (own_name(), 500);
    let nodes = [river.node("node-1").await, river.node("node-2").await];
    let addresses = [&nodes[0], &nodes[1]].map(|node| node.http_address().unwrap());
    (river, line, nodes, addresses)
}

async fn sum(addresses: [SocketAddr; 2], name: &str) -> u64 {
    figure(addresses[0], name).await + figure(addresses[1], name).await
}

#[test]
fn a_socket_of_another_node_hears_an_answer_as_it_is_spoken_and_then_its_event() {
    on_system(async {
        let script = Script::empty();
        let (river, _line, nodes, addresses) = nodes(Agents::none().with(script.player("far"))).await;
        let token = token(&river.config, "u-1");
        // One of the two nodes has the person's session; which, nobody knows.
        let mut tabs = Vec::new();
        for address in addresses {
            tabs.push((Chatter::open(address, &token, None).await, Page::default()));
        }
        until("both nodes listen", || async { sum(addresses, "auren_relay_people").await == 2 }).await;
        let ask = json!({ "type": "send", "client_id": "c-1", "text": "Will it be a good night?", "to": "far" });
        tabs[0].0.say(&ask).await;
        script.says(1, "Sleep ");
        for (chatter, page) in &mut tabs {
            page.shows(chatter, 1, "Sleep ").await;
        }
        // A tab that is opened in the middle is told from the beginning, wherever it is.
        for address in addresses {
            let mut tab = (Chatter::open(address, &token, Some("earliest")).await, Page::default());
            tab.1.shows(&mut tab.0, 1, "Sleep ").await;
            tabs.push(tab);
        }
        script.says(1, "well.");
        for (chatter, page) in &mut tabs {
            page.shows(chatter, 1, "Sleep well.").await;
        }
        assert!(!river.stage.texts(Topic::Events).await.join("\n").contains("Sleep"), "it is in the log already");
        script.ends(1);
        for (chatter, page) in &mut tabs {
            while page.events.len() < 2 {
                page.until(chatter, "event").await;
            }
            assert!(page.provisional.is_empty());
        }
        assert_eq!(log(&river, "u-1").await, tabs[0].1.events);
        let heard = [
            figure(addresses[0], "auren_relay_heard_total").await,
            figure(addresses[1], "auren_relay_heard_total").await,
        ];
        assert!(heard.contains(&0) && heard != [0, 0], "one node speaks and the other one listens: {heard:?}");
        // What is stopped is taken back everywhere.
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far"])).await;
        script.says(2, "Get up and ");
        for (chatter, page) in &mut tabs {
            page.shows(chatter, 2, "Get up and ").await;
        }
        tabs[1].0.say(&json!({ "type": "stop", "turn": 2 })).await;
        for (chatter, page) in &mut tabs {
            let event = page.until(chatter, "event").await;
            assert_eq!(event["event"]["metadata"]["code"], "stopped");
            assert!(page.provisional.is_empty() && page.resets > 0);
        }
        // Who has gone is not listened to any more.
        drop(tabs);
        until("nobody is listened to", || async { sum(addresses, "auren_relay_people").await == 0 }).await;
        for node in nodes {
            node.stop().await;
        }
    });
}

#[test]
fn without_redis_the_event_comes_all_the_same_and_parts_come_again_with_it() {
    on_system(async {
        let script = Script::empty();
        let (river, line, nodes, addresses) = nodes(Agents::none().with(script.player("far"))).await;
        let token = token(&river.config, "u-1");
        let mut tabs = Vec::new();
        for address in addresses {
            tabs.push((Chatter::open(address, &token, None).await, Page::default()));
        }
        until("both nodes listen", || async { sum(addresses, "auren_relay_people").await == 2 }).await;
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far"])).await;
        script.says(1, "Sleep ");
        for (chatter, page) in &mut tabs {
            page.shows(chatter, 1, "Sleep ").await;
        }
        line.cut();
        until("both nodes have noticed", || async { sum(addresses, "auren_relay_failures_total").await >= 2 }).await;
        script.says(1, "well.");
        script.ends(1);
        for (chatter, page) in &mut tabs {
            assert_eq!(page.until(chatter, "event").await["event"]["content"], "Sleep well.");
            assert!(page.provisional.is_empty());
        }
        // An answer that is begun without Redis is heard from its beginning once Redis is there.
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["far"])).await;
        script.says(2, "Rest ");
        line.mend();
        for (chatter, page) in &mut tabs {
            page.shows(chatter, 2, "Rest ").await;
        }
        script.says(2, "a while.");
        for (chatter, page) in &mut tabs {
            page.shows(chatter, 2, "Rest a while.").await;
        }
        script.ends(2);
        for (chatter, page) in &mut tabs {
            page.until(chatter, "event").await;
            assert!(page.provisional.is_empty());
            assert_eq!(page.events.len(), 2);
        }
        for node in nodes {
            node.stop().await;
        }
    });
}
