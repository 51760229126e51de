//! Several hubs under one name, by somebody's mistake.

use std::{future::Future, pin::Pin};

use auren::{
    app::{HubError, Running},
    bus::{BusError, Topic},
    config::Role,
};
use tokio::sync::watch;

use crate::support::{River, mission_trigger, within};

type Life = Pin<Box<dyn Future<Output = Result<(), HubError>>>>;

/// A hub that works until the end is told, or it gives up.
fn live(hub: Running, end: &watch::Sender<bool>) -> Life {
    let mut end = end.subscribe();
    Box::pin(hub.until(async move { drop(end.wait_for(|end| *end).await) }))
}

pub async fn of_two_nodes_with_one_name_one_gives_up_and_the_other_goes_on(river: River) {
    let river = river.roles(&[Role::Converse]);
    let end = watch::Sender::new(false);
    let (mut one, mut other) = (live(river.hub().await, &end), live(river.hub().await, &end));
    let first = within(async {
        tokio::select! {
            end = &mut one => (end, other),
            end = &mut other => (end, one),
        }
    });
    let (gave_up, stays) = first.await;
    assert!(matches!(gave_up, Err(HubError::Bus(BusError::Fenced { .. }))), "{gave_up:?}");
    let mut ear = river.listen();
    river.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
    let heard = async {
        ear.hears(2).await;
        end.send_replace(true);
    };
    let (ended, ()) = tokio::join!(stays, heard);
    ended.unwrap();
    assert_eq!(river.said().await.len(), 2);
}
