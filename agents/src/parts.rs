//! The parts of an answer that is still being made.

use std::{fmt, sync::Arc};

/// Whom an agent may tell parts of its answer while it makes it.
///
/// Parts are for whoever looks on: they may be withdrawn, and what counts is the [`Advice`](crate::Advice) that the agent
/// answers with at last, which holds all of its words. In a chat a person sees them come, until the answer replaces them; an
/// agent that has none to tell is seen thinking.
#[derive(Clone, Default)]
pub struct Parts(Option<Arc<Tell>>);

type Tell = dyn Fn(&str) + Send + Sync;

impl Parts {
    /// Somebody who is told each part as it comes. What is done with it must not block.
    #[must_use]
    pub fn to(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Tells the next part, which goes on where the last one ended.
    pub fn tell(&self, text: &str) {
        if let Some(tell) = &self.0 {
            tell(text);
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_heard() { "(heard)" } else { "(not heard)" })
    }
}

/// A question is the same whoever looks on.
impl PartialEq for Parts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
