//! The one place that writes to standard output and, for people, to standard error.
//!
//! Results go to standard output, so that they can be piped on; notes, errors of single lines and the progress bar go
//! to standard error.

use std::{
    fmt::Display,
    io::{self, BufWriter, IsTerminal as _, Write},
    time::Duration,
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// Whoever read standard output has gone: a quiet end, not a failure.
#[derive(Debug, thiserror::Error)]
#[error("the reader of standard output has gone")]
pub(crate) struct Closed;

/// Where a command writes.
pub(crate) struct Console {
    out: Box<dyn Write>,
    notes: Box<dyn Write>,
    bar: Option<ProgressBar>,
    /// Whether a person sees the results at once.
    watched: bool,
    /// Whether a person sees the notes.
    noticed: bool,
}

/// What progress is counted in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Bytes,
    Days,
}

impl Console {
    /// Standard output and standard error.
    pub(crate) fn standard() -> Self {
        let (out, notes) = (io::stdout(), io::stderr());
        let (watched, noticed) = (out.is_terminal(), notes.is_terminal());
        Self { out: Box::new(BufWriter::new(out)), notes: Box::new(notes), bar: None, watched, noticed }
    }

    /// Whether a person sees the notes, and so can be told to wait or what to press.
    pub(crate) fn is_noticed(&self) -> bool {
        self.noticed
    }

    /// Writes a line of results.
    pub(crate) fn line(&mut self, line: impl Display) -> anyhow::Result<()> {
        writeln!(self.out, "{line}").map_err(closed)
    }

    /// Writes text of results as it is.
    pub(crate) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.out.write_all(text.as_bytes()).map_err(closed)
    }

    /// Writes a result as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(value).context("a result cannot be written as JSON")?;
        self.line(line)
    }

    /// Hands on what was written.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.out.flush().map_err(closed)
    }

    /// Tells a person something that is no result.
    pub(crate) fn note(&mut self, note: impl Display) {
        let Self { out, notes, bar, .. } = self;
        // On a terminal both come in the order in which they happened. What fails here fails at the next flush too.
        let _ = out.flush();
        // Results must not fail because nobody reads the notes.
        let mut write = || drop(writeln!(notes, "{note}"));
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Begins to show progress, where a person watches and no results come by.
    pub(crate) fn begin(&mut self, whole: u64, unit: Unit) {
        if self.watched_results() || !self.noticed {
            return;
        }
        let template = match unit {
            Unit::Bytes => "{bar:32} {bytes}/{total_bytes}  {eta} left  {msg}",
            Unit::Days => "{bar:32} day {pos}/{len}  {eta} left  {msg}",
        };
        let bar = ProgressBar::with_draw_target(Some(whole), ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        self.bar = Some(bar);
    }

    /// Begins to show progress of something whose results are not lines on a screen.
    pub(crate) fn begin_quiet(&mut self, whole: u64, unit: Unit) {
        let watched = std::mem::replace(&mut self.watched, false);
        self.begin(whole, unit);
        self.watched = watched;
    }

    /// Shows how far it is.
    pub(crate) fn progress(&mut self, done: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message());
        }
    }

    /// Takes the progress bar away.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Ends progress and hands on what was written.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        self.end();
        self.flush()
    }

    fn watched_results(&self) -> bool {
        self.watched
    }
}

fn closed(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Closed.into()
    } else {
        anyhow::Error::new(error).context("standard output cannot be written")
    }
}

#[cfg(test)]
pub(crate) mod captured {
    //! A console that tests can read.

    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What was written.
    pub(crate) struct Captured {
        out: Kept,
        notes: Kept,
    }

    impl Captured {
        pub(crate) fn console() -> (Console, Self) {
            let captured = Self { out: Kept::default(), notes: Kept::default() };
            let (out, notes) = (Box::new(captured.out.clone()), Box::new(captured.notes.clone()));
            (Console { out, notes, bar: None, watched: false, noticed: false }, captured)
        }

        /// Takes the results so far.
        pub(crate) fn out(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.out.0.lock().unwrap())).unwrap()
        }

        /// Takes the notes so far.
        pub(crate) fn notes(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.notes.0.lock().unwrap())).unwrap()
        }
    }
}
