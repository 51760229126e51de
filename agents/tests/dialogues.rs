//! What the built-in experts say: every case in `dialogues/*.toml`, and what holds for every case there could be.
//!
//! A case gives a cause, what was measured (as metadata) and what was said before, and names words that the answer has
//! to hold or must not hold. `cargo test -p auren-agents --test dialogues dialogue -- --nocapture` prints the answers.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is test code; clippy exempts only the tests")]

#[path = "dialogues/case.rs"]
mod case;
#[path = "dialogues/grid.rs"]
mod grid;

use auren_agents::{UserId, dialogue};

#[test]
fn every_dialogue_says_what_it_should() {
    let cases = dialogue::shipped();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    let persons: Vec<_> = (0..24).map(|person| UserId::new(format!("person-{person}")).unwrap()).collect();
    let mut failures = Vec::new();
    for case in &cases {
        println!("## {}\n{}\n", case.title(), &*case::answer(case, &case.user).message);
        // What is expected holds in every wording, and persons differ in theirs.
        for person in std::iter::once(&case.user).chain(&persons) {
            let advice = case::answer(case, person);
            let mut faults = case.faults(&advice);
            faults.extend(grid::faults(&advice));
            if !faults.is_empty() {
                failures.push(format!("{}\n  {}\n  said: {}", case.title(), faults.join("\n  "), &*advice.message));
                break;
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} dialogues went wrong:\n\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n\n")
    );
}
