//! Consumer groups: who sits in one, who works which partitions, and who may still commit. No I/O but the lock file.
//!
//! A group belongs to one process at a time, by a lock on a file beside the bus's own that the operating system drops
//! with the process. Within the process its members divide the partitions by range. A member holds its partitions from
//! when it takes them until it has let them go, and nobody else takes them meanwhile. Whoever is displaced, because
//! another came under its name or because it did not let go in time, is refused by [`Pass::check`] inside the very
//! transaction it tries to commit.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OnceCell, watch};

use crate::bus::{BusError, Guarantee, Holder, Join, Topic, Transaction};

/// The groups that this process works in.
#[derive(Debug, Default)]
pub(super) struct Groups {
    open: Mutex<HashMap<String, Arc<Group>>>,
}

/// One consumer group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// This process's claim on the group, once it is written down.
    pub(super) epoch: OnceCell<i64>,
    lock: File,
    seating: Mutex<Seating>,
    /// Counts changes of the seating.
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Seating {
    topics: Vec<Topic>,
    seats: BTreeMap<String, Seat>,
    next: u64,
}

#[derive(Debug)]
struct Seat {
    id: u64,
    /// How many partitions there are to divide.
    partitions: i32,
    /// What it is to work.
    target: Vec<i32>,
    /// What it works; none until it has taken something, be it an empty list.
    holds: Option<Vec<i32>>,
}

/// What a member finds when it looks at its seat.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It works what it is to work.
    Settled,
    /// Another member still holds what it is to work.
    Waiting,
    /// These are its own now.
    Taken(Vec<i32>),
    /// It is to let these go.
    LetGo(Vec<i32>),
    /// Somebody else has its name.
    Displaced,
}

/// A member's seat. Dropping it leaves the group.
#[derive(Debug)]
pub(super) struct Place {
    groups: Arc<Groups>,
    pass: Pass,
}

/// What a commit shows the writer.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub(super) group: Arc<Group>,
    pub(super) member: String,
    seat: u64,
    guarantee: Guarantee,
}

/// Why a seat could not be had.
#[derive(Debug)]
pub(super) enum NoSeat {
    /// Another process has the group; it may be about to leave it.
    Taken(BusError),
    Never(BusError),
}

impl Groups {
    /// Sits down in a group. Whoever sat there under the same name is displaced from this moment on.
    pub(super) fn sit(self: &Arc<Self>, file: &Path, join: &Join, partitions: i32) -> Result<Place, NoSeat> {
        let mut open = locked(&self.open);
        let group = match open.get(&join.group) {
            Some(group) => Arc::clone(group),
            None => Arc::new(Group::open(file, join)?),
        };
        let seat = group.sit(join, partitions).map_err(NoSeat::Never)?;
        open.insert(join.group.clone(), Arc::clone(&group));
        let pass = Pass { group, member: join.member.clone(), seat, guarantee: join.guarantee };
        Ok(Place { groups: Arc::clone(self), pass })
    }

    /// Who of this process holds what in a group.
    pub(super) fn holders(&self, group: &str) -> Vec<Holder> {
        let Some(group) = locked(&self.open).get(group).map(Arc::clone) else { return Vec::new() };
        let seating = locked(&group.seating);
        let held = |(member, seat): (&String, &Seat)| {
            let partitions = seat.holds.clone().unwrap_or_default();
            Holder { member: member.clone(), partitions }
        };
        seating.seats.iter().map(held).collect()
    }

    fn leave(&self, pass: &Pass) {
        let mut open = locked(&self.open);
        let group = &pass.group;
        let empty = {
            let mut seating = locked(&group.seating);
            if seating.seats.get(&pass.member).is_none_or(|seat| seat.id != pass.seat) {
                return;
            }
            seating.seats.remove(&pass.member);
            seating.divide();
            seating.seats.is_empty()
        };
        if empty {
            open.remove(&group.name);
            // Dropping the file unlocks it too, but a displaced member may hold it for longer.
            let _ = group.lock.unlock();
        }
        group.changed.send_modify(|count| *count += 1);
    }
}

impl Group {
    fn open(file: &Path, join: &Join) -> Result<Self, NoSeat> {
        let path = lock_path(file, &join.group);
        let storage = |error: &std::io::Error| {
            NoSeat::Never(BusError::Storage { file: path.display().to_string(), why: error.to_string() })
        };
        let lock =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| storage(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(NoSeat::Taken(BusError::Refused {
                    what: format!("joining group {}", join.group),
                    why: "another process works in it, and on the embedded bus a group lives in one process; stop the \
                          other one, or use Kafka"
                        .to_owned(),
                }));
            }
            Err(TryLockError::Error(error)) => return Err(storage(&error)),
        }
        Ok(Self {
            name: join.group.clone(),
            epoch: OnceCell::new(),
            lock,
            seating: Mutex::new(Seating { topics: join.topics.clone(), seats: BTreeMap::new(), next: 0 }),
            changed: watch::Sender::new(0),
        })
    }

    fn sit(&self, join: &Join, partitions: i32) -> Result<u64, BusError> {
        let mut seating = locked(&self.seating);
        if seating.topics != join.topics {
            return Err(BusError::Refused {
                what: format!("joining group {}", join.group),
                why: "its members read other topics; all members of a group read the same ones".to_owned(),
            });
        }
        let id = seating.next;
        seating.next += 1;
        seating.seats.insert(join.member.clone(), Seat { id, partitions, target: Vec::new(), holds: None });
        seating.divide();
        drop(seating);
        self.changed.send_modify(|count| *count += 1);
        Ok(id)
    }
}

impl Seating {
    /// Divides the partitions by range over the members in the order of their names, as Kafka's assignor does.
    fn divide(&mut self) {
        let members = self.seats.len();
        for (index, seat) in self.seats.values_mut().enumerate() {
            seat.target = range(seat.partitions, members, index);
        }
    }
}

/// The partitions of one member of many: equal ranges, the first ones longer by one where they do not come out even.
fn range(partitions: i32, members: usize, index: usize) -> Vec<i32> {
    let count = usize::try_from(partitions).unwrap_or(0);
    let (each, more) = (count / members.max(1), count % members.max(1));
    let start = each * index + index.min(more);
    let end = start + each + usize::from(index < more);
    (start..end).filter_map(|partition| i32::try_from(partition).ok()).collect()
}

impl Place {
    pub(super) fn pass(&self) -> &Pass {
        &self.pass
    }

    /// Told of every change of the seating.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.pass.group.changed.subscribe()
    }

    /// How the member stands. What it is free to take it has taken with this.
    pub(super) fn stand(&self) -> Standing {
        let mut seating = locked(&self.pass.group.seating);
        let Some(seat) = seating.seats.get(&self.pass.member).filter(|seat| seat.id == self.pass.seat) else {
            return Standing::Displaced;
        };
        if let Some(holds) = &seat.holds {
            return if *holds == seat.target { Standing::Settled } else { Standing::LetGo(holds.clone()) };
        }
        let target = seat.target.clone();
        let held = |partition: &i32| seating.seats.values().flat_map(|seat| &seat.holds).any(|h| h.contains(partition));
        if target.iter().any(held) {
            return Standing::Waiting;
        }
        if let Some(seat) = seating.seats.get_mut(&self.pass.member) {
            seat.holds = Some(target.clone());
        }
        Standing::Taken(target)
    }

    /// Lets go of everything the member holds: from now on others may take it, and its own commits are refused.
    pub(super) fn let_go(&self) {
        let mut seating = locked(&self.pass.group.seating);
        if let Some(seat) = seating.seats.get_mut(&self.pass.member)
            && seat.id == self.pass.seat
        {
            seat.holds = None;
        }
        drop(seating);
        self.pass.group.changed.send_modify(|count| *count += 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.groups.leave(&self.pass);
    }
}

impl Pass {
    /// Whether the member may commit this, given the group's epoch in the file. The writer asks within the transaction.
    pub(super) fn check(&self, epoch: Option<i64>, transaction: &Transaction) -> Result<(), BusError> {
        let fenced = || BusError::Fenced { member: self.member.clone() };
        let refused = |why: String| BusError::NotCommitted { member: self.member.clone(), why };
        if epoch.is_none() || epoch.as_ref() != self.group.epoch.get() {
            return Err(fenced());
        }
        let seating = locked(&self.group.seating);
        let seat = match seating.seats.get(&self.member) {
            Some(seat) if seat.id == self.seat => seat,
            Some(_) => return Err(fenced()),
            None => return Err(refused("the member has left the group".to_owned())),
        };
        for (topic, partition) in transaction.offsets.keys() {
            if !seating.topics.contains(topic) {
                return Err(refused(format!("the group does not read {topic}")));
            }
            if !seat.holds.as_ref().is_some_and(|holds| holds.contains(partition)) {
                return Err(refused(format!("partition {partition} was handed over")));
            }
        }
        if self.guarantee == Guarantee::AtLeastOnce && !transaction.outputs.is_empty() {
            return Err(refused("it carries outputs, and this membership commits offsets only".to_owned()));
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds these locks can leave them half-changed by panicking.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `auren.db-group-enrich.lock`; a group's name may hold what a file name must not.
fn lock_path(file: &Path, group: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-group-");
    for byte in group.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            name.push(char::from(byte).to_string());
        } else {
            name.push(format!("%{byte:02x}"));
        }
    }
    name.push(".lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_partition_once_and_differ_by_one_at_most() {
        for partitions in 0..14 {
            for members in 1..17 {
                let ranges: Vec<_> = (0..members).map(|index| range(partitions, members, index)).collect();
                assert!(ranges.concat().into_iter().eq(0..partitions), "{partitions} over {members}: {ranges:?}");
                let (most, least) = (ranges[0].len(), ranges[members - 1].len());
                assert!(most - least <= 1 && ranges.is_sorted_by_key(|range| std::cmp::Reverse(range.len())));
            }
        }
    }

    #[test]
    fn a_groups_lock_file_has_a_name_that_every_file_system_takes() {
        let path = lock_path(Path::new("data/auren.db"), "one/../two %");
        assert_eq!(path, Path::new("data/auren.db-group-one%2f..%2ftwo%20%25.lock"));
    }
}
