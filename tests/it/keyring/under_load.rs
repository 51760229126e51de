//! Two nodes seal and open without a pause while the master key is changed under them, all data keys are wrapped anew, and one
//! person is erased.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use auren::{
    intake::SealedReading,
    phi::{KeyError, Keys, master::Local},
};

use super::{Place, user};
use crate::support::{night, sealed, until};

/// What the nodes have done, and when the person went.
#[derive(Default)]
struct Seen {
    opened: Cell<u32>,
    refused: Cell<u32>,
    asked_to_go: Cell<Option<Instant>>,
    gone: Cell<Option<Instant>>,
    last_opened: Cell<Option<Instant>>,
    over: Cell<bool>,
}

pub async fn every_reading_opens_until_its_person_is_erased_and_none_afterwards(place: Place) {
    let nodes = [RefCell::new(place.keys().await), RefCell::new(place.keys().await)];
    let first = nodes[0].borrow().clone();
    let kept = RefCell::new(vec![
        sealed(&first, &night("gone", 1, 41.5)).await,
        sealed(&first, &night("stays", 1, 41.5)).await,
    ]);
    let seen = Seen::default();
    // As long as there is work between two steps, the steps are under load.
    let some_more = async |what: &str| {
        let enough = seen.opened.get() + 40;
        until(what, || async { seen.opened.get() >= enough }).await;
    };
    let begin_again = async |what: &str| {
        for node in &nodes {
            node.replace(place.keys().await);
            some_more(what).await;
        }
    };
    let changes = async {
        some_more("the nodes work").await;
        Local::add_to(&place.master()).unwrap();
        begin_again("both nodes know the new master key").await;
        Local::promote_in(&place.master(), 2).unwrap();
        begin_again("both nodes wrap with it").await;
        let [one, other] = [0, 1].map(|number: usize| nodes[number].borrow().clone());
        let (one, other) = futures::join!(one.rewrap("test"), other.rewrap("test"));
        assert!(one.unwrap().rewrapped + other.unwrap().rewrapped >= 2, "the two people of the beginning at least");
        Local::retire_from(&place.master(), 1).unwrap();
        begin_again("the old master key is gone").await;

        seen.asked_to_go.set(Some(Instant::now()));
        let keys = nodes[0].borrow().clone();
        assert!(keys.destroy(&user("gone"), "test").await.unwrap().had_key);
        // What the request to forget a person makes of every other node that it reaches; without it, a key is kept a minute.
        nodes[1].borrow().forget(&user("gone"));
        seen.gone.set(Some(Instant::now()));
        some_more("the others go on").await;
        seen.over.set(true);
    };
    futures::join!(work(0, &nodes, &kept, &seen), work(1, &nodes, &kept, &seen), changes);
    assert!(seen.refused.get() > 2, "the nodes went on trying to open what is erased");
    let last = seen.last_opened.get().unwrap().saturating_duration_since(seen.asked_to_go.get().unwrap());
    eprintln!(
        "{} openings; the last one of the erased person {:.4} s after it was asked for",
        seen.opened.get(),
        last.as_secs_f64()
    );
}

/// A node: somebody new now and then, and the first, the second and the newest reading of both nodes again and again.
async fn work(number: usize, nodes: &[RefCell<Keys>; 2], kept: &RefCell<Vec<SealedReading>>, seen: &Seen) {
    for round in 0.. {
        if seen.over.get() {
            return;
        }
        // The node as it is now: what it was before it began again is gone, with what it remembered.
        let node = || nodes[number].borrow().clone();
        if round % 8 == 0 {
            let reading = sealed(&node(), &night(&format!("new-{number}-{round}"), 1, 41.5)).await;
            kept.borrow_mut().push(reading);
        }
        let newest = kept.borrow().len() - 1;
        for place in [0, 1, newest] {
            let reading = kept.borrow()[place].clone();
            let begun = Instant::now();
            match node().find(&reading.user_id, 0).await {
                Ok(key) => {
                    assert!(reading.open(&key).is_ok(), "{}", reading.user_id);
                    seen.opened.set(seen.opened.get() + 1);
                    if place == 0 {
                        assert!(seen.gone.get().is_none_or(|gone| begun < gone), "opened after the receipt");
                        seen.last_opened.set(Some(Instant::now()));
                    }
                }
                Err(KeyError::Erased) if place == 0 && seen.asked_to_go.get().is_some() => {
                    seen.refused.set(seen.refused.get() + 1);
                }
                Err(error) => panic!("{} on node {number}: {error}", reading.user_id),
            }
        }
        tokio::task::yield_now().await;
    }
}
