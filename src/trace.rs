//! Traces: what became of one reading or message, hop by hop, for a collector that speaks OTLP.
//!
//! A record's `traceparent` header names its trace (W3C). A node that exports adds a span for each thing that it does with
//! the record, and names that span in the headers of what comes of it. It does so for records whose header says that they
//! are sampled, and for the configured share of those that come without one. Where nothing is exported, a record costs one
//! look at a static, and headers go on as they came. A span holds no content, no person and no value.
//!
//! There is one export in a process, as there is one log.

mod export;

use std::{
    borrow::Cow,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{
        Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use crate::config::TelemetrySection;

/// How long the last spans may take to be exported.
const END_LIMIT: Duration = Duration::from_secs(5);

static EXPORT: OnceLock<Export> = OnceLock::new();

#[derive(Debug)]
struct Export {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    /// Of what comes without a trace, one of so many begins one; none where 0.
    every: u64,
    come: AtomicU64,
}

/// What kind of thing a span is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Something that was asked of this node.
    Server,
    /// A record that was read.
    Consumer,
    /// Something that is asked of somebody else.
    Client,
    /// Something that is handed on.
    Producer,
    /// Anything else.
    Internal,
}

/// A place in a trace.
#[derive(Debug, Clone)]
pub struct Trace(Box<SpanContext>);

/// Something under way that a trace tells of. It is over when it is dropped.
#[derive(Debug)]
pub struct Step(Span);

/// Begins to export, where the configuration names a collector. Only the first call of a process counts.
///
/// # Errors
/// Why the collector's address cannot be used.
pub fn begin(telemetry: &TelemetrySection, node: &str) -> Result<(), String> {
    if telemetry.otlp_endpoint.is_empty() || EXPORT.get().is_some() {
        return Ok(());
    }
    let provider = export::provider(&telemetry.otlp_endpoint, node)?;
    let tracer = provider.tracer("auren");
    // A second export would end with the one that began at the same time; there is none.
    let _ = EXPORT.set(Export { tracer, provider, every: telemetry.every(), come: AtomicU64::new(0) });
    Ok(())
}

/// Exports what is left. It blocks until the collector has it, for some seconds at most.
pub fn end() {
    if let Some(export) = EXPORT.get()
        && let Err(error) = export.provider.shutdown_with_timeout(END_LIMIT)
    {
        tracing::debug!(%error, "the last spans were not exported");
    }
}

/// A step of the trace that a `traceparent` names, or the first step of a new one where there is no `traceparent`. None where
/// nothing is exported or this is not sampled.
pub fn step(traceparent: Option<&str>, kind: Kind, name: impl FnOnce() -> Cow<'static, str>) -> Option<Step> {
    let export = EXPORT.get()?;
    let parent = match traceparent {
        Some(header) => Context::new().with_remote_span_context(parse(header)?),
        None if export.is_chosen() => Context::new(),
        None => return None,
    };
    Some(export.step(&parent, kind, name()))
}

impl Export {
    fn is_chosen(&self) -> bool {
        self.every > 0 && self.come.fetch_add(1, Relaxed).is_multiple_of(self.every)
    }

    fn step(&self, parent: &Context, kind: Kind, name: Cow<'static, str>) -> Step {
        let kind = match kind {
            Kind::Server => SpanKind::Server,
            Kind::Consumer => SpanKind::Consumer,
            Kind::Client => SpanKind::Client,
            Kind::Producer => SpanKind::Producer,
            Kind::Internal => SpanKind::Internal,
        };
        Step(self.tracer.span_builder(name).with_kind(kind).start_with_context(&self.tracer, parent))
    }
}

impl Trace {
    /// The place that a `traceparent` names, where it is sampled and this process exports.
    #[must_use]
    pub fn named(traceparent: Option<&str>) -> Option<Self> {
        EXPORT.get()?;
        parse(traceparent?).map(|context| Self(Box::new(context)))
    }

    /// A step that follows from this place.
    #[must_use]
    pub fn step(&self, kind: Kind, name: &'static str) -> Option<Step> {
        let parent = Context::new().with_remote_span_context((*self.0).clone());
        Some(EXPORT.get()?.step(&parent, kind, name.into()))
    }

    /// It as a `traceparent`.
    #[must_use]
    pub fn header(&self) -> String {
        format!("00-{}-{}-{:02x}", self.0.trace_id(), self.0.span_id(), self.0.trace_flags().to_u8())
    }
}

impl Step {
    /// The place where what follows from it begins.
    #[must_use]
    pub fn place(&self) -> Trace {
        Trace(Box::new(self.0.span_context().clone()))
    }

    /// Notes something about it: never what a record holds, and never whose it is.
    pub fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(key, value));
    }

    /// It came to nothing.
    pub fn failed(&mut self, why: &'static str) {
        self.0.set_status(Status::error(why));
    }
}

/// What a `traceparent` says, where it is one and says that it is sampled.
fn parse(header: &str) -> Option<SpanContext> {
    let mut parts = header.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex(version, 2) || version == "ff" || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    (context.is_valid() && context.is_sampled()).then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_where_it_is_sampled_and_is_one() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(Trace(Box::new(parse(good).unwrap())).header(), good);
        assert!(parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more").is_some(), "a later version");
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-ünicode",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn where_nothing_is_exported_there_are_no_steps() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(step(Some(good), Kind::Internal, || "".into()).is_none() && Trace::named(Some(good)).is_none());
    }
}
