//! What the built-in experts say: every case in `dialogues/*.toml`, and what holds for every case there could be.
//!
//! A case gives a cause, what was measured (as metadata) and what was said before, and names words that the answer has
//! to hold or must not hold. `cargo test -p auren-agents --test dialogues dialogue -- --nocapture` prints the answers.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is test code; clippy exempts only the tests")]

#[path = "dialogues/case.rs"]
mod case;
#[path = "dialogues/grid.rs"]
mod grid;

use std::{fs, path::Path};

use case::{Case, File};

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml")) {
        let file: File = toml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        cases.extend(file.case.into_iter().map(|case| (format!("{name}: {}", case.name), case)));
    }
    cases
}

#[test]
fn every_dialogue_says_what_it_should() {
    let cases = cases();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for (name, case) in &cases {
        println!("## {name}\n{}\n", &*case.answer(&case.user).message);
        // What is expected holds in every wording, and persons differ in theirs.
        for person in std::iter::once(case.user.clone()).chain((0..24).map(|person| format!("person-{person}"))) {
            let advice = case.answer(&person);
            let mut faults = case.expect.faults(&advice);
            faults.extend(grid::faults(&advice));
            if !faults.is_empty() {
                failures.push(format!("{name}\n  {}\n  said: {}", faults.join("\n  "), &*advice.message));
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
