//! Records that nobody can use: one dead letter each, with its cause, and the record behind is worked as if nothing had
//! happened.

use auren::{
    bus::{Outgoing, Topic, key_partition},
    phi::Keys,
};
use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::support::{River, careless, keyed, message, mission_biometric, night, sealed, settled, trigger};

/// Stands in every bad record, and in no word about it.
const PLANTED: &str = "41.8125";

/// Bad records of a topic with the class they are filed under, and the good ones that stand behind each.
struct Bad {
    topic: Topic,
    cases: Vec<(&'static str, Outgoing)>,
    good: Vec<Outgoing>,
}

impl Bad {
    fn new(topic: Topic) -> Self {
        Self { topic, cases: Vec::new(), good: Vec::new() }
    }

    /// The user of the next case.
    fn user(&self) -> String {
        format!("{}-{}", self.topic.name().replace('.', "-"), self.cases.len())
    }

    /// One more case: the bad record stands where its user's records stand, and the good one right behind it.
    fn case(&mut self, class: &'static str, key: Option<&[u8]>, payload: Option<&[u8]>, good: &Value) {
        let user = self.user();
        let partition = Some(key_partition(user.as_bytes(), 2));
        self.cases.push((class, careless(self.topic, partition, key, payload)));
        self.good.push(keyed(self.topic, &user, &good.to_string()));
    }

    /// A record of the right key whose payload was changed.
    fn changed(&mut self, class: &'static str, good: &dyn Fn(&str) -> Value, change: impl FnOnce(&mut Value)) {
        let user = self.user();
        let mut payload = good(&user);
        change(&mut payload);
        self.case(class, Some(user.as_bytes()), Some(payload.to_string().as_bytes()), &good(&user));
    }

    /// What is bad in any topic.
    fn anywhere(&mut self, good: &dyn Fn(&str) -> Value) {
        let user = self.user();
        let broken = format!(r#"{{"user_id": "{user}", "value": {PLANTED}, "#);
        self.case("broken_json", Some(user.as_bytes()), Some(broken.as_bytes()), &good(&user));
        let user = self.user();
        let list = format!("[{PLANTED}]");
        self.case("wrong_shape", Some(user.as_bytes()), Some(list.as_bytes()), &good(&user));
        let user = self.user();
        self.case("broken_json", Some(user.as_bytes()), Some(b"\xff\xfe41.8125"), &good(&user));
        self.changed("wrong_shape", good, |record| record["user_id"] = json!(41.8125));
        self.changed("wrong_shape", good, |record| drop(record.as_object_mut().unwrap().remove("timestamp")));
        self.changed("out_of_bounds", good, |record| record["timestamp"] = json!(PLANTED));
        self.changed("key_mismatch", good, |record| record["user_id"] = json!(format!("other-{PLANTED}")));
        let user = self.user();
        self.case("missing_key", None, Some(good(&user).to_string().as_bytes()), &good(&user));
        let user = self.user();
        self.case("bad_key", Some(b"41.8125\n"), Some(good(&user).to_string().as_bytes()), &good(&user));
        let user = self.user();
        self.case("no_payload", Some(user.as_bytes()), None, &good(&user));
    }
}

fn biometric(user: &str) -> Value {
    let mut event = mission_biometric();
    event["event_id"] = json!(format!("event of {user}"));
    event["user_id"] = json!(user);
    event
}

fn finding(user: &str) -> Value {
    trigger(user, &format!("trigger of {user}"), &["coach"])
}

fn word(user: &str) -> Value {
    serde_json::to_value(message(user, &format!("message of {user}"), 0, "Hello", None)).unwrap()
}

fn readings(keys: &Keys) -> Bad {
    let mut bad = Bad::new(Topic::Readings);
    // Keys in memory are there at once.
    let made = |keys: &Keys, user: &str, day| {
        serde_json::to_value(sealed(keys, &night(user, day, 41.8125)).now_or_never().unwrap()).unwrap()
    };
    let good = |user: &str| made(keys, user, 0);
    bad.anywhere(&good);
    bad.changed("not_a_token", &good, |record| record["token"] = json!(PLANTED));
    bad.changed("out_of_bounds", &good, |record| record["token"] = json!(PLANTED.repeat(200)));
    let user = bad.user();
    let strange = made(&Keys::ephemeral("tests"), &user, 0);
    bad.changed("unknown_key", &good, |record| *record = strange);
    let stolen = made(keys, "somebody else", 0);
    bad.changed("unknown_key", &good, |record| record["token"] = stolen["token"].clone());
    let user = bad.user();
    let other_night = made(keys, &user, 1);
    bad.changed("does_not_open", &good, |record| record["token"] = other_night["token"].clone());
    bad
}

fn biometrics() -> Bad {
    let mut bad = Bad::new(Topic::Biometrics);
    bad.anywhere(&biometric);
    bad.changed("out_of_bounds", &biometric, |record| record["metadata"]["percentile_rank"] = json!(41.8125));
    bad.changed("out_of_bounds", &biometric, |record| record["metadata"]["severity_score"] = json!(-41.8125));
    bad.changed("wrong_shape", &biometric, |record| record["metadata"]["severity_score"] = json!(PLANTED));
    bad.changed("wrong_shape", &biometric, |record| record["metadata"]["statistical_summary"] = json!(41.8125));
    bad
}

fn triggers() -> Bad {
    let mut bad = Bad::new(Topic::Triggers);
    bad.anywhere(&finding);
    bad.changed("out_of_bounds", &finding, |record| record["recommended_agents"] = json!([]));
    bad.changed("out_of_bounds", &finding, |record| record["severity"] = json!(41.8125));
    bad.changed("wrong_shape", &finding, |record| record["context_window"] = json!([41.8125]));
    bad.changed("out_of_bounds", &finding, |record| record["message"] = json!(PLANTED.repeat(1000)));
    bad
}

fn inbox() -> Bad {
    let mut bad = Bad::new(Topic::Inbox);
    bad.anywhere(&word);
    bad.changed("out_of_bounds", &word, |record| record["kind"] = json!(PLANTED));
    bad.changed("out_of_bounds", &word, |record| record["text"] = json!(PLANTED.repeat(1000)));
    bad
}

pub async fn a_record_that_nobody_can_use_is_one_dead_letter_and_holds_nobody_up(river: River) {
    let topics = [readings(&river.keys), biometrics(), triggers(), inbox()];
    let hub = river.hub().await;
    for bad in &topics {
        let records = bad.cases.iter().zip(&bad.good).flat_map(|((_, case), good)| [case.clone(), good.clone()]);
        river.stage.publish(records.collect()).await;
    }
    settled(&hub).await;
    for bad in &topics {
        letters_tell_what_was_wrong(&river, bad).await;
        good_records_were_worked(&river, bad).await;
    }
    hub.stop().await;
}

async fn letters_tell_what_was_wrong(river: &River, bad: &Bad) {
    let sources = river.stage.all(bad.topic).await;
    let letters = river.stage.all(bad.topic.dead_letters().unwrap()).await;
    let role = match bad.topic {
        Topic::Readings => "enrich",
        Topic::Biometrics => "detect",
        _ => "converse",
    };
    for (class, case) in &bad.cases {
        let of_case: Vec<_> = letters.iter().filter(|l| l.payload == case.payload && l.key == case.key).collect();
        let [letter] = &of_case[..] else { panic!("{}: {class}: {} dead letters", bad.topic, of_case.len()) };
        let header = |name: &str| letter.header(&format!("auren-dlq-{name}")).unwrap().to_owned();
        let number = |name: &str| header(name).parse::<i64>().unwrap();
        assert_eq!(&header("class"), class, "{}: {}", bad.topic, header("error"));
        assert_eq!((header("stage"), header("group")), (role.to_owned(), format!("auren-{role}")));
        assert_eq!(header("topic"), bad.topic.name());
        let source = sources
            .iter()
            .find(|record| i64::from(record.partition) == number("partition") && record.offset == number("offset"));
        let source = source.expect("a dead letter says where its record stands");
        assert_eq!((&source.key, &source.payload), (&letter.key, &letter.payload));
        assert_eq!(source.timestamp_ms, number("timestamp"));
        let error = header("error");
        assert!(!error.contains("41") && !error.contains("8125"), "{error}");
    }
    assert_eq!(letters.len(), bad.cases.len(), "{}", bad.topic);
}

async fn good_records_were_worked(river: &River, bad: &Bad) {
    let follows = match bad.topic {
        Topic::Readings => Topic::Biometrics,
        Topic::Biometrics => Topic::Triggers,
        _ => Topic::Events,
    };
    let effects = river.stage.all(follows).await;
    for good in &bad.good {
        let worked = effects.iter().any(|effect| effect.key == good.key && effect.payload != good.payload);
        assert!(worked, "the record behind a bad one in {}", bad.topic);
    }
}
