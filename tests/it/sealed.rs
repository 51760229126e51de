//! The sealed boundary from outside: readings over HTTP, tokens opened for a purpose, and a search for planted values over
//! everything that a node with every role wrote.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, mpsc},
    thread,
};

use auren::{
    app::Running,
    bus::{SharedBus, Topic, kafka::KafkaBus},
    config::{CallerSection, Scope},
    intake::PlainReading,
    phi::{audit::Deed, detokenise::Purpose},
};
use auren_agents::events;
use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{
    Kind, Program, River,
    http::{Answer, get, send},
    on_system, own_name, run, service, settled, signal, until,
};
use crate::{
    project::{count, database},
    trace::Collector,
};

const WATCH: &str = "a token of a watch's maker";
const DOCTOR: &str = "a token of a doctor's office";

fn reading(user: &str, day: u32, value: f64) -> Value {
    json!({
        "user_id": user, "measure": "rmssd", "value": value, "source_device": "watch",
        "timestamp": format!("2024-01-{day:02}T07:00:00+01:00"),
    })
}

async fn post(address: SocketAddr, path: &str, token: &str, kind: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    send(address, &format!("POST {path}"), &[("Authorization", &bearer), ("Content-Type", kind)], body).await
}

async fn read(address: SocketAddr, body: &Value) -> Answer {
    post(address, "/v1/readings", WATCH, "application/json", &body.to_string()).await
}

async fn node(kind: Kind) -> (River, Running, SocketAddr) {
    let mut river = River::open(kind).await;
    let caller =
        |token: &str, scopes: &[Scope]| CallerSection { token: token.to_owned().into(), scopes: scopes.to_vec() };
    let open = [Purpose::Care, Purpose::Research, Purpose::BreakGlass].map(Scope::Detokenize);
    river.config.callers.0.insert("watch".to_owned(), caller(WATCH, &[Scope::Readings]));
    river.config.callers.0.insert("doctor".to_owned(), caller(DOCTOR, &[&open[..], &[Scope::Erase]].concat()));
    let (hub, address) = river.served().await;
    (river, hub, address)
}

async fn readings_come_in_and_are_opened_for_a_purpose_until_their_person_is_erased(kind: Kind) {
    let (river, hub, address) = node(kind).await;
    let one = read(address, &reading("u-1", 1, 41.875)).await;
    assert_eq!(one.status, 200, "{}", one.body);
    let id = one.json()["results"][0]["event_id"].as_str().unwrap().to_owned();
    assert!(one.json()["results"][0]["cursor"].as_str().unwrap().contains(':'));

    let mut wrong_unit = reading("u-1", 2, 41.875);
    wrong_unit["unit"] = json!("s");
    let batch = json!([reading("u-1", 1, 41.875), reading("u-1", 2, 4187.5), wrong_unit, {"user_id": "u-1"}, 41.875]);
    let batch = read(address, &batch).await;
    assert_eq!(batch.status, 200, "{}", batch.body);
    let results = batch.json()["results"].clone();
    assert_eq!(results[0]["event_id"], id.as_str(), "the same reading is the same event");
    let errors: Vec<_> = (1..5).map(|at| results[at]["error"].as_str().unwrap().to_owned()).collect();
    assert!(errors[0].starts_with("value: is outside 2 to 400 ms") && errors[1].starts_with("unit: must be ms"));
    assert!(errors.iter().all(|error| !error.contains("4187")), "{errors:?}");

    let lines = format!("{}\n\n{}\nno json\n", reading("u-1", 3, 50.0), reading("u-2", 3, 51.0));
    let lines = post(address, "/v1/readings", WATCH, "application/x-ndjson", &lines).await;
    assert_eq!(lines.json()["results"].as_array().unwrap().len(), 3, "{}", lines.body);
    assert_eq!(post(address, "/v1/readings", WATCH, "text/csv", "a").await.status, 415);
    assert_eq!(post(address, "/v1/readings", WATCH, "application/json", "[41.875").await.status, 400);
    assert_eq!(post(address, "/v1/readings", "nobody's", "application/json", "{}").await.status, 401);
    assert_eq!(post(address, "/v1/readings", DOCTOR, "application/json", "{}").await.status, 403);
    settled(&hub).await;
    assert_eq!(river.stage.all(Topic::Biometrics).await.len(), 3, "what came twice is one event");

    let records = river.stage.all(Topic::Biometrics).await;
    let events =
        records.iter().map(|record| serde_json::from_slice::<Value>(record.payload.as_deref().unwrap()).unwrap());
    let item = |event: Value| {
        json!({"user_id": event["user_id"], "event_id": event["event_id"], "event_type": event["event_type"],
               "token": event["token"]})
    };
    let item = events.map(item).find(|item| item["event_id"] == id.as_str()).unwrap();
    let mut swapped = item.clone();
    swapped["event_id"] = json!("another");
    let ask = |more: Value| {
        let mut body = json!({"tokens": [item, swapped], "purpose": "care", "mask": "exact"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        async move { post(address, "/v1/detokenize", DOCTOR, "application/json", &body.to_string()).await }
    };
    let exact = ask(json!({})).await;
    assert_eq!(
        exact.json()["results"][0],
        json!({"measure": "rmssd", "value": 41.875, "unit": "ms"}),
        "{}",
        exact.body
    );
    assert_eq!(exact.json()["results"][1]["code"], "does_not_open");
    let bucket = ask(json!({"purpose": "research", "mask": "bucket"})).await.json();
    assert_eq!(bucket["results"][0]["value"][0], 32.0);
    assert_eq!(ask(json!({"purpose": "research"})).await.status, 403, "finer than it needs");
    assert_eq!(ask(json!({"purpose": "curiosity"})).await.status, 422);
    assert_eq!(ask(json!({"purpose": "access"})).await.status, 403, "not the doctor's scope");
    assert_eq!(ask(json!({"purpose": "break_glass"})).await.status, 422, "without a reason");
    assert_eq!(ask(json!({"purpose": "break_glass", "reason": "found unconscious"})).await.status, 200);
    assert_eq!(ask(json!({"tokens": vec![item.clone(); 10_000]})).await.status, 413);
    let told = river.stage.texts(Topic::System).await;
    assert!(told.iter().any(|event| event.contains("glass_broken")), "an emergency is no secret");

    let bearer = format!("Bearer {DOCTOR}");
    let erased = send(address, "DELETE /v1/users/u-1", &[("Authorization", &bearer)], "").await;
    assert_eq!(erased.json()["event_type"], "user_erased", "{}", erased.body);
    assert_eq!(ask(json!({})).await.json()["results"][0]["code"], "erased");
    let again = read(address, &reading("u-1", 9, 41.875)).await;
    assert_eq!(again.status, 422);
    assert!(again.body.contains("erased"), "{}", again.body);

    let entries = river.keys.store().entries(0, 1000).await.unwrap();
    let deeds: Vec<Deed> =
        entries.iter().map(|entry| serde_json::from_str::<auren::phi::audit::Act>(&entry.body).unwrap().deed).collect();
    for deed in [Deed::Tokenise, Deed::Detokenise, Deed::BreakGlass, Deed::Refusal, Deed::Erase] {
        assert!(deeds.contains(&deed), "{deed:?} is in the audit");
    }
    assert!(entries.iter().all(|entry| !entry.body.contains("41.875")));
    hub.stop().await;
}

#[test]
fn on_the_embedded_bus_readings_come_in_and_are_opened_for_a_purpose_until_their_person_is_erased() {
    on_system(readings_come_in_and_are_opened_for_a_purpose_until_their_person_is_erased(Kind::Embedded));
}

#[test]
fn on_kafka_readings_come_in_and_are_opened_for_a_purpose_until_their_person_is_erased() {
    on_system(readings_come_in_and_are_opened_for_a_purpose_until_their_person_is_erased(Kind::Kafka));
}

/// Values that stand in what is sent and nowhere else.
const PLANTED: [f64; 2] = [41.8125, 9941.8125];

fn assert_sealed(place: &str, bytes: &[u8]) {
    let texts = ["41.8125", "41,8125", "NDEuODEyNQ", "99418125"].map(|text| text.as_bytes().to_vec());
    let bits = PLANTED.iter().flat_map(|value| [value.to_le_bytes().to_vec(), value.to_be_bytes().to_vec()]);
    // As PostgreSQL shows bytes.
    let hex = bits.clone().map(|bits| bits.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
    for form in texts.into_iter().chain(bits.clone()).chain(hex) {
        assert!(
            !bytes.windows(form.len()).any(|window| window == form),
            "a planted value stands in {place} as {form:?}"
        );
    }
}

/// A collector of traces on a thread of its own.
fn collector() -> Collector {
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            sender.send(Collector::start().await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    started.recv().unwrap()
}

/// The binary with every role on real Kafka, its keyring and its history in real PostgreSQL, its states in real Redis, and
/// somebody who collects its traces: everything it wrote is searched.
#[test]
fn no_planted_value_stands_in_anything_that_a_node_wrote() {
    let program = Program::new();
    let (mut url, redis, traces) = (String::new(), own_name(), collector());
    run(async { url = database().await });
    let flags = program.kafka_flags(&service("AUREN_TEST_KAFKA"));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert!(program.run(&[&flags[..], &["topics", "create"]].concat()).status.success());
    let (caller, tenant) = (format!("callers.watch.token=\"{WATCH}\""), format!("phi.tenant={}", own_name()));
    let scopes = "callers.watch.scopes=[\"readings\", \"detokenize:care\"]";
    let serve = [
        &flags[..],
        &["--set", &caller, "--set", scopes, "--set", &tenant, "serve"],
        &["--roles", "enrich,detect,converse,project"],
    ]
    .concat();
    let mut node = program
        .command(&serve)
        .env("AUREN__HTTP__ADDRESS", "127.0.0.1:0")
        .env("AUREN__PHI__KEYRING_URL", &url)
        .env("AUREN__PROJECT__URL", &url)
        .env("AUREN__REDIS__URL", service("AUREN_TEST_REDIS"))
        .env("AUREN__REDIS__PREFIX", &redis)
        .env("AUREN__TELEMETRY__OTLP_ENDPOINT", format!("http://{}", traces.address))
        .env("AUREN__TELEMETRY__SAMPLE_RATIO", "1.0")
        .env("RUST_LOG", "debug,auren=trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = Vec::new();
    let mut said = BufReader::new(node.stderr.take().unwrap());
    let address: SocketAddr = loop {
        let begun = log.len();
        assert!(said.read_until(b'\n', &mut log).unwrap() > 0, "{}", String::from_utf8_lossy(&log));
        let line = String::from_utf8_lossy(&log[begun..]).into_owned();
        if let Some(address) = line.contains("http server started").then(|| line.split("address=").nth(1)).flatten() {
            break address.trim().parse().unwrap();
        }
    };
    let reading_on = thread::spawn(move || {
        said.read_to_end(&mut log).unwrap();
        log
    });
    let bus: SharedBus = Arc::new(KafkaBus::new(program.kafka(&service("AUREN_TEST_KAFKA"))).unwrap());
    let mut metrics = String::new();
    run(async {
        let batch: Vec<_> = (1..28).map(|day| reading("u-1", day, if day < 20 { 60.5 } else { PLANTED[0] })).collect();
        let taken = read(address, &json!(batch)).await;
        assert_eq!(taken.status, 200, "{}", taken.body);
        // Bad input that holds the value in every place where it may stand.
        let planted = PLANTED[1];
        let mut odd = reading("u-1", 28, PLANTED[0]);
        odd["unit"] = json!("41.8125");
        for bad in [json!([reading("u-1", 28, planted), odd, {"value": planted}, planted]), json!({"user_id": planted})]
        {
            let answer = read(address, &bad).await;
            assert_sealed("an answer", answer.body.as_bytes());
        }
        read(address, &json!("41.8125")).await;
        post(address, "/v1/readings", WATCH, "application/json", "{\"value\": 41.8125").await;
        let tokens = json!({"tokens": [{"user_id": "u-1", "event_id": "e", "event_type": "mood_tracking",
            "token": "41.8125"}], "purpose": "care"});
        let answer = post(address, "/v1/detokenize", WATCH, "application/json", &tokens.to_string()).await;
        assert_sealed("an answer", answer.body.as_bytes());
        let worked = || async {
            metrics_of(address).await.lines().any(|line| line == "auren_lane_records_total{role=\"detect\"} 27")
        };
        until("all is worked", worked).await;
        let rows = || async { count(&url, "SELECT count(*) FROM auren_conversation_events").await > 0 };
        until("what was said is in the history", rows).await;
        metrics = metrics_of(address).await;
    });
    signal(node.id(), "TERM");
    let mut out = Vec::new();
    node.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    assert!(node.wait().unwrap().success());
    let log = reading_on.join().unwrap();
    assert!(log.len() > 1000 && !metrics.is_empty());
    assert_sealed("the log", &log);
    assert_sealed("standard output", &out);
    assert_sealed("/metrics", metrics.as_bytes());
    let told = traces.told();
    assert!(told.contains("auren.agent"), "the traces are those of a conversation");
    assert_sealed("the traces", told.as_bytes());
    run(async {
        let stage = crate::support::Stage::of(bus, program.kafka(&service("AUREN_TEST_KAFKA")));
        let mut records = 0;
        for topic in Topic::ALL {
            for record in stage.all(*topic).await {
                records += 1;
                assert_sealed(topic.name(), record.key.as_deref().unwrap_or_default());
                assert_sealed(topic.name(), record.payload.as_deref().unwrap_or_default());
                record.headers.iter().for_each(|(_, value)| assert_sealed(topic.name(), value));
            }
        }
        assert!(records > 54, "{records} records were searched");
        search_postgres(&url).await;
        search_redis(&redis).await;
    });
    let mut folders = vec![program.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false => assert_sealed(&entry.display().to_string(), &std::fs::read(&entry).unwrap()),
            }
        }
    }
}

/// Every row of every table.
async fn search_postgres(database: &str) {
    let pool = sqlx::PgPool::connect(database).await.unwrap();
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT relname::text FROM pg_stat_user_tables").fetch_all(&pool).await.unwrap();
    for held in ["auren_audit", "auren_biometrics", "auren_conversation_events"] {
        assert!(tables.iter().any(|table| table == held), "{tables:?}");
    }
    let mut found = 0;
    for table in tables {
        let all = AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(all).fetch_all(&pool).await.unwrap();
        found += rows.len();
        rows.iter().for_each(|row| assert_sealed(&table, row.as_bytes()));
    }
    assert!(found > 54, "{found} rows were searched");
}

/// Every field of every key with this prefix.
async fn search_redis(prefix: &str) {
    let client = redis::Client::open(service("AUREN_TEST_REDIS")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection).await.unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        let fields: Vec<Vec<u8>> = redis::cmd("HGETALL").arg(&key).query_async(&mut connection).await.unwrap();
        fields.iter().for_each(|field| assert_sealed(&key, field));
    }
}

async fn metrics_of(address: SocketAddr) -> String {
    get(address, "/metrics").await.body
}

/// How often a parser is tried; the long form is for whoever has time.
fn cases() -> u32 {
    if std::env::var_os("AUREN_TEST_LONG").is_some() { 10_000 } else { 500 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Whatever stands where a token should, it is one typed error.
    #[test]
    fn no_text_is_a_token_by_accident(text in ".{0,300}", tail in "[A-Za-z0-9_-]{0,210}") {
        let keys = auren::phi::Keys::ephemeral("t");
        let user = auren_agents::UserId::new("u-1").unwrap();
        let key = futures::FutureExt::now_or_never(keys.make(&user, 1)).unwrap().unwrap();
        let event = auren_agents::EventId::new("e-1").unwrap();
        let event_type = auren_agents::BiometricType::MoodTracking;
        let binding = auren::phi::Binding::value(&event, &event_type);
        for token in [text.clone(), format!("phi1.{tail}"), format!("phi1.AQ{tail}"), format!("phi1.{text}")] {
            prop_assert!(key.open(&binding, &token).is_err());
        }
    }

    /// Whatever bytes come as a reading, they are one or one typed error; what is taken is in its unit and its bounds.
    #[test]
    fn no_bytes_upset_the_reading_s_parser(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        value in any::<f64>(),
        unit in ".{0,40}",
    ) {
        let _ = events::parse::<PlainReading>(&bytes).and_then(PlainReading::into_row);
        let mut with = reading("u-1", 1, 41.5);
        with["value"] = json!(value);
        with["unit"] = json!(unit);
        if let Ok(row) = events::parse::<PlainReading>(with.to_string().as_bytes()).and_then(PlainReading::into_row) {
            let fits = auren::intake::check(&row);
            prop_assert_eq!(fits.is_ok(), unit == "ms" && (2.0..=400.0).contains(&value));
        }
    }
}
