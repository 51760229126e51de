//! The chat page in a real browser: `tests/browser/chat.mjs` starts a node of its own for each scenario.

use std::process::Command;

fn plays(scenario: &str) {
    let mut script = Command::new("node");
    script.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser"));
    script.args(["chat.mjs", scenario, env!("CARGO_BIN_EXE_auren")]);
    let end = script.output().expect("the browser tests need Node");
    let said = String::from_utf8_lossy(&end.stderr);
    assert!(end.status.success(), "tests/run installs chromium and the packages of tests/browser:\n{said}");
}

#[test]
fn an_answer_is_seen_as_it_is_spoken_in_every_tab_and_stopped_from_another() {
    plays("spoken");
}

#[test]
fn what_is_said_about_a_trigger_is_shown_with_its_reasons() {
    plays("why");
}

#[test]
fn a_page_whose_node_is_killed_in_the_middle_of_an_answer_resumes_without_a_hole() {
    plays("killed");
}

#[test]
fn a_long_past_is_loaded_as_it_is_scrolled_to() {
    plays("past");
}
