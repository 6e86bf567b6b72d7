//! Which versions of a row count as our own work.

use super::*;
use crate::servicenow::query::parse_time;

#[test]
fn own_writes_are_told_to_the_source() {
    let version = "GET /api/now/table/incident/0123456789abcdef0123456789abcdef?sysparm_fields=sys_id%2Csys_mod_count%2Csys_updated_on%2Csys_updated_by";
    let unread = row(ID, 6).replace("2024-01-01 00:00:00", "2024-01-01 00:10:00");
    let mut fake = plain(vec![
        (version, updated(ID, 4)),
        ("PATCH", updated(ID, 5)),
        (version, answer("200 OK", &[JSON_HEADER], &unread)),
        ("PATCH", updated(ID, 7)),
        (version, updated(ID, 8)),
        ("PATCH", updated(ID, 10)),
        (version, missing()),
        ("PATCH", updated(ID, 11)),
        // What was read before the update that broke is not the version before this one.
        (version, updated(ID, 11)),
        ("PATCH", broken()),
        (version, missing()),
        ("PATCH", updated(ID, 12)),
        ("POST", created(OTHER)),
    ]);
    let own_writes = Arc::new(OwnWriteLog::default());
    let read_to = parse_time(b"2024-01-01 00:05:00").unwrap();
    own_writes.record_read_to(read_to);
    fake.writer = fake.writer.noting(Some(Arc::clone(&own_writes)));
    let update = record(1, &format!(r#"{{"sys_id":"{ID}","a":1}}"#));
    for number in 0..5 {
        assert_eq!(word(&fake.write(&update)), "update");
        // No later version takes the place of the first.
        assert!(own_writes.is_own(ID, 5, "bridge"), "update {number}");
    }
    assert!(!own_writes.is_own(OTHER, 0, "bridge"));
    assert_eq!(word(&fake.write(&record(2, ROW))), "insert");
    fake.seen();
    assert!(own_writes.is_own(ID, 5, "bridge"));
    assert!(own_writes.is_own(OTHER, 0, "bridge"));
}
