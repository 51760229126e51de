//! A full disk under the embedded bus.

use std::{fs, process::Command, time::Duration};

use super::{Day, so_many};
use crate::support::{Node, run, until};

/// A disk with room for this many bytes of each file: less than what the bus has written by then, more than a node logs.
const FULL: u64 = 64 * 1024;

/// From now on the process cannot make a file longer than this many bytes; none is as many as it likes.
fn limit(process: u32, bytes: Option<u64>) {
    let bytes = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let limits =
        Command::new("prlimit").args([format!("--pid={process}"), format!("--fsize={bytes}:")]).output().unwrap();
    assert!(limits.status.success(), "{}", String::from_utf8_lossy(&limits.stderr));
}

/// A node whose standard error goes to what the shell names, and that gets errors, not signals, for files that are too
/// long.
fn node(day: &Day, errors: &str) -> Node {
    let serve = day.auren(&["serve"]);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; exec \"$0\" \"$@\" {errors}")]);
    command.arg(serve.get_program()).args(serve.get_args()).current_dir(day.program.folder()).env_clear();
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Node::spawn(command, day.program.folder().join("n1.log"))
}

/// Writing fails for the hub as on a full disk, while inputs go on being acknowledged: what it could not commit meanwhile
/// it commits when there is space again.
#[test]
fn a_full_disk_under_the_embedded_bus_is_reported_and_loses_nothing() {
    let day = Day::embedded();
    let mut node = node(&day, "");
    node.says("partitions taken", 3);
    let times = so_many(2, 10);
    let verifying = day.verify(&format!("disk full under the embedded bus, {times} times"), times * 7);
    let written = day.program.folder().join("auren-data/auren.db-wal");
    for time in 1..=times {
        run(until("the log is longer than it may be", || async { fs::metadata(&written).unwrap().len() > FULL }));
        limit(node.id(), Some(FULL));
        node.says("a worker begins again", usize::try_from(time).unwrap());
        std::thread::sleep(Duration::from_secs(2));
        limit(node.id(), None);
        std::thread::sleep(Duration::from_secs(2));
    }
    verifying.ends_well();
    assert!(node.said().contains("auren.db: the disk failed to"), "which file is meant is said:\n{}", node.said());
    node.terminate();
}

#[test]
fn a_node_whose_log_cannot_be_written_works_all_the_same() {
    let day = Day::embedded();
    let mut node = node(&day, "2>/dev/full");
    let verifying = day.verify("log on a full disk", 5);
    verifying.ends_well();
    node.terminate();
}
