//! Keyrings: a person's key is made once, whoever asks; it is wrapped anew without being unwrapped here for anybody, and
//! destroyed for good. Every behaviour on a file and on a real PostgreSQL.

mod under_load;

use auren::phi::{
    KeyError, Keys,
    audit::{Act, Checkpoint, Deed, Flaw},
    master::Local,
    store::{KeptKey, PostgresStore, SqliteStore, Store},
};
use auren_agents::UserId;
use futures::future::join_all;

use self::under_load::every_reading_opens_until_its_person_is_erased_and_none_afterwards;
use crate::support::{night, own_name, run, sealed, service};

/// A database for one test: the tenant is its own.
struct Place {
    folder: tempfile::TempDir,
    postgres: Option<(String, String)>,
}

impl Place {
    fn file() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), postgres: None }
    }

    fn postgres() -> Self {
        let tenant = own_name();
        Self { postgres: Some((service("AUREN_TEST_POSTGRES"), tenant)), ..Self::file() }
    }

    async fn store(&self) -> Box<dyn Store> {
        match &self.postgres {
            Some((url, tenant)) => Box::new(PostgresStore::open(url, tenant).await.unwrap()),
            None => Box::new(SqliteStore::open(&self.folder.path().join("keyring.db"), "t").await.unwrap()),
        }
    }

    fn master(&self) -> std::path::PathBuf {
        self.folder.path().join("master.key")
    }

    /// The keys as another node opens them.
    async fn keys(&self) -> Keys {
        self.above(0).await
    }

    async fn above(&self, minimum: u32) -> Keys {
        let master = Local::from_file_or_new(&self.master()).unwrap();
        let tenant = self.postgres.as_ref().map_or("t", |(_, tenant)| tenant);
        Keys::open(tenant, Box::new(master), self.store().await, minimum).await.unwrap()
    }
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

async fn of_nodes_that_make_a_key_at_once_all_go_on_with_the_same(place: Place) {
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(place.keys().await);
    }
    let row = night("u-1", 1, 41.5);
    let made = join_all(nodes.iter().map(|keys| sealed(keys, &row))).await;
    for keys in &nodes {
        let key = keys.find(&user("u-1"), 0).await.unwrap();
        for reading in &made {
            assert!((reading.open(&key).unwrap().value - 41.5).abs() < f64::EPSILON);
        }
    }
    assert_eq!(nodes[0].find(&user("u-2"), 0).await.unwrap_err(), KeyError::NoKey);
}

async fn a_destroyed_key_opens_nothing_on_any_node_and_is_not_made_again(place: Place) {
    let (here, there) = (place.keys().await, place.keys().await);
    let reading = sealed(&here, &night("u-1", 1, 41.5)).await;
    assert!(here.destroy(&user("u-1"), "test").await.unwrap().had_key);
    for keys in [&here, &there, &place.keys().await] {
        assert_eq!(keys.find(&user("u-1"), 0).await.unwrap_err(), KeyError::Erased);
        assert_eq!(keys.make(&user("u-1"), 1).await.unwrap_err(), KeyError::Erased);
    }
    assert!(!here.destroy(&user("u-1"), "test").await.unwrap().had_key);
    assert!(!here.destroy(&user("nobody"), "test").await.unwrap().had_key);
    assert_eq!(there.make(&user("nobody"), 1).await.unwrap_err(), KeyError::Erased, "an erased id never comes back");
    let other = sealed(&there, &night("u-2", 1, 41.5)).await;
    let key = there.find(&user("u-2"), 0).await.unwrap();
    assert!(other.open(&key).is_ok() && reading.open(&key).is_err());
}

async fn keys_are_rotated_and_wrapped_anew_and_nothing_stops_opening(place: Place) {
    let keys = place.keys().await;
    let mut readings = Vec::new();
    for number in 0..40 {
        readings.push(sealed(&keys, &night(&format!("u-{number}"), 1, 41.5)).await);
    }
    keys.destroy(&user("u-7"), "test").await.unwrap();
    Local::add_to(&place.master()).unwrap();
    let told = place.keys().await;
    Local::promote_in(&place.master(), 2).unwrap();
    let promoted = place.keys().await;
    sealed(&promoted, &night("new", 1, 41.5)).await;
    assert!(told.find(&user("new"), 0).await.is_ok(), "a node that was told of the new key opens what it wraps");
    assert_eq!(keys.find(&user("new"), 0).await.unwrap_err(), KeyError::UnknownMaster(2));

    let another = place.keys().await;
    // Two at once, as when one is begun again while the other still runs.
    let (one, other) = futures::join!(promoted.rewrap("test"), another.rewrap("test"));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.rewrapped + other.rewrapped, 39);
    let again = promoted.rewrap("test").await.unwrap();
    assert_eq!((again.rewrapped, again.current, again.destroyed), (0, 40, 1));
    assert_eq!(promoted.versions().await.unwrap().into_iter().collect::<Vec<_>>(), [(0, 1), (2, 40)]);

    Local::retire_from(&place.master(), 1).unwrap();
    let strict = place.above(2).await;
    for reading in readings.iter().filter(|reading| reading.user_id != user("u-7")) {
        let key = strict.find(&reading.user_id, 0).await.unwrap();
        assert!(reading.open(&key).is_ok());
    }
    let error = place.above(3).await.find(&user("u-1"), 0).await.unwrap_err();
    assert_eq!(error, KeyError::TooOld { version: 2, minimum: 3 });
}

async fn wrapped_keys_that_changed_places_are_nobody_s_and_a_spent_key_seals_no_more(place: Place) {
    let (keys, store) = (place.keys().await, place.store().await);
    sealed(&keys, &night("u-1", 1, 41.5)).await;
    sealed(&keys, &night("u-2", 1, 41.5)).await;
    let wrapped = |kept: Option<KeptKey>| kept.unwrap().wrapped.unwrap();
    let (one, other) = (wrapped(store.key("u-1").await.unwrap()), wrapped(store.key("u-2").await.unwrap()));
    assert!(store.replace("u-2", &other, &one).await.unwrap());
    assert!(!store.replace("u-2", &other, &one).await.unwrap(), "it is no longer what was expected");
    assert_eq!(place.keys().await.find(&user("u-2"), 0).await.unwrap_err(), KeyError::Damaged);

    assert!(store.reserve("u-1", 1 << 47, 1 << 48).await.unwrap());
    assert!(!store.reserve("u-1", 1 << 47, 1 << 48).await.unwrap(), "the first block was set aside already");
    assert!(store.reserve("u-1", (1 << 47) - (1 << 20), 1 << 48).await.unwrap());
    let later = place.keys().await;
    assert_eq!(later.make(&user("u-1"), 1).await.unwrap_err(), KeyError::Spent);
    assert!(later.find(&user("u-1"), 0).await.is_ok(), "it still opens");
}

async fn an_audit_shows_what_was_done_to_it(place: Place) {
    let (keys, other) = (place.keys().await, place.keys().await);
    let written = |keys: Keys, who: &'static str| async move {
        for number in 0..10 {
            keys.record(&Act::new(Deed::Tokenise, &format!("test {who} {number}"))).await.unwrap();
        }
    };
    futures::join!(written(keys.clone(), "one"), written(other.clone(), "other"));
    let outside = keys.checkpoint(0).await.unwrap().unwrap();
    assert_eq!(keys.checkpoint(outside.seq).await.unwrap(), None, "there is nothing newer to sign");
    let verdict = other.verify(std::slice::from_ref(&outside)).await.unwrap();
    assert!(verdict.is_whole(), "{:?}", verdict.flaws);
    assert_eq!((verdict.entries, verdict.signed_to, verdict.checkpoints), (20, 20, 2));
    let forged = Checkpoint { signature: vec![1; 64], ..outside.clone() };
    assert_eq!(keys.verify(&[forged]).await.unwrap().flaws, [Flaw::Forged(20)]);

    let sql = Sql::open(&place).await;
    let rows = keys.store().entries(0, 100).await.unwrap();
    let flaws = || async { keys.verify(std::slice::from_ref(&outside)).await.unwrap().flaws };
    sql.run("UPDATE auren_audit SET body = replace(body, 'test', 'nobody') WHERE seq = 5").await;
    assert_eq!(flaws().await, [Flaw::Altered(5)]);
    sql.put(5, &rows[4].body).await;
    // Reordered: two bodies change places.
    sql.put(5, &rows[5].body).await;
    sql.put(6, &rows[4].body).await;
    assert_eq!(flaws().await, [Flaw::Altered(5), Flaw::Altered(6)]);
    sql.put(5, &rows[4].body).await;
    sql.put(6, &rows[5].body).await;
    assert_eq!(flaws().await, []);
    sql.run("UPDATE auren_audit SET seq = -9 WHERE seq = 9").await;
    assert_eq!(flaws().await[0], Flaw::Missing(9, 9));
    sql.run("UPDATE auren_audit SET seq = 9 WHERE seq = -9").await;
    // Cut off together with the checkpoints that are kept beside it: the one that was kept elsewhere tells.
    sql.run("DELETE FROM auren_audit WHERE seq > 15").await;
    sql.run("DELETE FROM auren_checkpoints").await;
    assert!(keys.verify(&[]).await.unwrap().is_whole());
    assert_eq!(flaws().await, [Flaw::CutOff { signed: 20, last: 15 }]);
    // Written on as if nothing had happened.
    for _ in 0..5 {
        keys.record(&Act::new(Deed::Erase, "somebody")).await.unwrap();
    }
    assert_eq!(flaws().await, [Flaw::Rewritten(20)]);
}

async fn what_was_counted_in_a_window_that_is_over_is_forgotten(place: Place) {
    let store = place.store().await;
    for span in ["2024-01-01", "2024-01-01T23:59", "2024-01-02", "2024-01-02T00:00"] {
        assert_eq!(store.count(span, "dr", 3).await.unwrap(), 3);
    }
    store.forget_uses("2024-01-02").await.unwrap();
    for (span, used) in [("2024-01-01", 0), ("2024-01-01T23:59", 0), ("2024-01-02", 3), ("2024-01-02T00:00", 3)] {
        assert_eq!(store.count(span, "dr", 0).await.unwrap(), used, "{span}");
    }
}

/// The database itself, as whoever attacks it has it.
enum Sql {
    File(sqlx::SqlitePool),
    Postgres(sqlx::PgPool, String),
}

impl Sql {
    async fn open(place: &Place) -> Self {
        match &place.postgres {
            Some((url, tenant)) => Self::Postgres(sqlx::PgPool::connect(url).await.unwrap(), tenant.clone()),
            None => {
                let file = place.folder.path().join("keyring.db");
                Self::File(sqlx::SqlitePool::connect(file.to_str().unwrap()).await.unwrap())
            }
        }
    }

    async fn run(&self, statement: &str) {
        match self {
            Self::File(pool) => drop(sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await.unwrap()),
            Self::Postgres(pool, tenant) => {
                let joined = if statement.contains("WHERE") { "AND" } else { "WHERE" };
                let statement = format!("{statement} {joined} tenant = '{tenant}'");
                sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await.unwrap();
            }
        }
    }

    async fn put(&self, seq: i64, body: &str) {
        self.run(&format!("UPDATE auren_audit SET body = '{body}' WHERE seq = {seq}")).await;
    }
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod file {
            $(#[test]
            fn $name() {
                super::run(super::$name(super::Place::file()));
            })+
        }

        mod postgres {
            $(#[test]
            fn $name() {
                super::run(async { super::$name(super::Place::postgres()).await });
            })+
        }
    };
}

on_both!(
    of_nodes_that_make_a_key_at_once_all_go_on_with_the_same,
    a_destroyed_key_opens_nothing_on_any_node_and_is_not_made_again,
    keys_are_rotated_and_wrapped_anew_and_nothing_stops_opening,
    wrapped_keys_that_changed_places_are_nobody_s_and_a_spent_key_seals_no_more,
    an_audit_shows_what_was_done_to_it,
    what_was_counted_in_a_window_that_is_over_is_forgotten,
    every_reading_opens_until_its_person_is_erased_and_none_afterwards,
);

#[test]
fn a_destroyed_key_is_overwritten_in_the_file() {
    run(async {
        let place = Place::file();
        let keys = place.keys().await;
        sealed(&keys, &night("u-1", 1, 41.5)).await;
        let wrapped = keys.store().key("u-1").await.unwrap().unwrap().wrapped.unwrap();
        let holds = || {
            let files =
                place.folder.path().read_dir().unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
            files.into_iter().any(|bytes| bytes.windows(wrapped.len()).any(|window| window == wrapped.as_bytes()))
        };
        assert!(holds());
        keys.destroy(&user("u-1"), "test").await.unwrap();
        assert!(!holds());
    });
}
