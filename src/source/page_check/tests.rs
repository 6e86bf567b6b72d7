use proptest::prelude::*;

use super::*;
use crate::servicenow::page::PageRow;
use crate::servicenow::query::Slice;
use crate::source::frontier::Frontier;
use crate::source::window::{Window, WindowStep};

/// The check of a page of seconds 100 to 200, of two rows at most.
fn check(count: bool) -> PageCheck {
    let query = EncodedQuery {
        text: String::new(),
        earliest: Some(100),
        latest: 200,
        widened: false,
    };
    let request = PageRequest {
        slice: Slice {
            after: None,
            to: 200,
            id_to: None,
        },
        limit: 2,
        count,
    };
    PageCheck::new(query, &request, Arc::default())
}

fn block(seconds: &[i64]) -> RowBlock {
    let row = |seconds: &i64| PageRow {
        text: 0..1,
        id: 0..1,
        seconds: *seconds,
        mod_count: None,
    };
    RowBlock {
        bytes: b"a".to_vec(),
        rows: seconds.iter().map(row).collect(),
        bad: Vec::new(),
    }
}

#[test]
fn a_short_page_counts_only_with_a_count_where_one_was_asked_for() {
    let finish = |count, seconds: &[i64], total| {
        let mut check = check(count);
        check.keep_asked_rows(&mut block(seconds)).unwrap();
        check.finish(total, false)
    };
    assert!(finish(true, &[150], None).is_none());
    let page = finish(true, &[150], Some(1)).unwrap();
    assert_eq!((page.kept, page.summary.total), (1, Some(1)));
    assert_eq!(page.summary.last.unwrap().seconds, 150);
    assert!(finish(false, &[150], None).is_some());
    assert!(finish(true, &[150, 151], None).is_some(), "a full page");
    let mut uncounted = check(true);
    uncounted.keep_asked_rows(&mut block(&[150])).unwrap();
    assert!(uncounted.finish(None, true).is_some(), "nothing counts");
}

#[test]
fn rows_that_were_not_asked_for_are_refused() {
    for seconds in [&[99][..], &[201], &[150, 149], &[150, 150, 150]] {
        let refused = check(false).keep_asked_rows(&mut block(seconds));
        assert!(refused.is_err(), "{seconds:?}");
    }
}

/// What an instance leaves out of account of a query. A real one drops conditions that it does not
/// understand (Table API, `sysparm_query`), and returns rows in any order where none is given.
#[derive(Debug, Clone, Copy)]
struct Ignored {
    lower_bound: bool,
    identifier: bool,
    upper_bound: bool,
    order: bool,
    limit: bool,
    /// The count says that much is left, whatever the slice.
    count: bool,
}

/// The rows and the count with which an instance answers.
fn answer(
    table: &[(i64, String)],
    request: &PageRequest,
    ignored: Ignored,
    seed: usize,
) -> (Vec<(i64, String)>, u64) {
    let slice = &request.slice;
    let (from, id) = slice.after.as_ref().map_or((i64::MIN, None), |cursor| {
        (cursor.seconds, cursor.id.as_deref())
    });
    let asked = |row: &&(i64, String)| {
        let in_time =
            (ignored.lower_bound || row.0 >= from) && (ignored.upper_bound || row.0 <= slice.to);
        let behind = ignored.identifier || row.0 != from || id.is_none_or(|id| row.1.as_str() > id);
        let before = slice.id_to.as_deref().is_none_or(|to| row.1.as_str() <= to);
        in_time && behind && (before || ignored.identifier)
    };
    let mut rows: Vec<(i64, String)> = table.iter().filter(asked).cloned().collect();
    let count = if ignored.count {
        1_000_000
    } else {
        rows.len() as u64
    };
    if ignored.order && !rows.is_empty() {
        let middle = seed % rows.len();
        rows.rotate_left(middle);
    }
    if !ignored.limit {
        rows.truncate(request.limit as usize);
    }
    (rows, count)
}

/// Asks until everything is read or an answer is found out; gives the number of requests.
fn read(table: &[(i64, String)], batch: u32, ignored: Ignored) -> usize {
    let mut window = Window::new(None, batch);
    for requests in 1..10_000 {
        let Some(request) = window.next_request(1_000) else {
            return requests;
        };
        let query = EncodedQuery {
            text: String::new(),
            earliest: request.slice.after.as_ref().map(|cursor| cursor.seconds),
            latest: request.slice.to,
            widened: false,
        };
        let (rows, count) = answer(table, &request, ignored, requests * 7);
        let mut check = PageCheck::new(query, &request, window.read_ids());
        let mut block = RowBlock::default();
        for (seconds, id) in rows {
            let start = block.bytes.len();
            block.bytes.extend_from_slice(id.as_bytes());
            let place = start..block.bytes.len();
            block.rows.push(PageRow {
                text: place.clone(),
                id: place,
                seconds,
                mod_count: None,
            });
        }
        if check.keep_asked_rows(&mut block).is_err() {
            return requests;
        }
        let page = check.finish(request.count.then_some(count), false).unwrap();
        match window.apply_page(&request, 1_000, page.summary) {
            WindowStep::More => {}
            WindowStep::CaughtUp | WindowStep::Stuck => return requests,
        }
    }
    panic!("it asks without end");
}

proptest! {
    #[test]
    fn whatever_an_instance_ignores_the_requests_end(
        rows in prop::collection::btree_set((0_i64..4, prop_oneof![
            "INC[0-9]{1,2}", "[0-9a-f]{32}", "[0-9A-F]{32}", "[a-z:()^]{1,12}",
        ]), 0..60),
        batch in 1_u32..20,
        flags in prop::array::uniform6(any::<bool>()),
    ) {
        let table: Vec<(i64, String)> = rows.into_iter().collect();
        let [lower_bound, identifier, upper_bound, order, limit, count] = flags;
        let ignored = Ignored { lower_bound, identifier, upper_bound, order, limit, count };
        let requests = read(&table, batch, ignored);
        // Each page brings a row or halves the slice: time (36 times), identifiers (128), then grows.
        prop_assert!(requests <= table.len() + 400, "{requests} requests for {} rows", table.len());
    }
}

#[test]
fn the_checkpoint_takes_in_closed_seconds_only() {
    let start = std::time::Instant::now();
    let last_closed = |clock: i64, blocks: &[&[i64]]| {
        let closed = Frontier::new(std::time::Duration::ZERO).closed(clock, start);
        let mut page = check(false).closed_to(closed);
        page.limit = 10;
        for seconds in blocks {
            page.keep_asked_rows(&mut block(seconds)).unwrap();
        }
        let page = page.finish(None, false).unwrap();
        page.last_closed.map(|cursor| cursor.seconds)
    };
    assert_eq!(last_closed(500, &[&[140, 141]]), None);
    assert_eq!(last_closed(500, &[&[140, 145, 149]]), Some(145));
    assert_eq!(last_closed(500, &[&[140], &[143], &[147]]), Some(143));
    assert_eq!(last_closed(500, &[&[140, 145], &[147, 148]]), Some(140));
    assert_eq!(last_closed(146, &[&[140, 145], &[150, 151]]), Some(140));
    assert_eq!(
        last_closed(9_100 + 50, &[&[140, 145], &[151]]),
        Some(145),
        "long ago"
    );
}
