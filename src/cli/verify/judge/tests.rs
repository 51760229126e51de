//! Made-up histories, each with one thing wrong: a judge that finds no fault in them is worth nothing.

use auren::bus::Topic;
use auren_agents::{AgentId, events::CauseKind};

use super::*;

const USER: &str = "u";

fn id(number: u64) -> EventId {
    EventId::new(format!("i-{number}")).unwrap()
}

fn user() -> UserId {
    UserId::new(USER).unwrap()
}

fn sent(number: u64, at_ms: i64) -> Sent {
    Sent { at_ms, input: id(number), user: user(), kind: CauseKind::Trigger, number, seats: vec![1, 2] }
}

fn acked(number: u64, at_ms: i64) -> Acked {
    let offset = i64::try_from(number).unwrap();
    Acked { at_ms, input: id(number), topic: Topic::Triggers, partition: 0, offset }
}

fn seen(number: u64, seat: u32, offset: i64, at_ms: i64) -> Seen {
    Seen {
        at_ms,
        cause: id(number),
        user: user(),
        agent: AgentId::new("coach").unwrap(),
        seat,
        turn: number,
        code: None,
        event: EventId::new(format!("e-{number}-{seat}")).unwrap(),
        topic: Topic::Events,
        partition: 0,
        offset,
    }
}

/// So many inputs of one user, one each 100 ms, acknowledged after 2 ms and answered after 10.
fn good(inputs: u64) -> History {
    let mut history = History::default();
    for number in 1..=inputs {
        let at = i64::try_from(number).unwrap() * 100;
        history.sent.push(sent(number, at));
        history.acked.push(acked(number, at + 2));
        for seat in [1, 2] {
            let offset = i64::try_from(number * 2).unwrap() + i64::from(seat);
            history.seen.push(seen(number, seat, offset, at + 10));
        }
    }
    history
}

fn found(history: &History) -> Vec<Fault> {
    let verdict = judge(history);
    let counted = verdict.lost + verdict.duplicated + verdict.out_of_order + verdict.forgotten + verdict.unasked;
    assert_eq!(counted, verdict.faults.len());
    verdict.faults
}

#[test]
fn a_good_history_has_no_fault_and_is_counted() {
    let verdict = judge(&good(20));
    assert!(verdict.is_good(), "{:?}", verdict.faults);
    assert_eq!((verdict.sent, verdict.acked, verdict.effects, verdict.replaced), (20, 20, 40, 0));
    assert_eq!(verdict.answers, Spread { count: 20, p50_ms: 10, p99_ms: 10, max_ms: 10 });
    assert_eq!((verdict.stall_from_ms, verdict.stalls.count), (250, 0));
}

#[test]
fn an_effect_that_never_came_is_lost_and_the_seat_is_named() {
    let mut history = good(5);
    history.seen.retain(|seen| (&seen.cause, seen.seat) != (&id(3), 2));
    let faults = found(&history);
    let [Fault::Lost { input, place, missing, topic, .. }] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!((input, place.as_str(), topic.as_str()), (&id(3), "0:3", "triggers.detected"));
    assert_eq!(missing, &[2]);
}

#[test]
fn an_input_without_any_effect_is_lost_and_its_turn_is_not_missed() {
    let mut history = good(5);
    history.seen.retain(|seen| seen.cause != id(5));
    assert!(matches!(&found(&history)[..], [Fault::Lost { missing, .. }] if missing == &[1, 2]));
}

#[test]
fn what_was_not_acknowledged_may_have_effects_or_none_but_none_twice() {
    let mut history = good(4);
    history.acked.retain(|acked| acked.input != id(4));
    assert!(judge(&history).is_good());
    assert_eq!(judge(&history).acked, 3);
    let mut none = history.clone();
    none.seen.retain(|seen| seen.cause != id(4));
    assert!(judge(&none).is_good());
    history.seen.push(seen(4, 1, 40, 500));
    assert!(matches!(&found(&history)[..], [Fault::Duplicated { seat: 1, .. }]));
}

#[test]
fn one_effect_in_two_records_is_doubled_and_one_record_read_twice_is_not() {
    let mut history = good(5);
    history.seen.push(seen(2, 2, 6, 9000));
    assert!(judge(&history).is_good(), "the same place");
    history.seen.push(seen(2, 2, 60, 9000));
    let faults = found(&history);
    let [Fault::Duplicated { first, again, .. }] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!((first.as_str(), again.as_str()), ("0:6", "0:60"));
}

#[test]
fn two_agents_on_one_seat_are_a_double_too() {
    let mut history = good(2);
    let late = Seen { agent: AgentId::new("other").unwrap(), event: id(99), ..seen(1, 1, 60, 300) };
    history.seen.push(late);
    assert!(matches!(&found(&history)[..], [Fault::Duplicated { .. }]));
}

#[test]
fn an_answer_before_an_earlier_input_s_is_out_of_order() {
    let mut history = good(5);
    // Inputs 3 and 4 change places in the log.
    for seen in &mut history.seen {
        seen.offset += if seen.cause == id(3) { 2 } else { 0 } - if seen.cause == id(4) { 2 } else { 0 };
    }
    let faults = found(&history);
    assert!(
        faults.iter().all(|fault| matches!(fault, Fault::OutOfOrder { input, .. } if *input == id(4))),
        "{faults:?}"
    );
    assert!(!faults.is_empty());
}

#[test]
fn a_message_and_a_trigger_may_be_answered_in_either_order_because_they_stand_in_two_topics() {
    let mut history = good(5);
    for seen in &mut history.seen {
        seen.offset += if seen.cause == id(3) { 2 } else { 0 } - if seen.cause == id(4) { 2 } else { 0 };
    }
    history.sent[3].kind = CauseKind::Message;
    assert!(judge(&history).is_good());
}

#[test]
fn seats_out_of_their_order_and_events_in_another_partition_are_out_of_order() {
    let mut history = good(1);
    (history.seen[0].offset, history.seen[1].offset) = (9, 8);
    assert!(matches!(&found(&history)[..], [Fault::OutOfOrder { .. }]));
    let mut history = good(2);
    history.seen[3].partition = 1;
    assert!(matches!(&found(&history)[..], [Fault::OutOfOrder { .. }]));
}

#[test]
fn an_agent_that_takes_long_may_answer_behind_a_later_input() {
    let mut history = good(3);
    history.seen[1].offset = 30;
    assert!(judge(&history).is_good());
}

#[test]
fn a_turn_that_was_used_before_or_skipped_shows_a_wrong_memory() {
    for (input, turn) in [(3, 2), (5, 6)] {
        let mut history = good(5);
        history.seen.iter_mut().filter(|seen| seen.cause == id(input)).for_each(|seen| seen.turn = turn);
        assert!(matches!(&found(&history)[..], [Fault::Forgotten { .. }]), "{input}");
    }
}

#[test]
fn an_event_that_follows_from_nothing_is_a_fault() {
    let mut history = good(1);
    history.seen.push(seen(7, 1, 70, 900));
    assert!(matches!(&found(&history)[..], [Fault::Unasked { .. }]));
}

#[test]
fn a_busy_hub_answers_for_the_whole_panel() {
    let mut history = good(2);
    history.seen.pop();
    history.seen[2].code = Some("busy".to_owned());
    let verdict = judge(&history);
    assert!(verdict.is_good(), "{:?}", verdict.faults);
    assert_eq!(verdict.replaced, 1);
}

#[test]
fn a_stall_lasts_from_the_first_unanswered_input_to_the_next_answer() {
    let mut history = good(100);
    // What was sent from 5,000 ms to 8,000 ms is answered from 8,005 ms on.
    for (number, seen) in history.seen.iter_mut().enumerate().map(|(index, seen)| (index as i64 / 2 + 1, seen)) {
        if (50..=80).contains(&number) {
            seen.at_ms = 8005 + (number - 50) / 10;
        }
    }
    let verdict = judge(&history);
    assert!(verdict.is_good());
    assert_eq!(verdict.stalls, Spread { count: 1, p50_ms: 3005, p99_ms: 3005, max_ms: 3005 });
    // Nothing was due while nothing was sent.
    let mut history = good(100);
    history.sent.retain(|sent| !(50..=80).contains(&sent.number));
    history.seen.retain(|seen| !(50..=80).contains(&seen.turn));
    assert_eq!(judge(&history).stalls.count, 0);
}

#[test]
fn percentiles_are_of_the_nearest_rank() {
    let spread = Spread::of((1..=200).rev().collect());
    assert_eq!(spread, Spread { count: 200, p50_ms: 100, p99_ms: 198, max_ms: 200 });
    assert_eq!(Spread::of(Vec::new()), Spread::default());
}
