//! What onlookers are told: parts, what becomes of them, and who comes late.

mod across;

use std::{sync::Arc, time::Duration};

use auren_agents::{
    AgentId, Cause, Consult, ConsultId, ConversationEvent, ConversationId, ConversationMetadata, EventId, MessageType,
    Parts, Text, Timestamp, UserId, events::CauseKind,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    Provisional,
    onlooker::{News, Onlooker},
};

fn consult(agent: &str, turn: u64) -> Consult {
    Consult {
        id: ConsultId::new(format!("{agent}-{turn}")).unwrap(),
        agent: AgentId::new(agent).unwrap(),
        user: UserId::new("u-1").unwrap(),
        conversation: ConversationId::new("c-1").unwrap(),
        turn,
        cause: Cause::Message { id: EventId::new("m-1").unwrap(), text: Text::cut("And now?") },
        at: Timestamp::now(),
        recent: Arc::new([]),
        past: Arc::new([]),
        panel: Vec::new(),
        deadline: Duration::from_secs(1),
        parts: Parts::default(),
        trace: None,
    }
}

fn event(consult: &Consult) -> ConversationEvent {
    let mut metadata = ConversationMetadata::new(EventId::new("m-1").unwrap(), CauseKind::Message, consult.turn);
    metadata.consult_id = Some(consult.id.clone());
    ConversationEvent {
        event_id: EventId::new("e-1").unwrap(),
        conversation_id: consult.conversation.clone(),
        user_id: consult.user.clone(),
        specialist_id: consult.agent.clone(),
        message_type: MessageType::SpecialistResponse,
        content: Text::cut("Rest."),
        metadata,
        timestamp: consult.at.clone(),
        extra: serde_json::Map::new(),
    }
}

fn onlooker(board: &Provisional) -> Onlooker {
    board.look_on(&UserId::new("u-1").unwrap())
}

/// In short: `1 coach thinking`, `1.1/0 coach: Rest`, `1.1 coach gone`.
fn short(news: Vec<News>) -> Vec<String> {
    let one = |news| match news {
        News::Status { turn, agent, state } => format!("{turn} {agent} {}", format!("{state:?}").to_lowercase()),
        News::Delta { turn, attempt, seq, agent, text } => format!("{turn}.{attempt}/{seq} {agent}: {text}"),
        News::Reset { turn, attempt, agent } => format!("{turn}.{attempt} {agent} gone"),
    };
    news.into_iter().map(one).collect()
}

#[test]
fn parts_that_came_since_the_last_look_are_told_as_one_and_who_comes_late_is_told_all() {
    let board = Provisional::shown();
    let (consult, mut quick) = (consult("coach", 1), onlooker(&board));
    let voice = board.voice(&consult);
    voice.thinks();
    assert_eq!(short(quick.look()), ["1 coach thinking"]);
    let parts = voice.parts();
    parts.tell("Rest ");
    assert_eq!(short(quick.look()), ["1 coach answering", "1.1/0 coach: Rest "]);
    assert!(quick.look().is_empty());
    parts.tell("to");
    parts.tell("day");
    let mut late = onlooker(&board);
    assert_eq!(short(late.look()), ["1 coach answering", "1.1/0 coach: Rest today"]);
    parts.tell(".");
    voice.answered();
    assert_eq!(short(quick.look()), ["1.1/1 coach: today.", "1 coach done"]);
    // What is over is not begun with, and the event ends all of it.
    assert!(onlooker(&board).look().is_empty());
    assert!(quick.settle(&event(&consult)).is_empty());
    assert_eq!(short(late.look()), ["1 coach done"], "what it was not told in time it is not told any more");
    assert!(late.settle(&event(&consult)).is_empty());
    assert!(late.look().is_empty() && quick.look().is_empty());
    parts.tell(" And?");
    assert!(quick.look().is_empty(), "what is over does not begin again");
}

#[test]
fn what_does_not_hold_is_taken_back_before_the_next_asking_is_told() {
    let board = Provisional::shown();
    let (consult, mut onlooker) = (consult("coach", 7), onlooker(&board));
    let first = board.voice(&consult);
    first.parts().tell("Run");
    onlooker.look();
    drop(first);
    assert_eq!(short(onlooker.look()), ["7.1 coach gone", "7 coach done"]);
    let second = board.voice(&consult);
    second.parts().tell("Wa");
    assert_eq!(short(onlooker.look()), ["7 coach answering", "7.2/0 coach: Wa"]);
    // A look may miss that one asking ended and another began.
    drop(second);
    let third = board.voice(&consult);
    third.parts().tell("Rest");
    assert_eq!(short(onlooker.look()), ["7.2 coach gone", "7 coach answering", "7.3/0 coach: Rest"]);
    // Nor does an event follow from an asking before the one that was answered.
    drop(third);
    let fourth = board.voice(&consult);
    fourth.parts().tell("Sleep");
    fourth.answered();
    assert_eq!(short(onlooker.settle(&event(&consult))), ["7.3 coach gone"]);
    // Two agents of one turn are told apart.
    let other = board.voice(&self::consult("neuroscientist", 7));
    other.thinks();
    assert_eq!(short(onlooker.look()), ["7 neuroscientist thinking"]);
}

#[test]
fn what_is_answered_elsewhere_or_not_at_all_is_taken_back_in_every_tab_before_its_event() {
    let board = Provisional::shown();
    let (mut one, mut two) = (onlooker(&board), onlooker(&board));
    for stopped in [false, true] {
        let consult = consult("coach", u64::from(stopped));
        let mut event = event(&consult);
        if stopped {
            (event.message_type, event.metadata.consult_id) = (MessageType::SystemMessage, None);
        }
        let voice = board.voice(&consult);
        voice.parts().tell("Run");
        for onlooker in [&mut one, &mut two] {
            onlooker.look();
        }
        for onlooker in [&mut one, &mut two] {
            assert_eq!(short(onlooker.settle(&event)), [format!("{}.1 coach gone", consult.turn)]);
        }
        // Whoever spoke has not heard of it yet.
        voice.parts().tell(" a marathon");
        drop(voice);
        board.voice(&consult).parts().tell("Walk");
        assert!(one.look().is_empty() && two.look().is_empty() && onlooker(&board).look().is_empty());
    }
}

#[test]
fn nothing_is_kept_of_what_nobody_looks_on_at_once_it_is_over() {
    let board = Provisional::shown();
    let kept = || board.0.as_ref().unwrap().scenes().len();
    let voice = board.voice(&consult("coach", 1));
    assert_eq!(kept(), 0, "an agent that answers at once leaves no trace");
    voice.parts().tell("Rest");
    assert_eq!(kept(), 1);
    voice.answered();
    assert_eq!(kept(), 0);
    let looks = onlooker(&board);
    drop(board.voice(&consult("coach", 2)));
    for turn in 0..100 {
        let voice = board.voice(&consult("coach", turn));
        voice.thinks();
    }
    let answers =
        |board: &Provisional| board.0.as_ref().unwrap().scenes().values().map(|s| s.answers.len()).sum::<usize>();
    assert_eq!(answers(&board), super::OVER_MAX);
    drop(looks);
    assert_eq!(kept(), 0);
    let hidden = Provisional::hidden();
    let voice = hidden.voice(&consult("coach", 1));
    assert!(!voice.parts().is_heard());
}

#[test]
fn an_answer_without_end_is_shown_to_its_bound() {
    let board = Provisional::shown();
    let voice = board.voice(&consult("coach", 1));
    let parts = voice.parts();
    for _ in 0..10_000 {
        parts.tell("äöü");
    }
    let mut onlooker = onlooker(&board);
    let told = onlooker.look();
    let Some(News::Delta { text, .. }) = told.last() else { panic!("{told:?}") };
    assert!(text.len() <= super::TEXT_BYTES && text.len() > super::TEXT_BYTES - 4);
}

/// What a client has of each agent after any looks at any moments is what that agent has said and not taken back.
#[test]
fn at_whatever_moments_it_looks_a_client_has_what_holds() {
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let board = Provisional::shown();
        let mut onlooker = onlooker(&board);
        let agents = ["coach", "neuroscientist", "sleeper"];
        let consults = agents.map(|agent| consult(agent, 1));
        let mut voices: Vec<_> = consults.iter().map(|_| None).collect();
        let mut true_texts = vec![String::new(); agents.len()];
        let mut shown: std::collections::HashMap<String, (u32, u64, String)> = std::collections::HashMap::new();
        let mut hear = |onlooker: &mut Onlooker| {
            for news in onlooker.look() {
                match news {
                    News::Delta { attempt, seq, agent, text, .. } => {
                        let held = shown.entry(agent.to_string()).or_insert((attempt, 0, String::new()));
                        assert_eq!((held.0, held.1), (attempt, seq), "seed {seed}");
                        held.1 += 1;
                        held.2.push_str(&text);
                    }
                    News::Reset { attempt, agent, .. } => {
                        assert_eq!(shown.remove(agent.as_str()).map(|held| held.0), Some(attempt), "seed {seed}");
                    }
                    News::Status { .. } => {}
                }
            }
            shown.clone()
        };
        for _ in 0..60 {
            let who = random.random_range(0..agents.len());
            match random.random_range(0..5) {
                0 => {
                    voices[who] = None;
                    true_texts[who].clear();
                    voices[who] = Some(board.voice(&consults[who]));
                }
                1 => {
                    voices[who] = None;
                    true_texts[who].clear();
                }
                2 => drop(hear(&mut onlooker)),
                _ => {
                    if let Some(voice) = &voices[who] {
                        let part = format!("{} ", random.random_range(0..100));
                        voice.parts().tell(&part);
                        true_texts[who].push_str(&part);
                    }
                }
            }
        }
        let shown = hear(&mut onlooker);
        for (agent, text) in agents.iter().zip(true_texts) {
            let held = shown.get(*agent).map_or("", |held| &*held.2);
            assert_eq!(held, text, "seed {seed}");
        }
    }
}
