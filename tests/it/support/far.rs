//! Agents outside the hub's process: a server of this one that plays what a test says, and the example in Python.

use std::{
    future::Future,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    pin::Pin,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use auren::{
    bus::kafka::KafkaSettings,
    consult::{A2aAgentSettings, BudgetSettings, HttpAgentSettings, LlmAgentSettings},
};
use auren_agents::AgentCard;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

/// One attempt to ask.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
}

type Playing = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A server that remembers what it was asked. It runs for as long as the test's runtime.
#[derive(Clone)]
pub struct Far {
    pub url: String,
    asked: Arc<Mutex<Vec<Attempt>>>,
    play: Arc<dyn Fn(Attempt) -> Playing + Send + Sync>,
}

async fn answer(State(far): State<Far>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    // Whoever speaks A2A looks here first; it is no question.
    if uri.path().ends_with("/.well-known/agent-card.json") {
        return response("application/json", far.a2a_card().to_string());
    }
    let attempt = Attempt { path: uri.path().to_owned(), headers, body: serde_json::from_slice(&body).unwrap() };
    far.asked.lock().unwrap().push(attempt.clone());
    (far.play)(attempt).await
}

impl Far {
    pub async fn plays<F>(play: impl Fn(Attempt) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let far = Self { url, asked: Arc::default(), play: Arc::new(move |attempt| Box::pin(play(attempt))) };
        let routes = Router::new().fallback(answer).with_state(far.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        far
    }

    fn a2a_card(&self) -> Value {
        let interface =
            json!({ "url": format!("{}/a2a", self.url), "protocolBinding": "JSONRPC", "protocolVersion": "1.0" });
        json!({ "name": "far", "supportedInterfaces": [interface], "capabilities": { "streaming": true } })
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Attempt> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until so many questions have been asked.
    pub async fn asked_times(&self, count: usize) -> Vec<Attempt> {
        super::until("the agent is asked", || async { self.asked.lock().unwrap().len() >= count }).await;
        self.asked()
    }
}

/// An agent of this name at an address.
pub fn over_http(name: &str, url: &str) -> HttpAgentSettings {
    HttpAgentSettings {
        card: AgentCard::new(name, "3", "Plays its part in a test, far away."),
        url: url.to_owned(),
        token: None,
        guarded: false,
        max_answer_bytes: HttpAgentSettings::MAX_ANSWER_BYTES,
    }
}

/// An agent of this name that speaks A2A.
pub fn over_a2a(name: &str, url: &str) -> A2aAgentSettings {
    let HttpAgentSettings { card, url, token, guarded, max_answer_bytes } = over_http(name, url);
    A2aAgentSettings { card, url, token, guarded, max_answer_bytes }
}

/// What an A2A agent sends next.
pub fn sent(result: &Value) -> String {
    format!("data: {}\n\n", json!({ "jsonrpc": "2.0", "id": "c", "result": result }))
}

/// A piece of an A2A agent's answer.
pub fn artifact(text: &str) -> String {
    sent(
        &json!({ "artifactUpdate": { "artifact": { "artifactId": "a", "parts": [{ "text": text }] }, "append": true } }),
    )
}

/// How an A2A agent's task stands.
pub fn stands(state: &str) -> String {
    sent(&json!({ "statusUpdate": { "status": { "state": format!("TASK_STATE_{state}") } } }))
}

/// A language model of this name behind an endpoint.
pub fn model(name: &str, url: &str) -> LlmAgentSettings {
    LlmAgentSettings {
        card: AgentCard::new(name, "small", "Plays its part in a test, as a model would."),
        base_url: url.to_owned(),
        model: "small".to_owned(),
        api_key: None,
        persona: String::new(),
        max_tokens: 100,
        max_data_bytes: 16 * 1024,
        max_answer_bytes: HttpAgentSettings::MAX_ANSWER_BYTES,
        options: Map::new(),
        tools: auren_agents::Tools::none(),
        hands_off: false,
        max_tool_calls: 3,
        budget: BudgetSettings::default(),
    }
}

/// A part of a model's answer as an event, and why the model stopped with it.
pub fn spoken(words: &str, end: Option<&str>) -> String {
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": words }, "finish_reason": end }] });
    format!("data: {chunk}\n\n")
}

/// An answer of this type.
pub fn response(kind: &str, body: impl Into<Body>) -> Response {
    Response::builder().header("content-type", kind).body(body.into()).unwrap()
}

/// An answer that is nothing but a status.
pub fn status(code: u16) -> Response {
    Response::builder().status(StatusCode::from_u16(code).unwrap()).body(Body::empty()).unwrap()
}

/// A stream that sends these pieces, and then what follows.
pub fn stream_of(
    pieces: &[&str],
    then: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
) -> Response {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes()))).collect();
    response("text/event-stream", Body::from_stream(stream::iter(pieces).chain(then)))
}

/// An agent far away that streams what a test says, when it says so.
#[derive(Clone)]
pub struct Talker {
    pub far: Far,
    lines: Arc<Mutex<Vec<mpsc::UnboundedSender<Line>>>>,
}

type Line = Result<Bytes, std::io::Error>;

impl Talker {
    pub async fn listens() -> Self {
        let lines: Arc<Mutex<Vec<_>>> = Arc::default();
        let given = Arc::clone(&lines);
        let far = Far::plays(move |_| {
            let (line, heard) = mpsc::unbounded_channel::<Line>();
            given.lock().unwrap().push(line);
            let heard = stream::unfold(heard, async |mut heard| Some((heard.recv().await?, heard)));
            async move { response("text/event-stream", Body::from_stream(heard)) }
        })
        .await;
        Self { far, lines }
    }

    /// Says an event to the question of this number, from 0.
    pub fn says(&self, question: usize, event: &str, data: &Value) {
        // Who has hung up hears nothing.
        let _ = self.lines.lock().unwrap()[question].send(Ok(format!("event: {event}\ndata: {data}\n\n").into()));
    }

    /// Says a part of the answer.
    pub fn part(&self, question: usize, text: &str) {
        self.says(question, "delta", &json!({ "text": text }));
    }

    /// Breaks off.
    pub fn breaks(&self, question: usize) {
        let _ = self.lines.lock().unwrap()[question].send(Err(std::io::Error::other("the test wants it")));
    }

    /// Whether whoever asked has hung up.
    pub fn is_left(&self, question: usize) -> bool {
        self.lines.lock().unwrap()[question].is_closed()
    }
}

/// A Python that has these modules.
pub fn python(modules: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cache = std::env::var_os("AUREN_TEST_CACHE").map_or_else(|| root.join("tests/services/.cache"), Into::into);
    let python = cache.join("venv/bin/python");
    let there =
        Command::new(&python).args(["-c", &format!("import {modules}")]).status().is_ok_and(|end| end.success());
    assert!(
        there,
        "{} is missing or cannot import {modules}: tests/run installs it, and so does `python3 -m venv` with `pip \
         install -r tests/services/requirements.txt`",
        python.display()
    );
    python
}

/// An agent in Python, as a process. Dropped, it is killed.
pub struct Python {
    child: Child,
    pub url: String,
    /// What it printed behind its address, line by line.
    said: Arc<Mutex<Vec<String>>>,
}

impl Python {
    /// The example that needs nothing but Python.
    pub fn start() -> Self {
        Self::run(Path::new("python3"), "agents/examples/python/agent.py", &["0"])
    }

    /// One that is made with the official SDK of A2A.
    pub fn a2a(file: &str) -> Self {
        Self::run(&python("a2a, uvicorn"), file, &["0"])
    }

    /// One of this name that is asked over Kafka; its address is its request topic.
    pub fn over_kafka(file: &str, name: &str, settings: &KafkaSettings) -> Self {
        Self::run(&python("confluent_kafka"), file, &[&settings.brokers, name, &settings.prefix])
    }

    fn run(python: &Path, file: &str, arguments: &[&str]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let mut child = Command::new(python)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(file)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.next().expect("it says where it listens").unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let says = Arc::clone(&said);
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| says.lock().unwrap().push(line)));
        Self { child, url, said }
    }

    /// Waits until it has printed so many lines.
    pub async fn says(&self, count: usize) -> Vec<String> {
        super::until("the agent in Python is asked", || async { self.said.lock().unwrap().len() >= count }).await;
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
