//! The binary, run in an empty folder of its own.

use std::{
    path::Path,
    process::{Command, Output},
};

use auren::bus::kafka::KafkaSettings;

use super::{own_name, settings};

/// The binary and the folder it is run in.
pub struct Program {
    folder: tempfile::TempDir,
    prefix: String,
}

impl Program {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), prefix: own_name() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A call that hears nothing of this process's environment but what a program needs.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_auren"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        // Nodes run beside each other.
        command.env("AUREN__HTTP__ADDRESS", "127.0.0.1:0");
        for name in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Flags for topics of this test's own on a cluster.
    pub fn kafka_flags(&self, brokers: &str) -> Vec<String> {
        let prefix = format!("kafka.prefix={}", self.prefix);
        ["--brokers", brokers, "--set", &prefix].map(ToOwned::to_owned).to_vec()
    }

    /// The same for this process.
    pub fn kafka(&self, brokers: &str) -> KafkaSettings {
        KafkaSettings { prefix: self.prefix.clone(), ..settings(brokers.to_owned()) }
    }
}
