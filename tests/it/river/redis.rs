//! States in Redis: sessions that are not in memory come from there, and nothing depends on its being there.

use std::time::Duration;

use auren::{
    app::Running,
    config::{Role, Secret},
    consult::Agents,
};
use redis::{AsyncCommands, aio::MultiplexedConnection};

use super::whole::{assert_same, reference, worked};
use crate::support::{
    Door, Line, Player, River, data_set, message, own_name, service, settled, speakers, trigger, until,
};

/// The river with a Redis of its own: a prefix that nobody else uses.
fn with_redis(mut river: River, url: &str) -> River {
    river.config.redis.prefix = own_name();
    river.config.redis.url = Some(Secret::from(url.to_owned()));
    river.config.redis.flush_ms = 1;
    river
}

fn without_redis(river: &mut River) -> Option<Secret> {
    river.config.redis.url.take()
}

pub(super) async fn connect() -> MultiplexedConnection {
    redis::Client::open(service("AUREN_TEST_REDIS")).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// The keys of this test's river.
pub(super) async fn keys(river: &River) -> Vec<String> {
    connect().await.keys(format!("{}*", river.config.redis.prefix)).await.unwrap()
}

/// Removes all that a river has in Redis; says how many keys there were.
pub(super) async fn empty(river: &River) -> usize {
    let keys = keys(river).await;
    if !keys.is_empty() {
        let _: () = connect().await.del(&keys).await.unwrap();
    }
    keys.len()
}

/// Waits until Redis has all states, so that none is in memory.
pub(super) async fn mirrored(hub: &Running) {
    until("all states are in Redis and none in memory", || async {
        Role::ON_LANES.iter().filter_map(|role| hub.stats(*role)).all(|stats| stats.totals().states == 0)
    })
    .await;
}

pub async fn sessions_that_redis_keeps_say_the_same(river: River) {
    reference();
    let mut river = with_redis(river, &service("AUREN_TEST_REDIS"));
    river.config.lanes.max_resident = 1;
    river.config.lanes.max_batch = 40;
    let hub = river.hub().await;
    let said = data_set().run(&hub, &river.keys).await.unwrap();
    mirrored(&hub).await;
    assert_same(&said);
    hub.stop().await;
    // A hub that comes later takes what is there: nothing new to say, and every state known.
    let hub = river.hub().await;
    settled(&hub).await;
    mirrored(&hub).await;
    assert_same(&river.said().await);
    hub.stop().await;
    assert_eq!(empty(&river).await, 3 * 2, "a hash for each role and partition");
}

pub async fn a_redis_that_is_emptied_again_and_again_changes_nothing(river: River) {
    reference();
    let mut river = with_redis(river, &service("AUREN_TEST_REDIS"));
    river.config.lanes.max_resident = 1;
    river.config.lanes.max_batch = 200;
    let hub = river.hub().await;
    let set = data_set();
    river.read(&set.readings).await;
    let mut emptied = 0;
    let emptying = async {
        // Ever more rarely: each time the states are read from the topics once more, and the work is to end at last.
        let mut pause = Duration::from_millis(20);
        loop {
            emptied += usize::from(empty(&river).await > 0);
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    };
    tokio::select! {
        () = settled(&hub) => {}
        () = emptying => {}
    }
    mirrored(&hub).await;
    empty(&river).await;
    river.send(&set.messages).await;
    settled(&hub).await;
    assert!(emptied > 1, "it was emptied {emptied} times while there was work");
    assert_same(&river.said().await);
    hub.stop().await;
    empty(&river).await;
}

pub async fn a_redis_that_goes_away_and_comes_back_changes_nothing(river: River) {
    reference();
    let url = service("AUREN_TEST_REDIS");
    let address = url.trim_end_matches('/').rsplit(['@', '/']).next().unwrap();
    let line = Line::to(address).await;
    let mut river = with_redis(river, &url.replace(address, &line.address()));
    river.config.redis.timeout_ms = 200;
    river.config.lanes.max_resident = 1;
    river.config.lanes.max_batch = 20;
    let hub = river.hub().await;
    let set = data_set();
    let (first, second) = set.readings.split_at(set.readings.len() / 2);
    river.read(first).await;
    until("some are worked", || async { worked(&hub, Role::Converse) > 50 }).await;
    line.cut();
    river.read(second).await;
    settled(&hub).await;
    let kept = Role::ON_LANES.iter().map(|role| hub.stats(*role).unwrap().totals().states).sum::<u64>();
    assert_eq!(kept, 3 * 4, "without Redis every role has every person's state in memory");
    line.mend();
    mirrored(&hub).await;
    river.send(&set.messages).await;
    settled(&hub).await;
    assert_same(&river.said().await);
    hub.stop().await;
    empty(&river).await;
}

pub async fn what_happened_without_redis_is_known_with_it(river: River) {
    let river = river.roles(&[Role::Converse]).agents(Agents::none().with(Player::says("coach", "Rest today.")));
    let mut river = with_redis(river, &service("AUREN_TEST_REDIS"));
    for round in 0..6 {
        // Redis first holds the state, then an old one, then the newest behind a hub that had no time to write it.
        let redis = (round % 2 == 1).then(|| without_redis(&mut river)).flatten();
        let hub = river.apart().await;
        river.send(&[message("u-1", &format!("m-{round}"), round, "Hello", None)]).await;
        until("it is answered", || async { river.said().await.len() > 2 * usize::try_from(round).unwrap() + 1 }).await;
        hub.abandon();
        river.config.redis.url = river.config.redis.url.or(redis);
    }
    let said = river.said().await;
    let turns: Vec<_> = said.iter().map(|event| event.metadata.turn).collect();
    assert_eq!(turns, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
    empty(&river).await;
}

pub async fn who_waited_when_the_hub_died_is_known_from_redis(river: River) {
    let door = Door::closed();
    let agents = Agents::none().with(Player::behind("slow", &door)).with(Player::says("coach", "Rest today."));
    let river = with_redis(river.roles(&[Role::Converse]).agents(agents), &service("AUREN_TEST_REDIS"));
    let hub = river.apart().await;
    river.json(auren::bus::Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "coach"])).await;
    door.asked_times(1).await;
    until("Redis knows who waits", || async {
        let mut connection = connect().await;
        let mut waits = false;
        for key in keys(&river).await {
            waits |= connection.hget::<_, _, Option<String>>(key, "\n").await.unwrap().as_deref() == Some("u-1");
        }
        waits
    })
    .await;
    hub.abandon();
    let hub = river.hub().await;
    let asked = door.asked_times(2).await;
    assert_eq!(asked[0].id, asked[1].id);
    door.lets(2);
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["slow", "coach"]);
    hub.stop().await;
    empty(&river).await;
}
