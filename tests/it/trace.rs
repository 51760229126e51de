//! One trace holds every hop of one reading, as a collector sees it: a small one here, that speaks OTLP over HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use auren::config::{Config, Secret};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Held, trace::v1::Span,
};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    Node, Program,
    chatter::{Chatter, token, token_for},
    free_port,
    http::{get, send},
    run, until,
};

const SECRET: &str = "a secret that everybody knows, for tests";
/// The trace of whoever sends the reading, and their span.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Takes spans as a collector does.
#[derive(Clone)]
pub struct Collector {
    pub address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, spans) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Span>>>::default());
        let kept = Arc::clone(&spans);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { address, spans }
    }

    /// Everything that it was told, as text.
    pub fn told(&self) -> String {
        format!("{:?}", self.spans.lock().unwrap())
    }

    /// The spans of a trace.
    fn of(&self, trace: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap();
        spans.iter().filter(|span| hex(&span.trace_id) == trace).cloned().collect()
    }
}

/// One connection, as many requests as come.
async fn serve(mut stream: TcpStream, spans: Arc<Mutex<Vec<Span>>>) {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8(bytes[..head].to_vec()).unwrap().to_ascii_lowercase();
        assert!(text.starts_with("post /v1/traces "), "{text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let length: usize = length.parse().unwrap();
        while bytes.len() < head + length {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
        }
        let request = ExportTraceServiceRequest::decode(&bytes[head..head + length]).unwrap();
        bytes.drain(..head + length);
        for resource in request.resource_spans {
            let about = resource.resource.unwrap().attributes;
            assert!(about.iter().any(|one| one.key == "service.name"), "{about:?}");
            let came = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.lock().unwrap().extend(came);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a span says of itself, in words.
fn notes(span: &Span) -> BTreeMap<&str, String> {
    let said = span.attributes.iter().filter_map(|one| {
        let said = match one.value.as_ref()?.value.as_ref()? {
            Held::StringValue(text) => text.clone(),
            Held::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        Some((one.key.as_str(), said))
    });
    said.collect()
}

/// What it is called, and of which agent or role.
fn called(span: &Span) -> String {
    let notes = notes(span);
    let whose = notes.get("auren.agent").or_else(|| notes.get("auren.role").filter(|_| span.name == "commit"));
    whose.map_or_else(|| span.name.clone(), |whose| format!("{} {whose}", span.name))
}

#[test]
fn one_trace_holds_every_hop_of_a_reading_from_http_to_the_frame() {
    run(async {
        let collector = Collector::start().await;
        let program = Program::new();
        let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
        let flags = [
            format!("http.address={address}"),
            format!("tokens.secret=\"{SECRET}\""),
            format!("telemetry.otlp_endpoint=http://{}", collector.address),
            "telemetry.sample_ratio=0".to_owned(),
        ];
        let flags: Vec<_> = flags.into_iter().flat_map(|flag| ["--set".to_owned(), flag]).collect();
        let mut node = Node::start(&program, &flags, "node-1");
        node.says("hub started", 1);
        until("it is ready", || async { get(address, "/readyz").await.status == 200 }).await;
        let mut config = Config::default();
        config.tokens.secret = Some(Secret::from(SECRET.to_owned()));
        let mut chatter = Chatter::open(address, &token(&config, "u-secret"), None).await;
        let bearer = format!("Bearer {}", token_for(&config, "intake", "readings", Duration::from_secs(3600)));
        // The same person: one reading that is to be traced, and one that is not.
        for (hour, traceparent) in
            [(7, format!("00-{TRACE}-{PARENT}-01")), (8, format!("00-{}-{PARENT}-00", TRACE.replace('4', "5")))]
        {
            let headers =
                [("Authorization", &*bearer), ("Content-Type", "application/json"), ("traceparent", &*traceparent)];
            let body = format!(
                r#"{{"user_id":"u-secret","measure":"systolic","value":191,"source_device":"cuff","timestamp":"2024-01-01T0{hour}:00:00+01:00"}}"#
            );
            let answer = send(address, "POST /v1/readings", &headers, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        for agent in ["neuroscientist", "coach"] {
            assert_eq!(chatter.event().await["event"]["specialist_id"], agent);
        }
        // It is about to end, and exports what is left.
        drop(chatter);
        node.terminate();
        let spans = collector.of(TRACE);
        let names: BTreeSet<_> = spans.iter().map(called).collect();
        for hop in [
            "POST /v1/readings",
            "enrich health.readings",
            "commit enrich",
            "detect health.biometrics",
            "commit detect",
            "converse triggers.detected",
            "consult neuroscientist",
            "consult coach",
            "commit converse",
            "frame",
        ] {
            assert!(names.contains(hop), "{hop} is not among {names:?}");
        }
        assert_eq!(spans.iter().filter(|span| span.name == "frame").count(), 2, "{names:?}");
        // Every hop follows from another, and the first from whoever sent the reading.
        let ids: BTreeSet<_> = spans.iter().map(|span| hex(&span.span_id)).collect();
        for span in &spans {
            let parent = hex(&span.parent_span_id);
            assert_eq!(parent == PARENT, span.name.starts_with("POST"), "{}", span.name);
            assert!(parent == PARENT || ids.contains(&parent), "{} follows from nothing", span.name);
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
            for (key, said) in notes(span) {
                assert!(!said.contains("u-secret") && !said.contains("191"), "{key} of {}: {said}", span.name);
            }
        }
        // What is not sampled is not told of, and nothing begins a trace of its own here.
        let all = collector.spans.lock().unwrap();
        assert_eq!(all.len(), spans.len(), "{:?}", all.iter().map(called).collect::<Vec<_>>());
    });
}
