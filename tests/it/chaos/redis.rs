//! A Redis that is emptied, killed and started again under load, and with it a node that takes what is there: an empty
//! Redis, an old one, none.

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use super::{Day, so_many, some_moment};
use crate::support::{DEADLINE, free_port, script, service};

/// A Redis that may be killed. Dropped, it is killed.
struct Redis {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let redis = Self { child: launch(&folder, port), port, folder };
        redis.keys();
        redis
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Runs it again, with nothing in it.
    fn again(&mut self) {
        self.child = launch(&self.folder, self.port);
        self.keys();
    }

    /// How many keys it has.
    fn keys(&self) -> usize {
        self.asks("DBSIZE")
    }

    /// Removes all keys; says how many there were.
    fn empty(&self) -> usize {
        let keys = self.keys();
        let _: String = self.asks("FLUSHALL");
        keys
    }

    /// Sends one command, as soon as there is somebody who answers.
    fn asks<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let limit = Instant::now() + DEADLINE;
        loop {
            match client.get_connection().and_then(|mut connection| redis::cmd(command).query(&mut connection)) {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < limit, "{command}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &tempfile::TempDir, port: u16) -> Child {
    let mut command = script("redis");
    command.arg(folder.path()).arg(port.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_redis_that_is_emptied_and_killed_costs_no_answer_and_no_memory_of_one() {
    let mut redis = Redis::start();
    let mut day = Day::on_kafka(&service("AUREN_TEST_KAFKA"));
    // Few are in memory at a time, so that nearly every turn asks Redis who the person is.
    let settings = [("redis.url", &*redis.url()), ("redis.timeout_ms", "200"), ("lanes.max_resident", "4")]
        .map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
    day.flags.extend(settings.into_iter().flatten());
    let mut node = day.node("n1");
    node.says("partitions taken", 3);
    let times = so_many(2, 20);
    let verifying = day.verify(&format!("Redis emptied, killed and back, {times} times"), times * 8);
    let mut found = 0;
    for time in 0..times {
        some_moment(1500..2500);
        found += redis.empty();
        some_moment(500..1500);
        redis.kill();
        some_moment(500..1500);
        if time % 2 == 1 {
            node.kill();
            node = day.node("n1");
        }
        redis.again();
        some_moment(1000..2000);
    }
    verifying.ends_well();
    assert!(found > 0, "there was something to lose");
    // It is in use again, not given up.
    let limit = Instant::now() + DEADLINE;
    while redis.keys() == 0 {
        assert!(Instant::now() < limit, "no state comes back to Redis:\n{}", node.said());
        std::thread::sleep(Duration::from_millis(10));
    }
}
