//! `auren agents new`: the folder of an agent in Rust, with a hub that runs it and its first dialogue.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  auren agents new night-owl
  auren agents new night-owl --auren ../auren                         AUREN's source is in that folder
  auren agents new night-owl --git https://git.example/auren.git

The folder has src/main.rs (the agent, and a hub that runs it beside the built-in ones), a dialogue that `cargo test` \
asks it, and a README that says what to do next. agents/FIRST.md of AUREN's source goes through it step by step.";

/// What of an agent's folder comes from where: its path, and its text with NAME, TYPE, AUREN and TARGET to be filled in.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../../agents/template/Cargo.toml.in")),
    ("src/main.rs", include_str!("../../../agents/template/main.rs.in")),
    ("dialogues/NAME.toml", include_str!("../../../agents/template/dialogue.toml.in")),
    ("README.md", include_str!("../../../agents/template/README.md.in")),
];
const SHARED: &str = include_str!("../../../agents/template/config.toml.in");

/// Names that mean something else: to conversations, to Rust, to what the agent is built with, or in its own source.
const TAKEN: &[&str] = &[
    "actix",
    "advice",
    "agent",
    "agent-card",
    "agent-error",
    "alloc",
    "auren",
    "auren-agents",
    "cause",
    "consult",
    "core",
    "hub",
    "hub-error",
    "none",
    "ok",
    "option",
    "result",
    "self",
    "some",
    "std",
    "string",
    "test",
    "tracing-subscriber",
    "user",
];

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// The agent's name, by which triggers and people call it; the folder has it too.
    #[arg(value_parser = name)]
    name: String,
    /// The folder with AUREN's source [default: the one that this program was built in]
    #[arg(long, value_name = "FOLDER", conflicts_with = "git")]
    auren: Option<PathBuf>,
    /// The Git repository with AUREN's source, instead of a folder.
    #[arg(long, value_name = "URL")]
    git: Option<String>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let Args { name, .. } = args;
    let source = Source::of(args)?;
    let folder = Path::new(name);
    ensure!(!folder.exists(), "{name} is there already, and nothing in it was changed; choose another name or place");
    let kind = kind(name);
    for (path, text) in FILES {
        let text = text.replace("NAME", name).replace("TYPE", &kind).replace("AUREN\n", &source.dependencies());
        write(&folder.join(path.replace("NAME", name)), &text)?;
    }
    write(&folder.join(".gitignore"), "/target\n/auren-data\n")?;
    source.share(folder)?;
    context.console.line(format_args!(
        "{name}/src/main.rs is the agent and the hub that runs it, {name}/dialogues/{name}.toml its first dialogue. Next:\n\
         \n  cd {name}\n  cargo test\n  cargo run\n\
         \nand in another terminal, in the same folder:\n\
         \n  auren send message --user u-1 \"@{name} will it be a good night?\"\
         \n  auren tail conversations.events --user u-1 --from earliest"
    ))?;
    Ok(Exit::Done)
}

/// Where AUREN's source is.
enum Source {
    Folder(PathBuf),
    Git(String),
}

impl Source {
    fn of(args: &Args) -> anyhow::Result<Self> {
        if let Some(url) = &args.git {
            return Ok(Self::Git(url.clone()));
        }
        if let Some(folder) = &args.auren {
            let found = fs::canonicalize(folder).with_context(|| format!("cannot open {}", folder.display()))?;
            ensure!(is_source(&found), "{} is not AUREN's source: it has no agents/Cargo.toml", folder.display());
            return Ok(Self::Folder(found));
        }
        let program = std::env::current_exe().and_then(fs::canonicalize).unwrap_or_default();
        let found = program.ancestors().find(|folder| is_source(folder));
        let found = found.context(
            "this program does not lie in AUREN's source; say where that is: --auren FOLDER, or --git URL of a repository",
        )?;
        Ok(Self::Folder(found.to_owned()))
    }

    /// The lines of Cargo.toml that name it.
    fn dependencies(&self) -> String {
        let text = |text: &str| toml::Value::from(text).to_string();
        // The hub of one's own has what this one has.
        let features = if cfg!(feature = "kafka-tls") { ", features = [\"kafka-tls\"]" } else { "" };
        match self {
            Self::Folder(folder) => format!(
                "auren = {{ path = {}{features} }}\nauren-agents = {{ path = {} }}\n",
                text(&folder.to_string_lossy()),
                text(&folder.join("agents").to_string_lossy())
            ),
            Self::Git(url) => {
                let url = text(url);
                format!("auren = {{ git = {url}{features} }}\nauren-agents = {{ git = {url} }}\n")
            }
        }
    }

    /// Lets the agent be built with the versions that AUREN was tested with, and with what is compiled of them already.
    fn share(&self, folder: &Path) -> anyhow::Result<()> {
        let Self::Folder(source) = self else { return Ok(()) };
        let lock = source.join("Cargo.lock");
        if lock.is_file() {
            let copied = fs::copy(&lock, folder.join("Cargo.lock"));
            copied.with_context(|| format!("cannot copy {}", lock.display()))?;
        }
        let target = source.join("target");
        if target.is_dir() {
            let target = toml::Value::from(&*target.to_string_lossy()).to_string();
            write(&folder.join(".cargo/config.toml"), &SHARED.replace("TARGET", &target))?;
        }
        Ok(())
    }
}

fn is_source(folder: &Path) -> bool {
    let agents = fs::read_to_string(folder.join("agents/Cargo.toml")).unwrap_or_default();
    agents.contains("name = \"auren-agents\"") && folder.join("Cargo.toml").is_file()
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let made = fs::create_dir_all(folder).and_then(|()| fs::write(file, text));
    made.with_context(|| format!("cannot write {}", file.display()))
}

/// An agent's name that can be the name of a crate, too.
fn name(text: &str) -> Result<String, String> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=64).contains(&text.len()) && text.bytes().all(letter) && text.as_bytes()[0].is_ascii_lowercase();
    if !good || text.ends_with('-') || text.contains("--") {
        return Err(
            "it must be at most 64 lower-case letters, digits and single dashes, and begin with a letter".to_owned()
        );
    }
    if TAKEN.contains(&text) {
        return Err("this name means something else already".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of the agent's type: `night-owl` is `NightOwl`.
fn kind(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_for_triggers_for_a_crate_and_for_a_type() {
        assert_eq!(name("night-owl").map(|name| kind(&name)).as_deref(), Ok("NightOwl"));
        assert_eq!(name("a1").map(|name| kind(&name)).as_deref(), Ok("A1"));
        for bad in ["", "Owl", "1a", "a_b", "a-", "a--b", "-a", "../a", "user", "auren", "consult", "ä"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_source_in_a_repository_is_named_by_its_address() {
        let git = Source::Git("https://git.example/\"auren\"".to_owned()).dependencies();
        let lines: toml::Table = toml::from_str(&git).unwrap();
        assert_eq!(lines["auren"]["git"].as_str(), Some("https://git.example/\"auren\""));
        assert_eq!(lines["auren"]["git"], lines["auren-agents"]["git"]);
    }
}
