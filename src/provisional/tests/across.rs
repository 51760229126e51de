//! What onlookers of one node are told of what another says, over a way that loses whatever it likes.

use std::{
    slice,
    time::{Duration, Instant},
};

use auren_agents::UserId;

use super::*;
use crate::provisional::{Board, across::Tidings};

/// A node's board, and its number.
struct Node {
    provisional: Provisional,
    number: u64,
}

impl Node {
    fn new(number: u64) -> Self {
        let provisional = Provisional::shown();
        provisional.0.as_ref().unwrap().begin_errands();
        Self { provisional, number }
    }

    fn board(&self) -> &Board {
        self.provisional.0.as_ref().unwrap()
    }

    /// What it tells now, by person.
    fn tells(&self) -> Vec<(UserId, Tidings)> {
        let people = self.board().errands.take().tell.into_iter();
        let told = people.map(|user| (self.board().tidings(&user), user));
        let told = told.filter(|(answers, _)| !answers.is_empty());
        told.map(|(answers, user)| (user, Tidings { node: self.number, answers })).collect()
    }

    fn hears(&self, tidings: Vec<(UserId, Tidings)>) {
        for (user, tidings) in tidings {
            // As it travels.
            let text = serde_json::to_vec(&tidings).unwrap();
            self.board().hear(&user, serde_json::from_slice(&text).unwrap(), Instant::now());
        }
    }

    /// Whom it asks for.
    fn asks(&self) -> Vec<UserId> {
        self.board().errands.take().ask.into_iter().collect()
    }
}

fn onlooker_at(node: &Node) -> Onlooker {
    onlooker(&node.provisional)
}

#[test]
fn an_onlooker_of_another_node_is_told_what_one_of_the_same_is() {
    let (speaks, listens) = (Node::new(1), Node::new(2));
    let (consult, mut far) = (consult("coach", 3), onlooker_at(&listens));
    let voice = speaks.provisional.voice(&consult);
    voice.thinks();
    listens.hears(speaks.tells());
    assert_eq!(short(far.look()), ["3 coach thinking"]);
    voice.parts().tell("Rest ");
    voice.parts().tell("to");
    listens.hears(speaks.tells());
    assert_eq!(short(far.look()), ["3 coach answering", "3.1/0 coach: Rest to"]);
    // What is told twice is heard once.
    voice.parts().tell("day.");
    let tidings = speaks.tells();
    listens.hears(vec![(UserId::new("u-1").unwrap(), Tidings { node: 1, answers: tidings[0].1.answers.clone() })]);
    listens.hears(tidings);
    assert_eq!(short(far.look()), ["3.1/1 coach: day."]);
    voice.answered();
    listens.hears(speaks.tells());
    assert_eq!(short(far.look()), ["3 coach done"]);
    assert!(far.settle(&event(&consult)).is_empty());
    assert!(speaks.board().scenes().is_empty(), "what is over and told is not kept");
}

#[test]
fn nothing_is_told_after_its_event_however_late_it_comes() {
    let (speaks, listens) = (Node::new(1), Node::new(2));
    let (first, mut far) = (consult("coach", 1), onlooker_at(&listens));
    let voice = speaks.provisional.voice(&first);
    voice.parts().tell("Re");
    listens.hears(speaks.tells());
    far.look();
    voice.parts().tell("st.");
    let late = speaks.tells();
    voice.answered();
    assert!(far.settle(&event(&first)).is_empty(), "the event goes on with what was said");
    listens.hears(late);
    listens.hears(speaks.tells());
    assert!(far.look().is_empty() && onlooker_at(&listens).look().is_empty());
    // Nor where nothing of it was heard before.
    let second = consult("coach", 2);
    let voice = speaks.provisional.voice(&second);
    voice.parts().tell("Rest.");
    let late = speaks.tells();
    assert!(far.settle(&event(&second)).is_empty());
    listens.hears(late);
    assert!(far.look().is_empty());
    // An event that says something else takes back what was said.
    let third = consult("coach", 3);
    speaks.provisional.voice(&third).parts().tell("Run");
    let voice = speaks.provisional.voice(&third);
    voice.parts().tell("Run");
    listens.hears(speaks.tells());
    far.look();
    assert_eq!(short(far.settle(&event(&third))), ["3.1 coach gone"]);
}

#[test]
fn a_hole_is_asked_for_and_filled() {
    let (speaks, listens) = (Node::new(1), Node::new(2));
    let (consult, mut far) = (consult("coach", 1), onlooker_at(&listens));
    let voice = speaks.provisional.voice(&consult);
    voice.parts().tell("Rest ");
    drop(speaks.tells());
    voice.parts().tell("today");
    listens.hears(speaks.tells());
    assert_eq!(short(far.look()), ["1 coach thinking"], "what lies behind a hole is not told");
    let asked = listens.asks();
    assert!(asked.len() == 1 && asked[0] == consult.user, "{asked:?}");
    speaks.board().asked(&asked);
    listens.hears(speaks.tells());
    assert_eq!(short(far.look()), ["1 coach answering", "1.1/0 coach: Rest today"]);
}

#[test]
fn who_is_listened_to_by_nobody_tells_nothing_until_somebody_asks() {
    let node = Node::new(1);
    let consult = consult("coach", 1);
    let user = consult.user.clone();
    let voice = node.provisional.voice(&consult);
    voice.parts().tell("Rest ");
    assert_eq!(node.tells().len(), 1, "whether anybody listens shows by telling");
    node.board().listened(&user, false);
    voice.parts().tell("to");
    node.board().tend(Instant::now());
    assert!(node.tells().is_empty());
    node.board().asked(slice::from_ref(&user));
    voice.parts().tell("day");
    let told = node.tells();
    let other = Node::new(2);
    let mut far = onlooker_at(&other);
    other.hears(told);
    assert_eq!(short(far.look()), ["1 coach answering", "1.1/0 coach: Rest today"]);
    node.board().listened(&user, false);
    voice.answered();
    assert!(node.tells().is_empty() && node.board().scenes().is_empty());
    // Where errands are not run, nothing is kept for them.
    node.board().end_errands();
    let voice = node.provisional.voice(&super::consult("coach", 2));
    voice.parts().tell("Rest");
    voice.answered();
    assert!(node.board().scenes().is_empty() && node.board().errands.take().tell.is_empty());
}

#[test]
fn who_is_not_heard_of_any_more_is_taken_back_and_another_node_begins_anew() {
    let (dies, takes_over, listens) = (Node::new(1), Node::new(2), Node::new(3));
    let (consult, mut far) = (consult("coach", 1), onlooker_at(&listens));
    let voice = dies.provisional.voice(&consult);
    voice.parts().tell("Run");
    listens.hears(dies.tells());
    far.look();
    let soon = Instant::now() + Duration::from_secs(3);
    listens.board().tend(soon);
    assert!(far.look().is_empty());
    listens.board().tend(soon + Duration::from_secs(60));
    assert_eq!(short(far.look()), ["1.1 coach gone", "1 coach done"]);
    let voice = takes_over.provisional.voice(&consult);
    voice.parts().tell("Rest");
    listens.hears(takes_over.tells());
    assert_eq!(short(far.look()), ["1 coach answering", "1.2/0 coach: Rest"]);
    // The session may come to where the onlooker is.
    let here = listens.provisional.voice(&consult);
    here.parts().tell("Re");
    assert_eq!(short(far.look()), ["1.2 coach gone", "1 coach answering", "1.3/0 coach: Re"]);
    voice.parts().tell(" a while");
    listens.hears(takes_over.tells());
    assert!(far.look().is_empty(), "who speaks here is heard");
}

/// Parts are lost, asked for and told again at random; what is told is never wrong and never comes after its event.
#[test]
fn whatever_is_lost_what_is_told_is_how_the_event_begins() {
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let (speaks, listens) = (Node::new(1), Node::new(2));
        let (consult, mut far) = (consult("coach", 1), onlooker_at(&listens));
        let mut last = event(&consult);
        last.content = Text::cut("äbcdefghijklmnopqrstuvwxyz");
        let letters: Vec<char> = last.content.chars().collect();
        let voice = speaks.provisional.voice(&consult);
        let (mut said, mut shown, mut late) = (0, String::new(), Vec::new());
        let hear = |far: &mut Onlooker, shown: &mut String| {
            for news in far.look() {
                match news {
                    News::Delta { text, .. } => shown.push_str(&text),
                    News::Reset { .. } => shown.clear(),
                    News::Status { .. } => {}
                }
            }
            assert!(last.content.starts_with(&**shown), "seed {seed}: {shown}");
        };
        while said < letters.len() {
            match random.random_range(0..6) {
                0 => drop(speaks.tells()),
                1 => listens.hears(speaks.tells()),
                2 => late.extend(speaks.tells()),
                3 if !late.is_empty() => listens.hears(vec![late.remove(0)]),
                4 => {
                    let asked = listens.asks();
                    if random.random_bool(0.5) {
                        speaks.board().asked(&asked);
                    }
                }
                _ => {
                    voice.parts().tell(&letters[said].to_string());
                    said += 1;
                }
            }
            hear(&mut far, &mut shown);
        }
        voice.answered();
        far.settle(&last);
        listens.hears(late);
        listens.hears(speaks.tells());
        assert!(far.look().is_empty(), "seed {seed}");
    }
}
