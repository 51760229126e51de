//! An answer that holds for a moment, however many ask for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::gateway::Problem;

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(3);

/// The newest answer, and when it was asked for.
#[derive(Debug)]
pub(super) struct Fresh<T>(Mutex<Option<(Instant, Answer<T>)>>);

type Answer<T> = Result<Arc<T>, Problem>;

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Fresh<T> {
    /// The newest answer, or a new one where it is old; while one asks, the others wait for that answer. A bus that is
    /// away is not asked more often either.
    pub(super) async fn get(&self, ask: impl Future<Output = Result<T, Problem>>) -> Answer<T> {
        let mut newest = self.0.lock().await;
        if let Some((at, answer)) = &*newest
            && at.elapsed() < HOLDS
        {
            return answer.clone();
        }
        let answer = ask.await.map(Arc::new);
        *newest = Some((Instant::now(), answer.clone()));
        answer
    }
}
