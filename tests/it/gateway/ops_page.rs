//! The operators' page in a real browser (`tests/browser/ops.mjs`), against a running hub.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use actix::System;
use auren::bus::Topic;
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::{Kind, River, chatter::token_for, keyed, mission_trigger, settled};

/// How long the browser may take on a machine on which many tests run: it draws and judges every picture four times.
const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn an_operator_looks_at_a_node_and_sends_a_dead_letter_again_in_a_browser() {
    let looking = async {
        let mut river = River::open(Kind::Embedded).await;
        let (hub, address) = river.served().await;
        let token = |scope| token_for(&river.config, "an-operator", scope, Duration::from_secs(3600));
        let options = json!({ "address": address, "token": token("ops"), "chatter": token("chat") });
        let mut page = Command::new("node")
            .args(["ops.mjs", &options.to_string()])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests of the pages need Node");
        let mut answer = page.stdin.take().unwrap();
        let (said, mut wishes) = mpsc::unbounded_channel();
        let lines = BufReader::new(page.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(said.send(line))));
        // How often it was sent again.
        let again = async || {
            let records = river.stage.all(Topic::Triggers).await;
            records.iter().filter(|record| record.header("auren-replayed-from").is_some()).count()
        };
        let mut wished = 0;
        while let Some(wish) = wishes.recv().await {
            match wish.as_str() {
                "send a trigger" => river.json(Topic::Triggers, "user_hash", &mission_trigger()).await,
                "send a poison record" => river.stage.publish(vec![keyed(Topic::Triggers, "u-1", "not json")]).await,
                "nothing was sent again" => assert_eq!(again().await, 0),
                "it was sent again once" => assert_eq!(again().await, 1),
                other => panic!("it wishes {other:?}"),
            }
            wished += 1;
            settled(&hub).await;
            answer.write_all(b"done\n").unwrap();
        }
        assert!(page.wait().unwrap().success(), "its errors are above");
        assert_eq!(wished, 4);
        hub.stop().await;
    };
    System::new().block_on(async { tokio::time::timeout(LIMIT, looking).await }).expect("the test hangs");
}
