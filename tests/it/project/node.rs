//! What a node tells of its history, and that it goes on without.

use std::net::SocketAddr;

use auren::{
    bus::Topic,
    config::Role,
    project::{row, stats::Standing},
};
use serde_json::Value;

use super::{Server, all_of, reaches};
use crate::support::{Kind, River, http::get, on_system, settled, trigger, until};

/// Whether the node is ready, and what it says of its history.
pub async fn ready(address: SocketAddr) -> (u16, Value) {
    let answer = get(address, "/readyz").await;
    let checks = answer.json()["checks"].as_array().unwrap().clone();
    (answer.status, checks.into_iter().find(|check| check["check"] == "project").unwrap())
}

pub fn says(check: &Value, text: &str) -> bool {
    check["detail"].as_str().unwrap().contains(text)
}

#[test]
fn a_node_tells_how_its_history_is_and_goes_on_without_it() {
    let mut server = Server::start();
    on_system(async move {
        let mut river = River::open(Kind::Embedded).await.roles(Role::ALL);
        river.config.project.url = Some(server.url().into());
        let (hub, address) = river.served().await;
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["coach"])).await;
        settled(&hub).await;
        until("all is written", || async {
            let (status, check) = ready(address).await;
            status == 200 && check["ready"] == true && says(&check, "/postgres, 0 behind")
        })
        .await;
        let metrics = get(address, "/metrics").await.body;
        for line in [
            "auren_project_rows_total{topic=\"triggers.detected\"} 1",
            "auren_project_behind{topic=\"conversations.events\"} 0",
            "auren_project_working 1",
            "auren_project_failures_total 0",
        ] {
            assert!(metrics.lines().any(|said| said == line), "{line} is not in {metrics}");
        }

        // Another one, that does nothing else.
        river.config.node.roles = vec![Role::Project];
        let other = river.node("node-2").await;
        let beside = other.http_address().unwrap();
        until("it stands by", || async { says(&ready(beside).await.1, "stands by") }).await;
        assert_eq!(ready(beside).await.0, 200);
        assert_eq!(other.projector().unwrap().totals().standing, Standing::StandingBy);
        assert!(!get(beside, "/metrics").await.body.contains("auren_project_behind{"));

        server.kill();
        until("both say it", || async {
            let ((status, check), (alone, _)) = (ready(address).await, ready(beside).await);
            check["ready"] == false && status == 200 && alone == 503
        })
        .await;
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["coach"])).await;
        settled(&hub).await;
        until("it is behind", || async { !says(&ready(address).await.1, " 0 behind") }).await;

        server.again();
        let mut count = 0;
        for topic in row::TOPICS {
            count += all_of(&river.stage.bus, topic).await.len();
        }
        let all = reaches(&river.stage.bus, &server.url(), count as u64).await;
        assert_eq!((all.equal, all.differences()), (count as u64, 0), "{:?}", all.faults);
        other.stop().await;
        hub.stop().await;
    });
}
