//! A client whose end blocks ends on a thread of its own: whoever lets go of the bus may be an async worker.

use std::{ops::Deref, thread};

/// Holds a client and, when dropped, lets it end elsewhere.
pub(super) struct Aside<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Aside<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for Aside<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only the drop takes it")
    }
}

impl<T: Send + 'static> Drop for Aside<T> {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            // Where no thread can be had, it ends here after all.
            let _ = thread::Builder::new().name("auren-kafka-end".to_owned()).spawn(move || drop(client));
        }
    }
}
