//! The document of the chat protocol, validated by AsyncAPI's own parser (`tests/asyncapi`).

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::chat::open;
use crate::support::{Kind, http, on_system};

#[test]
fn the_document_of_the_protocol_is_valid_and_names_every_frame() {
    on_system(async {
        let river = open(Kind::Embedded).await;
        let hub = river.hub().await;
        let answer = http::get(hub.http_address().unwrap(), "/asyncapi.json").await;
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        let mut parser = Command::new("node")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/asyncapi"))
            .arg("check.mjs")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        parser.stdin.take().unwrap().write_all(answer.body.as_bytes()).unwrap();
        let end = tokio::task::spawn_blocking(move || parser.wait_with_output().unwrap()).await.unwrap();
        let said = String::from_utf8(end.stdout).unwrap();
        assert!(end.status.success(), "tests/run installs the packages of tests/asyncapi:\n{said}");
        let names = "hello event status delta reset ack marked gap pong error send stop seen ping";
        assert_eq!(said.lines().next(), Some(names), "{said}");
        hub.stop().await;
    });
}
