use std::collections::BTreeMap;

use super::super::candidate::DeleteCandidate;
use super::super::row::DeliveredRow;
use super::super::row_version::RowVersion;
use super::*;

fn row(mod_count: u32) -> DeliveredContent {
    DeliveredContent::Row(DeliveredRow {
        version: RowVersion {
            seconds: Some(1_700_000_000),
            mod_count: Some(mod_count),
        },
        content: Some(mod_count),
    })
}

fn id(number: u128) -> String {
    format!("{number:032x}")
}

fn new_index(folder: &Path) -> DeliveredIndex {
    let path = path_beside(&folder.join("offsets.json"), "incident");
    let (index, origin) = DeliveredIndex::open(&path, "incident of dev1").unwrap();
    assert_eq!(origin, IndexOrigin::New);
    index
}

#[test]
fn rows_and_offsets_are_there_after_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let index = new_index(folder.path());
    let path = index.path.clone();
    let records = [(id(7), row(3)), ("odd".to_owned(), row(1)), (id(9), row(5))];
    index
        .apply(&records, &BTreeMap::from([(0, 12), (2, 5)]))
        .unwrap();
    let gone = [(id(9), DeliveredContent::Tombstone)];
    index.apply(&gone, &BTreeMap::from([(0, 13)])).unwrap();
    let busy = DeliveredIndex::open(&path, "incident of dev1").unwrap_err();
    assert!(
        busy.to_string().contains("another process uses it"),
        "{busy}"
    );
    drop(index);
    let (mut index, origin) = DeliveredIndex::open(&path, "incident of dev1").unwrap();
    assert_eq!(origin, IndexOrigin::Found);
    index.compact().unwrap();
    assert_eq!(index.rows().unwrap(), 2);
    assert_eq!(index.offsets().unwrap(), BTreeMap::from([(0, 13), (2, 5)]));
    assert_eq!(index.named_rows().unwrap(), ["odd"]);
    let deleted = |index: &DeliveredIndex| index.deleted_among([&*id(7), &*id(9)]).unwrap();
    assert_eq!(deleted(&index), [id(9)]);
    index.apply(&[(id(9), row(6))], &BTreeMap::new()).unwrap();
    assert_eq!(deleted(&index), [""; 0], "it came back");
}

#[test]
fn rows_are_found_by_their_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    let index = new_index(folder.path());
    assert_eq!(index.delivered(["odd"]).unwrap(), [None]);
    assert_eq!(index.oldest().unwrap(), None);
    let records = [(id(7), row(3)), ("odd".to_owned(), row(1))];
    index.apply(&records, &BTreeMap::new()).unwrap();
    let found = index.delivered([&*id(7), &*id(8), "odd"]).unwrap();
    let counts = found.iter().map(|row| row.as_ref()?.version.mod_count);
    assert_eq!(counts.collect::<Vec<_>>(), [Some(3), None, Some(1)]);
    assert_eq!(index.oldest().unwrap(), Some(1_700_000_000));
}

#[test]
fn slices_have_counts_and_sums_and_cover_everything() {
    let folder = tempfile::tempdir().unwrap();
    let index = new_index(folder.path());
    assert_eq!(
        index.slices(10).unwrap().len(),
        1,
        "of nothing one that is open"
    );
    let records: Vec<_> = (0..25).map(|n| (id(n * 1_000), row(2))).collect();
    index.apply(&records, &BTreeMap::new()).unwrap();
    let slices = index.slices(10).unwrap();
    let seen: Vec<_> = slices.iter().map(|it| (it.from, it.to, it.rows)).collect();
    let expected = [
        (None, Some(10_000), 10),
        (Some(10_000), Some(20_000), 10),
        (Some(20_000), None, 5),
    ];
    assert_eq!(seen, expected);
    assert_eq!(slices[2].mod_count_sum, Some(10));
    let ids: Vec<u128> = slices
        .iter()
        .flat_map(|slice| index.rows_of(slice).unwrap())
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ids, (0..25).map(|n| n * 1_000).collect::<Vec<u128>>());
}

#[test]
fn a_record_settles_what_was_found_out_about_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let index = new_index(folder.path());
    let found = [1, 2, 3].map(|n| (id(n), Some(DeleteCandidate::Vanished)));
    index.set_candidates(&found).unwrap();
    index
        .set_candidates(&[(id(2), Some(DeleteCandidate::Kept)), (id(3), None)])
        .unwrap();
    assert_eq!(index.vanished(10).unwrap(), [id(1)]);
    let ids = || [1, 2, 3].map(id).to_vec();
    assert_eq!(index.without_kept(&ids()).unwrap(), [id(1), id(3)]);
    let records = [(id(1), DeliveredContent::Tombstone), (id(2), row(4))];
    index.apply(&records, &BTreeMap::new()).unwrap();
    assert_eq!(index.vanished(10).unwrap(), [""; 0]);
    assert_eq!(index.without_kept(&ids()).unwrap(), ids());
}

#[test]
fn what_is_damaged_or_of_another_table_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let index = new_index(folder.path());
    let path = index.path.clone();
    index
        .apply(&[(id(1), row(1))], &BTreeMap::from([(0, 1)]))
        .unwrap();
    drop(index);
    let open = |identity: &str| {
        let (index, origin) = DeliveredIndex::open(&path, identity).unwrap();
        assert!(matches!(origin, IndexOrigin::Replaced(_)), "{origin:?}");
        assert_eq!(index.rows().unwrap(), 0);
        assert_eq!(index.offsets().unwrap(), BTreeMap::new());
        index.apply(&[(id(1), row(1))], &BTreeMap::new()).unwrap();
    };
    open("problem of dev1");
    for damage in [&b"something else"[..], &[0; 8192]] {
        fs::write(&path, damage).unwrap();
        open("problem of dev1");
    }
    // Pages in the middle, which an opening need not look at.
    let mut bytes = fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(4096) {
        *byte = 0x55;
    }
    fs::write(&path, &bytes).unwrap();
    open("problem of dev1");
}

#[test]
fn all_is_forgotten_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let index = new_index(folder.path());
    index
        .apply(&[(id(1), row(1))], &BTreeMap::from([(0, 1)]))
        .unwrap();
    index.clear().unwrap();
    assert_eq!(
        (index.rows().unwrap(), index.offsets().unwrap().len()),
        (0, 0)
    );
}
