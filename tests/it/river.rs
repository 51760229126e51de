//! The whole river, from sealed readings to conversations.

use std::sync::Arc;

use auren::{app::Hub, bus::SharedBus, bus::embedded::EmbeddedBus, config::Config, demo::DataSet, phi::Keys};

#[actix::test]
async fn readings_become_conversations_on_the_embedded_bus() {
    let folder = tempfile::tempdir().unwrap();
    let bus: SharedBus = Arc::new(EmbeddedBus::open(folder.path().join("a.db")).await.unwrap());
    let keys = Keys::ephemeral("t");
    let hub = Hub::builder().config(Config::default()).bus(bus).keys(keys.clone()).build().await.unwrap();
    let running = hub.start().await.unwrap();
    let set = DataSet::fixed();
    let began = std::time::Instant::now();
    let said = set.run(&running, &keys).await.unwrap();
    println!("{} readings, {} said, {:?}", set.readings.len(), said.len(), began.elapsed());
    for event in &said {
        println!(
            "{} {} {} {} {}",
            event.timestamp,
            &event.user_id.as_str()[..6],
            event.metadata.turn,
            event.specialist_id,
            &*event.content
        );
    }
    println!("{:?}", running.stats(auren::config::Role::Converse).unwrap().totals());
    running.stop().await;
    assert!(!said.is_empty());
}
