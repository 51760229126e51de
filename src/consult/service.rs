//! One question over HTTP to a service that somebody else runs: how it is sent, how much of the answer is read, and what
//! can be wrong with it. It knows neither consults nor advice, and no error repeats what was asked or answered.

use std::{error::Error as _, pin::Pin, time::Duration};

use auren_agents::{AgentError, Rejected};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::{
    HeaderValue, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName},
};
use reqwest::{Client, RequestBuilder, Response, Url, redirect::Policy};
use sse_stream::{Sse, SseByteStream};

use super::tape::{self, Tape, Taped};

/// Who does not take a connection within this time is away; there is time for another attempt then.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Why a service gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// What was configured is no address, or no secret that a request can carry.
    #[error("{0}")]
    Settings(String),
    /// There is no connection to it, or it broke before an answer began.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with a status that is not one of success.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// It answered with something that is neither JSON nor a stream of events.
    #[error("its answer must be application/json or text/event-stream, and is {0}")]
    ContentType(String),
    /// Its answer is longer than what is read of one.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    /// Its answer broke off before its end.
    #[error("its answer broke off: {0}")]
    BrokenOff(String),
    /// Its answer has the wrong form.
    #[error("its answer cannot be used: {0}")]
    Unusable(Rejected),
    /// It said that it cannot answer now.
    #[error("it says that it is not available")]
    NotAvailable,
    /// It said that it does not answer this.
    #[error("it refuses the question")]
    Refused,
    /// It is not asked, and what it answered then is not known.
    #[error("its answer is not on the tape")]
    NotTaped,
    /// It was not asked: it has used up what it may cost today.
    #[error("it has used up its budget")]
    Spent,
}

impl ServiceError {
    /// A fault of a whole answer.
    pub(super) fn unusable(field: &str, why: impl Into<String>) -> Self {
        let class = auren_agents::events::Rejection::WrongShape;
        Self::Unusable(Rejected { class, field: field.to_owned(), why: why.into() })
    }
}

/// What may pass is asked again, what was wrong with the question is not, and a wrong answer is a failure like a panic.
impl From<ServiceError> for AgentError {
    fn from(error: ServiceError) -> Self {
        let why = error.to_string();
        match error {
            ServiceError::Status(
                StatusCode::BAD_REQUEST
                | StatusCode::CONFLICT
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY,
            )
            | ServiceError::Refused
            | ServiceError::NotTaped => Self::Refused(why),
            ServiceError::Spent => Self::Spent,
            ServiceError::ContentType(_) | ServiceError::TooLong(_) | ServiceError::Unusable(_) => Self::Failed(why),
            ServiceError::Settings(_)
            | ServiceError::Unreachable(_)
            | ServiceError::Status(_)
            | ServiceError::BrokenOff(_)
            | ServiceError::NotAvailable => Self::Unavailable(why),
        }
    }
}

/// A service at an address.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    /// What else each request says of itself.
    header: Option<(HeaderName, HeaderValue)>,
    max_bytes: usize,
    /// What keeps its answers, or gives them.
    tape: Option<Tape>,
}

/// What a service began to answer with.
pub(super) enum Answer {
    /// JSON, to its end.
    Json(Vec<u8>),
    /// Events, as they come.
    Events(Events),
}

impl Service {
    /// A client of its own, whose connections live on the thread that asks. Nothing is connected to yet.
    pub(super) fn open(url: &str, token: Option<&str>, max_bytes: usize) -> Result<Self, ServiceError> {
        let wrong = |why: &str| ServiceError::Settings(why.to_owned());
        let url: Url = url.parse().map_err(|_| wrong("its url must be like https://host/path"))?;
        // Whoever is asked over plain HTTP needs nobody's certificate, and a machine may have none.
        let plain = url.scheme() == "http";
        let authorization = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| wrong("its token holds characters that no header can carry"))?;
            value.set_sensitive(true);
            Ok::<_, ServiceError>(value)
        });
        crate::tls::choose_provider();
        let mut client = Client::builder().connect_timeout(CONNECT_LIMIT).redirect(Policy::none());
        if plain {
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| ServiceError::Settings(told(error)))?;
        Ok(Self { client, url, authorization: authorization.transpose()?, header: None, max_bytes, tape: None })
    }

    /// The same, with a header in each request.
    pub(super) fn saying(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((HeaderName::from_static(name), HeaderValue::from_static(value)));
        self
    }

    /// The same, with its answers kept on a tape, or given by it.
    pub(super) fn taped(mut self, tape: Option<Tape>) -> Self {
        self.tape = tape;
        self
    }

    /// Asks. The key is the same for each attempt at one question, so that who has answered it already may say so again.
    pub(super) async fn ask(&self, key: &str, body: Vec<u8>) -> Result<Answer, ServiceError> {
        let taping = match self.taping(&body)? {
            Ok(answer) => return Ok(answer),
            Err(taping) => taping,
        };
        let request = self.client.post(self.url.clone());
        let request = request.header(CONTENT_TYPE, "application/json").header("Idempotency-Key", key);
        self.answer(request.header(ACCEPT, "application/json, text/event-stream").body(body), taping).await
    }

    /// Gets what is there.
    pub(super) async fn get(&self) -> Result<Vec<u8>, ServiceError> {
        let answer = match self.taping(&[])? {
            Ok(answer) => answer,
            Err(taping) => {
                self.answer(self.client.get(self.url.clone()).header(ACCEPT, "application/json"), taping).await?
            }
        };
        match answer {
            Answer::Json(json) => Ok(json),
            Answer::Events(_) => Err(ServiceError::ContentType("text/event-stream".to_owned())),
        }
    }

    /// The answer that a tape gives, or what keeps the one that is to come.
    fn taping(&self, asked: &[u8]) -> Result<Result<Answer, Option<Taping>>, ServiceError> {
        let Some(tape) = &self.tape else { return Ok(Err(None)) };
        let question = tape::question(self.url.as_str(), asked);
        if !tape.plays() {
            return Ok(Err(Some(Taping { tape: tape.clone(), question, events: false, body: Vec::new() })));
        }
        let Taped { events, body } = tape.answer(&question).ok_or(ServiceError::NotTaped)?;
        let body = body.into_bytes();
        if !events {
            return Ok(Ok(Answer::Json(body)));
        }
        Ok(Ok(Answer::Events(Events::of(stream::iter([Ok(Bytes::from(body))])))))
    }

    async fn answer(&self, mut request: RequestBuilder, taping: Option<Taping>) -> Result<Answer, ServiceError> {
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some((name, value)) = &self.header {
            request = request.header(name, value.clone());
        }
        let response = request.send().await.map_err(|error| ServiceError::Unreachable(told(error)))?;
        if !response.status().is_success() {
            return Err(ServiceError::Status(response.status()));
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("not named");
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => {
                let json = whole(response, self.max_bytes).await?;
                if let Some(mut taping) = taping {
                    taping.body.clone_from(&json);
                }
                Ok(Answer::Json(json))
            }
            "text/event-stream" => {
                let bytes = bounded(response, self.max_bytes);
                Ok(Answer::Events(match taping {
                    None => Events::of(bytes),
                    Some(mut taping) => {
                        taping.events = true;
                        Events::of(bytes.inspect_ok(move |chunk| taping.body.extend_from_slice(chunk)))
                    }
                }))
            }
            _ => Err(ServiceError::ContentType(kind.chars().take(64).collect())),
        }
    }
}

/// An answer that is to be kept, as far as it has come.
#[derive(Debug)]
struct Taping {
    tape: Tape,
    question: String,
    events: bool,
    body: Vec<u8>,
}

/// Of a stream nobody reads more than its last word, so that it is whole when it is let go of.
impl Drop for Taping {
    fn drop(&mut self) {
        if !self.body.is_empty() {
            let body = String::from_utf8_lossy(&self.body).into_owned();
            self.tape.keep(std::mem::take(&mut self.question), Taped { events: self.events, body });
        }
    }
}

/// The bytes of an answer as they come, up to a bound.
fn bounded(response: Response, max_bytes: usize) -> impl Stream<Item = Result<Bytes, ServiceError>> {
    stream::try_unfold((response, 0_usize), move |(mut response, read)| async move {
        let chunk = response.chunk().await.map_err(|error| ServiceError::BrokenOff(told(error)))?;
        let Some(chunk) = chunk else { return Ok(None) };
        let read = read.saturating_add(chunk.len());
        if read > max_bytes {
            return Err(ServiceError::TooLong(max_bytes));
        }
        Ok(Some((chunk, (response, read))))
    })
}

async fn whole(response: Response, max_bytes: usize) -> Result<Vec<u8>, ServiceError> {
    if response.content_length().is_some_and(|length| usize::try_from(length).map_or(true, |length| length > max_bytes))
    {
        return Err(ServiceError::TooLong(max_bytes));
    }
    let append = |mut bytes: Vec<u8>, chunk: Bytes| async move {
        bytes.extend_from_slice(&chunk);
        Ok(bytes)
    };
    bounded(response, max_bytes).try_fold(Vec::new(), append).await
}

/// An answer as a stream of events.
pub(super) struct Events(Pin<Box<dyn Stream<Item = Result<Sse, sse_stream::Error>>>>);

impl Events {
    fn of(bytes: impl Stream<Item = Result<Bytes, ServiceError>> + 'static) -> Self {
        Self(Box::pin(SseByteStream::new(Box::pin(bytes))))
    }

    /// The next event; none where the stream has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Sse>, ServiceError> {
        self.0.next().await.transpose().map_err(|error| match error {
            sse_stream::Error::Body(error) => match error.downcast::<ServiceError>() {
                Ok(error) => *error,
                Err(_) => ServiceError::BrokenOff("it cannot be read".to_owned()),
            },
            _ => ServiceError::unusable("stream", "must be UTF-8"),
        })
    }
}

/// What a client says of its failure, without the address, which may hold a secret.
pub(crate) fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words.push_str(&format!(": {error}"));
        source = error.source();
    }
    words
}
