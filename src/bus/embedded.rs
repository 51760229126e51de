//! The bus contract on one SQLite file: no service, nothing to install. Nothing outside this folder names sqlx.
//!
//! [`EmbeddedBus`] answers questions and publishes. Inside, from the file upwards: `file` opens it, `place` packs topic,
//! partition and offset into its one key, `log` is its SQL; `writer` is the one task that writes, `job` what it is asked
//! and `known` what it makes of that, and `tide` tells everybody how far the log reaches; `fetch`, `reader`, `group` and
//! `member` read it, without a group and within one; `compact` keeps it small.
//!
//! One process is the normal case. A second one may publish and read at the same time, and sees the first one's records
//! within some 20 ms; a consumer group, however, lives in one process. What is acknowledged is on the disk.

mod compact;
mod errors;
mod fetch;
mod file;
mod group;
mod job;
mod known;
mod log;
mod member;
mod place;
mod reader;
mod tide;
mod writer;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use sqlx::{SqlitePool, sqlite::SqliteSynchronous};
use tokio::{
    runtime::Runtime,
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};

use self::{compact::Compactor, file::Opener, group::Groups, job::Job, log::Numbered, tide::Tide, writer::Writer};
use super::{
    Bus, BusError, Cleanup, Copies, Cursor, Facts, Holder, Join, Keeping, Member, Outgoing, Read, Record, Topic,
    TopicInfo, TopicSpec, co_partitioned,
};

/// One SQLite file as a bus.
#[derive(Debug)]
pub struct EmbeddedBus {
    hub: Arc<Hub>,
}

/// What the bus's tasks share.
#[derive(Debug)]
struct Hub {
    file: PathBuf,
    tide: Arc<Tide>,
    jobs: mpsc::Sender<Job>,
    readers: SqlitePool,
    groups: Arc<Groups>,
    runtime: Background,
}

/// A runtime of the bus's own: its tasks outlive the arbiter that opened it, and no paused test clock stops them.
#[derive(Debug)]
struct Background(Option<Runtime>);

impl EmbeddedBus {
    /// Opens the file, creating it and its folder where they do not exist.
    ///
    /// # Errors
    /// The file cannot be opened or written, is no embedded bus, or was written by a newer AUREN.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, BusError> {
        Self::open_with(path.as_ref(), SqliteSynchronous::Full).await
    }

    async fn open_with(path: &Path, synchronous: SqliteSynchronous) -> Result<Self, BusError> {
        let file = path.to_owned();
        let runtime = Background::start(&file)?;
        let opened = file.clone();
        let opening = runtime.spawn(async move {
            let opener = Opener::new(&opened, synchronous);
            let connection = opener.writer().await?;
            let (tide, written) = (Arc::new(Tide::new()), Arc::new(Notify::new()));
            let readers = opener.readers();
            let (mut writer, jobs) = Writer::new(opened, opener, connection, Arc::clone(&tide), Arc::clone(&written));
            writer.look().await?;
            tokio::spawn(writer.run());
            tokio::spawn(Compactor { readers: readers.clone(), jobs: jobs.clone(), written }.run());
            Ok((tide, jobs, readers))
        });
        let (tide, jobs, readers) = opening.await.map_err(|_| BusError::Closed)??;
        Ok(Self { hub: Arc::new(Hub { file, tide, jobs, readers, groups: Arc::default(), runtime }) })
    }

    /// Answers a question on the bus's own runtime.
    async fn question<T, F>(&self, question: impl FnOnce(Arc<Hub>) -> F) -> Result<T, BusError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BusError>> + Send + 'static,
    {
        self.hub.runtime.spawn(question(Arc::clone(&self.hub))).await.map_err(|_| BusError::Closed)?
    }
}

impl Hub {
    /// Gives the writer a job and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, BusError>>) -> Job) -> Result<T, BusError> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(job(done)).await.map_err(|_| BusError::Closed)?;
        answer.await.map_err(|_| BusError::Closed)?
    }

    async fn topics(&self) -> Result<Vec<Numbered>, BusError> {
        log::topics(&self.readers).await.map_err(|error| errors::storage(&self.file, &error))
    }

    async fn topic(&self, topic: Topic) -> Result<Numbered, BusError> {
        let found = self.topics().await?.into_iter().find(|known| known.info.topic == topic);
        found.ok_or_else(|| BusError::TopicMissing { topic: topic.name().to_owned() })
    }
}

impl Background {
    fn start(file: &Path) -> Result<Self, BusError> {
        let built = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("auren-embedded")
            .enable_time()
            .build();
        let runtime = built.map_err(|error| BusError::Storage {
            file: file.display().to_string(),
            why: format!("its threads cannot be started: {error}"),
        })?;
        Ok(Self(Some(runtime)))
    }

    fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        match &self.0 {
            Some(runtime) => runtime.spawn(task),
            // Only while it is being dropped is it not there, and then nobody holds it.
            None => tokio::spawn(task),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // The last owner may be one of its own tasks, which must not wait for itself.
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    fn describe(&self) -> String {
        format!("embedded {}", self.hub.file.display())
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, BusError> {
        let topics = self.question(|hub| async move { hub.topics().await }).await?;
        Ok(topics.into_iter().map(|known| known.info).collect())
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<Topic>, BusError> {
        let specs = specs.to_vec();
        self.hub.ask(|done| Job::Create { specs, done }).await
    }

    async fn publish(&self, records: Vec<Outgoing>) -> Vec<Result<Cursor, BusError>> {
        let count = records.len();
        let (done, answer) = oneshot::channel();
        if self.hub.jobs.send(Job::Publish { records, done }).await.is_ok()
            && let Ok(answers) = answer.await
        {
            return answers;
        }
        vec![Err(BusError::Closed); count]
    }

    async fn watermarks(&self, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
        self.question(move |hub| async move {
            let numbered = hub.topic(topic).await?;
            let storage = |error: sqlx::Error| errors::storage(&hub.file, &error);
            let mut connection = hub.readers.acquire().await.map_err(storage)?;
            let marks = log::marks(&mut connection, &[numbered]).await.map_err(storage)?.remove(&topic);
            Ok((0..).zip(marks.unwrap_or_default()).collect())
        })
        .await
    }

    async fn committed(&self, group: &str, topic: Topic) -> Result<BTreeMap<i32, i64>, BusError> {
        let group = group.to_owned();
        self.question(move |hub| async move {
            let numbered = hub.topic(topic).await?;
            log::committed(&hub.readers, &group, numbered.number)
                .await
                .map_err(|error| errors::storage(&hub.file, &error))
        })
        .await
    }

    async fn holders(&self, group: &str) -> Result<Vec<Holder>, BusError> {
        Ok(self.hub.groups.holders(group))
    }

    async fn facts(&self) -> Result<Facts, BusError> {
        let states = Topic::ALL.iter().filter(|topic| topic.cleanup() == Cleanup::Compact);
        Ok(Facts {
            partitions: co_partitioned(&self.topics().await?, Topic::RIVER).map_err(|error| error.to_string()),
            transactions: Ok(()),
            overrides: Vec::new(),
            states: states.map(|topic| (*topic, Keeping::Newest)).collect(),
            copies: Copies::File,
        })
    }

    fn read(&self, read: Read) -> mpsc::Receiver<Result<Vec<Record>, BusError>> {
        reader::spawn(&self.hub, read)
    }

    fn join(&self, join: Join) -> Result<Member, BusError> {
        Ok(member::spawn(&self.hub, join))
    }
}
