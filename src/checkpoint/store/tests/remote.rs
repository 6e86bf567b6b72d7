//! Positions in a place other than the file, here one in memory.

use std::sync::Arc;

use super::*;

/// What a place holds, and what it answers.
#[derive(Debug, Default)]
struct FakePlace {
    tables: StoredTables,
    refused: BTreeMap<String, String>,
    is_away: bool,
    is_taken_over: bool,
    writes: usize,
    is_released: bool,
}

#[derive(Debug, Clone, Default)]
struct FakeRemote(Arc<Mutex<FakePlace>>);

impl FakeRemote {
    fn fault(&self) -> Result<(), Error> {
        let there = self.0.lock();
        let place = self.place();
        if there.is_taken_over {
            let by = "another".to_owned();
            return Err(Error::TakenOver { place, by });
        }
        if there.is_away {
            let reason = "away".to_owned();
            return Err(Error::Away { place, reason });
        }
        Ok(())
    }
}

impl RemotePositions for FakeRemote {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn take_over(&mut self, _: &Stop) -> Result<RemoteTables, Error> {
        self.fault()?;
        let there = self.0.lock();
        Ok(RemoteTables {
            tables: there.tables.clone(),
            refused: there.refused.clone(),
        })
    }

    fn write(
        &mut self,
        before: &StoredTables,
        next: &StoredTables,
        _: Instant,
    ) -> Result<Duration, Error> {
        self.fault()?;
        let mut there = self.0.lock();
        for table in before.keys().filter(|table| !next.contains_key(*table)) {
            there.tables.remove(table);
            there.refused.remove(table);
        }
        let changed = next
            .iter()
            .filter(|(table, stored)| before.get(*table) != Some(stored));
        for (table, stored) in changed {
            there.tables.insert(table.clone(), stored.clone());
            there.refused.remove(table);
        }
        there.writes += 1;
        Ok(Duration::ZERO)
    }

    fn release(&mut self, _: Instant) -> Result<(), Error> {
        self.0.lock().is_released = true;
        Ok(())
    }
}

fn open(place: &CheckpointFolder, remote: &FakeRemote) -> CheckpointStore {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let remote = Box::new(remote.clone());
        match CheckpointStore::open_remote(&place.path, remote, &place.metrics) {
            Err(Error::Locked { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn take_over(store: &CheckpointStore) -> Result<(), Error> {
    let (_trigger, stop) = stop::pair();
    store.take_over(&stop)
}

#[test]
fn nothing_is_known_before_the_place_has_answered() {
    let (place, remote) = (place(None), FakeRemote::default());
    remote.0.lock().tables = parse(GO_CHECKPOINT).unwrap();
    remote.0.lock().is_away = true;
    let store = open(&place, &remote);
    assert!(take_over(&store).unwrap_err().is_retryable());
    assert!(!store.is_read() && store.get("incident").is_none());
    remote.0.lock().is_away = false;
    take_over(&store).unwrap();
    assert!(store.is_read() && store.when_read().try_recv().is_ok());
    assert_eq!(store.get("incident"), Some(entry(1_706_140_800, "abc123")));
    store.advance("incident", entry(1_706_140_801, "abd"));
    remote.0.lock().is_away = true;
    assert!(store.flush().is_err());
    let durable = store.durable_position("incident").unwrap();
    assert_eq!(durable.timestamp, 1_706_140_800);
    remote.0.lock().is_away = false;
    store.flush().unwrap();
    let there = remote.0.lock().tables["incident"].entry();
    assert_eq!(there, Some(entry(1_706_140_801, "abd")));
    assert!(!place.path.exists(), "the file is not used");
    remote.0.lock().is_taken_over = true;
    store.advance("incident", entry(1_706_140_802, "abe"));
    assert!(store.taken_over().is_none() && store.flush().is_err());
    assert!(matches!(store.taken_over(), Some(Error::TakenOver { .. })));
}

#[test]
fn a_file_is_taken_over_once() {
    let (place, remote) = (place(Some(GO_CHECKPOINT)), FakeRemote::default());
    let other = GO_CHECKPOINT.replace("def456", "other");
    let mut tables = parse(&other).unwrap();
    tables.remove("incident");
    remote.0.lock().tables = tables;
    let store = open(&place, &remote);
    take_over(&store).unwrap();
    assert!(store.refusal("incident").is_none());
    let why = store.refusal("change_request").unwrap();
    assert!(why.contains("memory has a position of it and"), "{why}");
    assert!(place.path.exists(), "a decision is to be made");
    assert_eq!(remote.0.lock().tables.len(), 2);
    // Taken from the file by an operator.
    store.import(parse(GO_CHECKPOINT).unwrap());
    store.flush().unwrap();
    store.release(Instant::now()).unwrap();
    assert!(remote.0.lock().is_released);
    drop(store);
    let store = open(&place, &remote);
    take_over(&store).unwrap();
    assert!(store.refusal("change_request").is_none());
    assert!(!place.path.exists() && place.beside("offsets.json.imported").exists());
    assert_eq!(
        store.get("change_request"),
        Some(entry(1_706_137_200, "def456"))
    );
}

#[test]
fn what_cannot_be_used_is_replaced_by_an_operator_alone() {
    for replaced in [false, true] {
        let (place, remote) = (place(None), FakeRemote::default());
        let damaged = ("incident".to_owned(), "damaged".to_owned());
        remote.0.lock().refused.extend([damaged]);
        let store = open(&place, &remote);
        take_over(&store).unwrap();
        assert_eq!(store.refusal("incident").as_deref(), Some("damaged"));
        store.advance("problem", entry(1, ""));
        store.flush().unwrap();
        assert_eq!(remote.0.lock().refused.len(), 1);
        if replaced {
            store.move_to("incident", entry(2, ""));
        } else {
            assert!(store.remove("incident"));
        }
        store.flush().unwrap();
        assert!(store.refusal("incident").is_none());
        let there = remote.0.lock();
        assert!(there.refused.is_empty());
        assert_eq!(there.tables.contains_key("incident"), replaced);
    }
}
