//! How spans come to the collector: in batches, as protobuf over HTTP, from a thread of their own. A collector that is away
//! costs spans and nothing else.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use reqwest::{Client, Url, redirect::Policy};
use tokio::runtime::Runtime;

/// How long one batch may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of a collector's answer.
const ANSWER_BYTES: usize = 64 * 1024;
/// Where collectors take traces.
const PATH: &str = "v1/traces";

/// What makes spans and exports them.
pub(super) fn provider(endpoint: &str, node: &str) -> Result<SdkTracerProvider, String> {
    let mut url: Url = endpoint.parse().map_err(|_| "must be like http://host:4318".to_owned())?;
    if url.path() == "/" {
        url.set_path(PATH);
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new(&url)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url.as_str())
        .with_timeout(LIMIT)
        .build()
        .map_err(|error| format!("cannot be used: {error}"))?;
    let of = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", node.to_owned()),
    ];
    let resource = Resource::builder_empty().with_service_name("auren").with_attributes(of).build();
    // What is sampled has been decided before a span is begun.
    let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOn).with_resource(resource);
    Ok(provider.with_batch_exporter(exporter).build())
}

/// The way to the collector. Batches come from a thread that has no runtime, so it brings one.
#[derive(Debug)]
struct Collector {
    client: Client,
    runtime: Runtime,
    /// Whether it has been said that the collector is away.
    away: AtomicBool,
}

impl Collector {
    fn new(url: &Url) -> Result<Self, String> {
        crate::tls::choose_provider();
        let mut client = Client::builder().timeout(LIMIT).redirect(Policy::none());
        if url.scheme() == "http" {
            // Nobody's certificate is needed, and a machine may have none.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| format!("cannot be used: {error}"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("auren-otlp")
            .enable_all()
            .build()
            .map_err(|error| format!("no thread can be had for it: {error}"))?;
        Ok(Self { client, runtime, away: AtomicBool::new(false) })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let request = self.client.request(head.method, head.uri.to_string()).headers(head.headers).body(body);
        let answer = self.runtime.spawn(async move {
            let mut answer = request.send().await?;
            let mut body = BytesMut::new();
            while let Some(part) = answer.chunk().await?
                && body.len() + part.len() <= ANSWER_BYTES
            {
                body.extend_from_slice(&part);
            }
            let mut told = Response::new(body.freeze());
            *told.status_mut() = answer.status();
            *told.headers_mut() = answer.headers().clone();
            Ok::<_, reqwest::Error>(told)
        });
        let answer = answer.await?;
        let why = match &answer {
            Ok(told) if told.status().is_success() => None,
            Ok(told) => Some(format!("it answered {}", told.status())),
            Err(error) => Some(error.to_string()),
        };
        match why {
            None => self.away.store(false, Relaxed),
            Some(why) if !self.away.swap(true, Relaxed) => {
                tracing::warn!(
                    why,
                    "the collector of traces (telemetry.otlp_endpoint) does not take spans; they are lost"
                );
            }
            Some(_) => {}
        }
        Ok(answer?)
    }
}
