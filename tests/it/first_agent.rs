//! The page for a first agent (`agents/FIRST.md`), done as it stands in an empty folder.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Node, Program};

/// How long compiling AUREN for the agent may take, beside everything else that is tested meanwhile.
const COMPILING: Duration = Duration::from_secs(900);
/// How long anything else may take.
const WORKING: Duration = Duration::from_secs(120);

/// The blocks of a page that are marked with this word.
fn blocks(page: &str, mark: &str) -> Vec<String> {
    let opens = format!("\n```{mark}\n");
    page.split(&*opens).skip(1).map(|rest| rest.split("\n```\n").next().unwrap().to_owned()).collect()
}

/// A script as somebody types it in this folder, for whom `auren` is this program.
fn shell(script: &str, folder: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_auren"));
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
    command.env("PATH", format!("{}:{path}", program.parent().unwrap().display()));
    // Nodes run beside each other, and what is to be compiled has been downloaded for this program already.
    command.env("AUREN__HTTP__ADDRESS", "127.0.0.1:0").env("CARGO_NET_OFFLINE", "true").env_remove("RUST_LOG");
    command
}

fn done(mut command: Command, limit: Duration) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |mut pipe: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            pipe.read_to_end(&mut text).map(|_| text)
        })
    };
    let (out, errors) = (read(Box::new(out)), read(Box::new(errors)));
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let output = Output { status, stdout: out.join().unwrap().unwrap(), stderr: errors.join().unwrap().unwrap() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}:\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_first_agent_is_made_tested_run_and_asked_by_following_its_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("agents/FIRST.md")).unwrap();
    let (scripts, shown) = (blocks(&page, "sh"), blocks(&page, "text"));
    let [new, run, message, trigger] = &scripts[..] else { panic!("four scripts, not {}", scripts.len()) };
    let [first, second] = &shown[..] else { panic!("two answers, not {}", shown.len()) };
    let empty = tempfile::tempdir().unwrap();
    // Where the program was built outside its source, it has to be told where that is.
    let source = format!("--auren '{}'", root.display());
    let inside = Path::new(env!("CARGO_BIN_EXE_auren")).starts_with(root);
    let new = if inside { new.clone() } else { new.replace("new night-owl", &format!("new night-owl {source}")) };
    let tested = done(shell(&new, empty.path()), COMPILING);
    assert!(tested.contains("1 passed"), "{tested}");
    let folder = empty.path().join("night-owl");
    let mut hub = Node::spawn(shell(run, &folder), folder.join("hub.log"));
    for (script, shown) in [(message, first), (trigger, second)] {
        let said = done(shell(script, &folder), WORKING);
        // What stands behind the time, however it is aligned.
        let words = |line: &str| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        let heard: Vec<_> = said.lines().map(words).collect();
        for line in shown.lines().map(words) {
            assert!(heard.contains(&line), "{line:?} is not in:\n{said}\n{}", hub.said());
        }
    }
    hub.terminate();
}

#[test]
fn a_folder_that_is_there_is_left_alone_and_a_bad_name_is_refused() {
    let program = Program::new();
    fs::create_dir(program.folder().join("night-owl")).unwrap();
    let output = program.run(&["agents", "new", "night-owl", "--git", "https://git.example/auren.git"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("night-owl is there already, and nothing in it was changed"), "{said}");
    assert_eq!(fs::read_dir(program.folder().join("night-owl")).unwrap().count(), 0);
    let output = program.run(&["agents", "new", "../owl"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8(output.stderr).unwrap().contains("lower-case letters"));
    let wrong = program.run(&["agents", "new", "owl", "--auren", "night-owl"]);
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("night-owl is not AUREN's source") && !program.folder().join("owl").exists(), "{said}");
}
