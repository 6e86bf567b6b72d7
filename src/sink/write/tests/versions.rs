//! Which versions of a row count as our own work.

use super::*;

#[test]
fn own_writes_are_told_to_the_source() {
    let version = "GET /api/now/table/incident/0123456789abcdef0123456789abcdef?sysparm_fields=sys_id%2Csys_mod_count%2Csys_updated_on%2Csys_updated_by";
    let mut fake = plain(vec![
        (version, updated(ID, 4)),
        ("PATCH", updated(ID, 5)),
        (version, updated(ID, 6)),
        ("PATCH", updated(ID, 7)),
        (version, updated(ID, 8)),
        ("PATCH", updated(ID, 10)),
        (version, missing()),
        ("PATCH", updated(ID, 11)),
        // What was read before the update that broke is not the version before this one.
        (version, updated(ID, 4)),
        ("PATCH", broken()),
        (version, missing()),
        ("PATCH", updated(ID, 5)),
        ("POST", created(OTHER)),
    ]);
    let source = Arc::new(Source::default());
    fake.writer.loop_guard = Some(Arc::clone(&source) as Arc<dyn LoopGuard>);
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    for _ in 0..5 {
        assert_eq!(word(&fake.write(&update)), "update");
    }
    assert_eq!(word(&fake.write(&record(2, "{}"))), "insert");
    fake.seen();
    let wrote = source.wrote.lock();
    let by = || "bridge".to_owned();
    assert_eq!(
        *wrote,
        [(ID.to_owned(), 5, by()), (OTHER.to_owned(), 0, by())]
    );
}
