//! A client whose end blocks ends on a thread of its own: whoever lets go of the bus may be an async worker. Where it speaks
//! TLS, a process waits for such threads before it ends ([`clients_ended`]): OpenSSL is torn down then, and a client that is at
//! work with it may break the process.

use std::{
    ops::Deref,
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::KafkaSettings;

/// How many there are, and who waits until there are none.
static LIVING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Waits until no client lives any more that speaks TLS; false where some still do after so long.
pub fn clients_ended(limit: Duration) -> bool {
    let living = LIVING.0.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = LIVING.1.wait_timeout_while(living, limit, |living| *living > 0);
    let (living, _) = waited.unwrap_or_else(PoisonError::into_inner);
    *living == 0
}

/// Somebody who has clients that speak TLS. Dropped behind them.
pub(super) struct Living(());

impl Living {
    /// None where clients are not waited for: one takes up to 100 ms to end.
    pub(super) fn of(settings: &KafkaSettings) -> Option<Self> {
        settings.speaks_tls().then(|| {
            *LIVING.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            Self(())
        })
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        *LIVING.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        LIVING.1.notify_all();
    }
}

/// Holds a client and, when dropped, lets it end elsewhere.
pub(super) struct Aside<T: Send + 'static>(Option<(T, Option<Living>)>);

impl<T: Send + 'static> Aside<T> {
    pub(super) fn new(settings: &KafkaSettings, client: T) -> Self {
        Self(Some((client, Living::of(settings))))
    }
}

impl<T: Send + 'static> Deref for Aside<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.as_ref().expect("only the drop takes it").0
    }
}

impl<T: Send + 'static> Drop for Aside<T> {
    fn drop(&mut self) {
        if let Some((client, living)) = self.0.take() {
            let end = move || {
                drop(client);
                drop(living);
            };
            // Where no thread can be had, it ends here after all.
            let _ = thread::Builder::new().name("auren-kafka-end".to_owned()).spawn(end);
        }
    }
}
