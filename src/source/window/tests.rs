use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// The rows of a table in their order: second, identifier, and whether the user may see it.
type SimulatedRows = Vec<(i64, u128, bool)>;

fn id(number: u128) -> String {
    format!("{number:032x}")
}

/// Answers like the Table API, which applies access rules after filter, order and limit. Gives the
/// visible rows of the page and the count of the slice.
fn serve(table: &SimulatedRows, ask: &PageRequest) -> (Vec<Cursor>, u64) {
    let slice = &ask.slice;
    let matching: Vec<_> = table
        .iter()
        .filter(|(second, number, _)| {
            let behind = match &slice.after {
                None => true,
                Some(Cursor { seconds, id: None }) => second >= seconds,
                Some(Cursor {
                    seconds,
                    id: Some(after),
                }) => second > seconds || (second == seconds && id(*number) > *after),
            };
            let before_id = slice.id_to.as_ref().is_none_or(|to| id(*number) <= *to);
            behind && *second <= slice.to && before_id
        })
        .collect();
    let visible = matching
        .iter()
        .take(ask.limit as usize)
        .filter(|(_, _, visible)| *visible)
        .map(|(second, number, _)| Cursor {
            seconds: *second,
            id: Some(id(*number)),
        })
        .collect();
    (visible, matching.len() as u64)
}

/// Reads all rows up to `hi`; gives the rows and the number of requests. Checks that the window has
/// counted every hidden row.
fn read(table: &SimulatedRows, batch: u32, hi: i64) -> (Vec<Cursor>, u32) {
    let mut window = Window::new(None, batch);
    let mut seen = Vec::new();
    for request in 1..100_000 {
        let Some(ask) = window.next_request(hi) else {
            return (seen, request);
        };
        let (rows, count) = serve(table, &ask);
        let answer = PageSummary {
            rows: u32::try_from(rows.len()).unwrap(),
            last: rows.last().cloned(),
            total: ask.count.then_some(count),
            ..PageSummary::default()
        };
        seen.extend(rows);
        let step = window.apply_page(&ask, hi, answer);
        window.record_good_page();
        match step {
            WindowStep::More => {}
            WindowStep::CaughtUp => {
                let hidden = table.iter().filter(|row| row.0 <= hi && !row.2).count();
                assert_eq!(window.hidden(), hidden as u64);
                return (seen, request);
            }
            WindowStep::Stuck => panic!("stuck"),
        }
    }
    panic!("no end");
}

/// As [`read`], of an instance behind a gateway where nothing counts from the request `from` on.
fn read_uncounted(table: &SimulatedRows, batch: u32, hi: i64, from: u32) -> (Vec<Cursor>, u32) {
    let mut window = Window::new(None, batch);
    let mut seen = Vec::new();
    for request in 1..100_000 {
        let ask = window.next_request(hi).unwrap();
        let (rows, count) = serve(table, &ask);
        let answer = PageSummary {
            rows: u32::try_from(rows.len()).unwrap(),
            last: rows.last().cloned(),
            total: (ask.count && request < from).then_some(count),
            ..PageSummary::default()
        };
        seen.extend(rows);
        let step = window.apply_page(&ask, hi, answer);
        window.record_good_page();
        match step {
            WindowStep::More => {}
            WindowStep::CaughtUp => {
                assert_eq!(window.cursor(), seen.last(), "it stays at the last row");
                assert!(window.page_size() <= batch);
                return (seen, request);
            }
            WindowStep::Stuck => panic!("stuck"),
        }
    }
    panic!("no end");
}

#[test]
fn where_nothing_counts_an_empty_page_is_the_end() {
    let table: SimulatedRows = (0..7).map(|number| (10, number, true)).collect();
    let (seen, requests) = read_uncounted(&table, 5, 20, 0);
    // Five rows, two, none, and none on pages of 10, 20, 40 ... 81,920 and 100,000 rows.
    assert_eq!((seen, requests), (visible(&table), 18));
}

/// Sizes of the pages of one round of a table without further rows, where nothing counts. Pages of more
/// than `works` rows fail, and end the round like the poller does.
fn uncounted_round(window: &mut Window, now: Instant, works: u32) -> Vec<u32> {
    let mut sizes = Vec::new();
    for _ in 0..10 {
        window.begin_round(now);
        while let Some(ask) = window.next_request(20) {
            sizes.push(ask.limit);
            if ask.limit > works {
                window.shrink();
                break;
            }
            let step = window.apply_page(&ask, 20, PageSummary::default());
            window.record_good_page();
            if step == WindowStep::CaughtUp {
                return sizes;
            }
        }
    }
    panic!("no end: {sizes:?}");
}

/// Brings one row of second `seconds`.
fn bring_row(window: &mut Window, seconds: i64) {
    let ask = window.next_request(20).unwrap();
    let row = PageSummary {
        rows: 1,
        last: Some(Cursor {
            seconds,
            id: Some(id(1)),
        }),
        ..PageSummary::default()
    };
    assert_eq!(window.apply_page(&ask, 20, row), WindowStep::More);
}

#[test]
fn a_page_that_is_too_large_to_come_ends_the_look_with_the_largest_that_came() {
    let mut window = Window::new(None, 1000);
    let sizes = uncounted_round(&mut window, Instant::now(), 3000);
    assert_eq!(sizes, [1000, 2000, 4000, 2000]);
    assert_eq!(window.uncounted_end(), Some(2000));
    assert_eq!(window.page_size(), 1000);
    // Also where less than a usual page comes.
    let mut window = Window::new(None, 1000);
    let sizes = uncounted_round(&mut window, Instant::now(), 600);
    assert_eq!(sizes, [1000, 500, 1000, 500]);
    assert_eq!(window.page_size(), 500);
}

#[test]
fn where_nothing_counts_an_idle_table_costs_one_request_most_of_the_time() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut window = Window::new(None, 50_000);
    assert_eq!(uncounted_round(&mut window, at(0), u32::MAX).len(), 2);
    for seconds in [1, 30, 599] {
        let sizes = uncounted_round(&mut window, at(seconds), u32::MAX);
        assert_eq!(sizes, [50_000], "after {seconds} s");
    }
    assert_eq!(uncounted_round(&mut window, at(600), u32::MAX).len(), 2);
    // Rows that came let it look sooner, but not behind each of them.
    for (seconds, requests) in [(601, 1), (602, 1), (660, 2), (661, 1), (719, 1), (720, 2)] {
        bring_row(&mut window, 10);
        let sizes = uncounted_round(&mut window, at(seconds), u32::MAX);
        assert_eq!(sizes.len(), requests, "after {seconds} s");
    }
    // A count leaves nothing of it.
    let ask = window.next_request(20).unwrap();
    let counted = PageSummary {
        total: Some(0),
        ..PageSummary::default()
    };
    assert_eq!(window.apply_page(&ask, 20, counted), WindowStep::CaughtUp);
    assert_eq!(window.uncounted_end(), None);
}

#[test]
fn rows_behind_many_hidden_ones_do_not_keep_the_page_large() {
    let mut window = Window::new(None, 10);
    for limit in [10, 20, 40] {
        let ask = window.next_request(20).unwrap();
        assert_eq!(ask.limit, limit);
        let step = window.apply_page(&ask, 20, PageSummary::default());
        assert_eq!(step, WindowStep::More);
    }
    bring_row(&mut window, 10);
    assert_eq!(window.page_size(), 10);
}

#[test]
fn where_nothing_counts_no_run_within_the_largest_page_is_the_end() {
    let mut table: SimulatedRows = (0..500).map(|number| (10, number, false)).collect();
    table.extend((500..503).map(|number| (11, number, true)));
    table.extend((503..900).map(|number| (12, number, false)));
    table.push((13, 900, true));
    for from in 0..12 {
        assert_eq!(read_uncounted(&table, 10, 20, from).0, visible(&table));
    }
}

fn visible(table: &SimulatedRows) -> Vec<Cursor> {
    table
        .iter()
        .filter(|row| row.2)
        .map(|(second, number, _)| Cursor {
            seconds: *second,
            id: Some(id(*number)),
        })
        .collect()
}

#[test]
fn a_second_that_fills_many_pages_is_read_to_its_end() {
    let table: SimulatedRows = (0..12_000).map(|n| (1_700_000_000, n, true)).collect();
    let (rows, requests) = read(&table, 1000, 1_700_000_100);
    assert_eq!(rows, visible(&table));
    assert_eq!(
        requests, 12,
        "the count tells that the last full page is the last"
    );
}

#[test]
fn hidden_rows_in_one_second_are_passed() {
    let mut table: SimulatedRows = (0..500)
        .map(|n: i64| (1_700_000_000 + n, u128::from(n.unsigned_abs()), true))
        .collect();
    let spread = u128::MAX / 4000;
    table.extend((0..4000).map(|n| (1_700_000_600, n * spread, false)));
    table.extend((0..300).map(|n| (1_700_000_700, n, true)));
    let (rows, requests) = read(&table, 1000, 1_700_001_000);
    assert_eq!(rows, visible(&table));
    assert!(requests < 60, "{requests} requests");
}

#[test]
fn hidden_rows_over_years_are_passed() {
    let mut table: SimulatedRows = (0..50_000)
        .map(|n: i64| {
            (
                1_500_000_000 + 2000 * n,
                u128::from(n.unsigned_abs()),
                false,
            )
        })
        .collect();
    table.push((1_700_000_000, 7, true));
    table.sort_unstable();
    let (rows, requests) = read(&table, 1000, 1_700_001_000);
    assert_eq!(rows, visible(&table));
    assert!(requests < 400, "{requests} requests");
}

#[test]
fn an_idle_table_costs_one_request_and_keeps_the_cursor() {
    let cursor = Cursor {
        seconds: 100,
        id: Some(id(1)),
    };
    let mut window = Window::new(Some(cursor.clone()), 1000);
    let ask = window.next_request(200).unwrap();
    assert!(ask.count);
    let none = PageSummary {
        total: Some(0),
        ..PageSummary::default()
    };
    assert_eq!(window.apply_page(&ask, 200, none), WindowStep::CaughtUp);
    assert_eq!(window.cursor(), Some(&cursor));
    assert_eq!(
        window.next_request(99),
        None,
        "the cursor is ahead of the bound"
    );
}

#[test]
fn counting_stops_while_much_is_left() {
    let mut window = Window::new(None, 10);
    let ask = window.next_request(200).unwrap();
    let page = |n| PageSummary {
        rows: 10,
        last: Some(Cursor {
            seconds: n,
            id: Some(id(1)),
        }),
        ..PageSummary::default()
    };
    assert_eq!(
        window.apply_page(
            &ask,
            200,
            PageSummary {
                total: Some(35),
                ..page(1)
            }
        ),
        WindowStep::More
    );
    let ask = window.next_request(200).unwrap();
    assert!(!ask.count, "25 rows are left");
    assert_eq!(window.apply_page(&ask, 200, page(2)), WindowStep::More);
    let ask = window.next_request(200).unwrap();
    assert!(!ask.count, "15 rows are left");
    assert_eq!(window.apply_page(&ask, 200, page(3)), WindowStep::More);
    assert!(window.next_request(200).unwrap().count, "5 rows are left");
}

#[test]
fn a_page_of_rows_already_read_grows_the_page() {
    let mut window = Window::new(
        Some(Cursor {
            seconds: 100,
            id: Some(id(1)),
        }),
        10,
    );
    let ask = window.next_request(200).unwrap();
    let old = PageSummary {
        rows: 10,
        total: Some(40),
        ..PageSummary::default()
    };
    assert_eq!(window.apply_page(&ask, 200, old), WindowStep::More);
    assert_eq!(window.page_size(), 20);
}

#[test]
fn a_grown_page_stays_until_it_has_brought_something() {
    let mut window = Window::new(
        Some(Cursor {
            seconds: 100,
            id: Some(id(1)),
        }),
        10,
    );
    for _ in 0..50 {
        window.record_good_page();
    }
    for size in [20, 40, 80] {
        let ask = window.next_request(200).unwrap();
        let old = PageSummary {
            rows: ask.limit,
            total: Some(1_000),
            ..PageSummary::default()
        };
        assert_eq!(window.apply_page(&ask, 200, old), WindowStep::More);
        window.record_good_page();
        assert_eq!(window.page_size(), size);
    }
    for _ in 0..4 {
        window.record_good_page();
    }
    assert_eq!(window.page_size(), 10);
}

#[test]
fn pages_shrink_and_grow_back() {
    let mut window = Window::new(None, 1000);
    for _ in 0..20 {
        window.shrink();
    }
    assert_eq!(window.page_size(), 1);
    for _ in 0..100 {
        window.record_good_page();
    }
    assert_eq!(window.page_size(), 1000);
}

proptest! {
    #[test]
    fn every_visible_row_is_read_once_and_in_order(
        rows in prop::collection::vec((0_i64..40, 0_u128..60, prop::bool::weighted(0.4)), 0..300),
        batch in 1_u32..30,
        base in prop_oneof![Just(0_i64), Just(1_700_000_000)],
        scale in prop_oneof![Just(1_u128), Just(u128::MAX / 64)],
    ) {
        let mut table: SimulatedRows =
            rows.into_iter().map(|(s, n, v)| (base + s, n * scale, v)).collect();
        table.sort_unstable();
        table.dedup_by_key(|row| (row.0, row.1));
        let (rows, _) = read(&table, batch, base + 100);
        prop_assert_eq!(rows, visible(&table));
    }
}
