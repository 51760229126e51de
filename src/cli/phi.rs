//! `auren phi`: the master key's rotation, and the token's test vectors.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use auren::{
    app::open_keys,
    config::{Config, KeyProvider, PrivacyProfile},
    enrich::{Guessed, attack},
    import::{Heading, Importer},
    intake,
    phi::{self, master::Local},
    simulate::{Settings, Simulation},
    wearable::Row,
};
use clap::Subcommand;

use super::{Context, Exit};

const STATUS_EXAMPLES: &str = "\
Examples:
  auren phi status";

const ROTATE_EXAMPLES: &str = "\
Examples:
  auren phi rotate add             a new key joins the key file; it unwraps and does not wrap yet
  auren phi rotate promote v2      it wraps from now on
  auren phi rewrap                 every data key is wrapped by it
  auren phi rotate retire v1       the old one leaves the key file

Between add and promote copy the key file to every node and restart it, and again between promote and retire: a node \
that lacks a key cannot unwrap what it wraps. A secret from elsewhere is rotated in the same order by hand, a vault's \
key by the vault.";

const REWRAP_EXAMPLES: &str = "\
Examples:
  auren phi rewrap

It can be interrupted and begun again; what is wrapped by the primary version already is passed over. Tokens do not \
change.";

const ATTACK_EXAMPLES: &str = "\
Examples:
  auren phi attack
  auren phi attack nights.csv

Each value is guessed from the metadata of its person's events and from other people's values. The first line of a \
profile is its best attack; the figure is the median error of all guesses. Nothing is published and nothing is kept.";

const VECTORS_EXAMPLES: &str = "\
Examples:
  auren phi vectors > phi1-vectors.json

SECURITY.md has the format, and tests/phi/open.py opens the vectors in another language.";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Show where the keys are and which version of the master key wraps how many.
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Change the master key in the key file, one step after the other.
    #[command(after_help = ROTATE_EXAMPLES)]
    Rotate {
        /// Which step.
        step: Step,
        /// Which version of the master key, such as v2.
        #[arg(required_if_eq_any([("step", "promote"), ("step", "retire")]), value_parser = version)]
        version: Option<u32>,
    },
    /// Wrap every data key under the primary version of the master key.
    #[command(after_help = REWRAP_EXAMPLES)]
    Rewrap,
    /// Measure how closely metadata give sealed values back, in each privacy profile.
    #[command(after_help = ATTACK_EXAMPLES)]
    Attack {
        /// A CSV file, as `auren import csv` reads it [default: simulated wearers]
        file: Option<PathBuf>,
    },
    /// Print the token's test vectors as JSON.
    #[command(after_help = VECTORS_EXAMPLES)]
    Vectors,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Step {
    /// A new key joins.
    Add,
    /// A key becomes the primary.
    Promote,
    /// A key leaves.
    Retire,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args {
        Args::Status => {
            let keys = open_keys(&context.config).await?;
            context.console.line(keys.describe())?;
            let primary = keys.primary().await?;
            for (version, count) in keys.versions().await? {
                let what = match version {
                    0 => "destroyed".to_owned(),
                    version if version == primary => format!("under v{version}, the primary"),
                    version => format!("under v{version}: auren phi rewrap wraps them anew"),
                };
                context.console.line(format_args!("{count} data keys {what}"))?;
            }
        }
        Args::Rotate { step, version } => rotate(step, version.unwrap_or_default(), context).await?,
        Args::Rewrap => {
            let done = open_keys(&context.config).await?.rewrap("auren phi rewrap").await?;
            context.console.line(format_args!(
                "{} data keys wrapped anew, {} were already, {} are destroyed",
                done.rewrapped, done.current, done.destroyed
            ))?;
        }
        Args::Attack { file } => attack_on(file.as_deref(), context)?,
        Args::Vectors => {
            context.console.text(&serde_json::to_string_pretty(&phi::vectors())?)?;
            context.console.text("\n")?;
        }
    }
    Ok(Exit::Done)
}

fn attack_on(file: Option<&Path>, context: &mut Context) -> anyhow::Result<()> {
    let rows: Vec<Row> = match file {
        None => Simulation::new(Settings { users: 50, days: 120, ..Settings::default() })?.collect(),
        Some(file) => {
            let open = || File::open(file).with_context(|| format!("cannot read {}", file.display()));
            let mapping = Heading::read(open()?)?.guess().mapping;
            Importer::new(open()?, &mapping)?.filter_map(Result::ok).filter(|row| intake::check(row).is_ok()).collect()
        }
    };
    context.console.line(format_args!("{:<20} {:<8} {:>7} {:>9}  by", "measure", "profile", "values", "median"))?;
    for guessed in attack(&rows) {
        let profile = match guessed.profile {
            None => "none",
            Some(PrivacyProfile::Coarse) => "coarse",
            Some(PrivacyProfile::Exact) => "exact",
        };
        let Guessed { measure, way, values, median_error, .. } = &guessed;
        let error = format!("{:.3} %", 100.0 * median_error);
        context.console.line(format_args!("{measure:<20} {profile:<8} {values:>7} {error:>9}  {way}"))?;
    }
    Ok(())
}

async fn rotate(step: Step, version: u32, context: &mut Context) -> anyhow::Result<()> {
    let file = own_file(&context.config)?;
    match step {
        Step::Add => {
            let version = Local::add_to(file)?;
            context.console.line(format_args!(
                "v{version} is in {}; copy the file to every node, then: auren phi rotate promote v{version}",
                file.display()
            ))
        }
        Step::Promote => {
            Local::promote_in(file, version)?;
            context.console.line(format_args!("v{version} wraps from now on; next: auren phi rewrap"))
        }
        Step::Retire => {
            let primary = Local::from_file(file)?.versions().first() == Some(&version);
            anyhow::ensure!(!primary, "v{version} is the primary; promote another first");
            let left = open_keys(&context.config).await?.versions().await?.get(&version).copied().unwrap_or_default();
            anyhow::ensure!(left == 0, "v{version} still wraps {left} data keys; first: auren phi rewrap");
            Local::retire_from(file, version)?;
            context.console.line(format_args!("v{version} has left {}", file.display()))
        }
    }
}

fn own_file(config: &Config) -> anyhow::Result<&Path> {
    anyhow::ensure!(
        config.phi.provider != KeyProvider::Vault && config.phi.master_key.is_none(),
        "the master key is not in a key file here; rotate it where it is, then: auren phi rewrap"
    );
    Ok(&config.phi.key_file)
}

/// A version, as an argument names it.
fn version(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix('v').and_then(|number| number.parse().ok());
    number.filter(|number| *number > 0).ok_or_else(|| "give it as v2".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::context::tests::bench;

    #[tokio::test]
    async fn the_primary_does_not_retire() {
        let mut bench = bench();
        Local::from_file_or_new(&bench.context.config.phi.key_file).unwrap();
        Local::add_to(&bench.context.config.phi.key_file).unwrap();
        let retire = |number| Args::Rotate { step: Step::Retire, version: Some(number) };
        let error = run(retire(1), &mut bench.context).await.unwrap_err();
        assert_eq!(error.to_string(), "v1 is the primary; promote another first");
        assert_eq!(run(retire(2), &mut bench.context).await.unwrap(), Exit::Done);
        let error = run(retire(2), &mut bench.context).await.unwrap_err();
        assert_eq!(error.to_string(), "version 2 of the master key is not among this node's keys");
    }
}
