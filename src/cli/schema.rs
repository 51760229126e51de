//! `auren schema`: JSON Schema of every record, as files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use auren::{gateway::openapi, schema};
use clap::Subcommand;

use super::{Console, Context, Exit};

const EXAMPLES: &str = "\
Examples:
  auren schema export schemas
  auren schema export schemas --check

With --check it exits with 1 where a file is missing or out of date.

JSON Schema, draft 2020-12, one file a topic: health.biometrics.schema.json, triggers.detected.schema.json, ... \
plain-reading.schema.json for what `auren send reading` takes, and consult.schema.json and advice.schema.json for what \
agents in other processes are asked and answer. openapi.json describes every HTTP route of a node (OpenAPI 3.1).";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Write the schemas into a folder.
    #[command(after_help = EXAMPLES)]
    Export {
        /// The folder. It is made where it does not exist.
        dir: PathBuf,
        /// Write nothing; say whether the folder is up to date.
        #[arg(long)]
        check: bool,
    },
}

pub(super) fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let Args::Export { dir, check: only_check } = args;
    let files = files();
    if only_check { check(&files, &dir, &mut context.console) } else { export(&files, &dir, &mut context.console) }
}

/// Every file by its name, and its text.
fn files() -> Vec<(String, String)> {
    let mut files: Vec<_> = schema::all().iter().map(|schema| (schema.file_name(), schema.text())).collect();
    files.push(("openapi.json".to_owned(), format!("{:#}\n", openapi::document())));
    files
}

fn export(files: &[(String, String)], dir: &Path, console: &mut Console) -> anyhow::Result<Exit> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
    for (name, text) in files {
        let file = dir.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        console.line(file.display())?;
    }
    Ok(Exit::Done)
}

fn check(files: &[(String, String)], dir: &Path, console: &mut Console) -> anyhow::Result<Exit> {
    let mut stale = 0;
    for (name, wanted) in files {
        let file = dir.join(name);
        let state = match fs::read_to_string(&file) {
            Ok(text) if text == *wanted => "up to date",
            Ok(_) => "OUT OF DATE",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "MISSING",
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        stale += u32::from(state != "up to date");
        console.line(format_args!("{state:<12} {}", file.display()))?;
    }
    if stale == 0 {
        return Ok(Exit::Done);
    }
    console.flush()?;
    console.note(format_args!("{stale} to be written: auren schema export {}", dir.display()));
    Ok(Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::context::tests::bench;

    #[test]
    fn what_was_exported_is_up_to_date_until_it_is_changed() {
        let mut bench = bench();
        let dir = bench.folder.path().join("schemas");
        let args = |check| Args::Export { dir: dir.clone(), check };
        assert_eq!(run(args(true), &mut bench.context).unwrap(), Exit::Failed);
        assert_eq!(run(args(false), &mut bench.context).unwrap(), Exit::Done);
        assert_eq!(run(args(true), &mut bench.context).unwrap(), Exit::Done);
        fs::write(dir.join("health.biometrics.schema.json"), "{}").unwrap();
        bench.captured.out();
        assert_eq!(run(args(true), &mut bench.context).unwrap(), Exit::Failed);
        assert!(bench.captured.out().contains("OUT OF DATE  "));
    }
}
