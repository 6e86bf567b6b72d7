//! What became of rows that were not seen where they were expected: pure but for the questions, which
//! the caller asks.
//!
//! A count tells more than the rows do: it includes rows that access rules hide (Table API,
//! `X-Total-Count`; Aggregate API). So a row that is counted and not shown is there, and only one that is
//! not even counted is gone.

use std::collections::HashSet;

use super::id_query::can_be_asked_for;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::source::capture) enum RowFate {
    /// The table shows it, and the query finds it.
    Present,
    /// Neither the table nor the one at the root of its hierarchy has it.
    Deleted,
    /// It is there, but outside of the query.
    Left,
    /// It is in another table of the hierarchy: its class was changed.
    ClassChanged,
    /// It is counted and not shown: access rules hide it.
    Hidden,
    /// Nothing counts the rows, so nothing can be said.
    Unknown,
}

/// Where rows are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::capture) enum Place {
    /// The table, whatever its query.
    Table,
    /// What the table's query finds.
    Query,
    /// The table at the root of the hierarchy.
    Root,
}

/// The answer to a question for some rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::source::capture) struct Sighting {
    /// Rows that were shown.
    pub(in crate::source::capture) shown: HashSet<String>,
    /// How many there are, those that are hidden included; `None`: nothing counts.
    pub(in crate::source::capture) counted: Option<u64>,
}

/// What there is to ask beside the table itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::source::capture) struct Places {
    /// The table has a query.
    pub(in crate::source::capture) has_query: bool,
    /// The table is not the root of its hierarchy.
    pub(in crate::source::capture) has_root: bool,
}

/// Finds out what became of each of `ids`. `ask` answers for some rows at a place.
///
/// # Errors
/// A question failed.
pub(in crate::source::capture) fn fates<E>(
    ids: &[String],
    places: Places,
    mut ask: impl FnMut(Place, &[String]) -> Result<Sighting, E>,
) -> Result<Vec<(String, RowFate)>, E> {
    let mut found = Vec::with_capacity(ids.len());
    let (ids, unaskable): (Vec<String>, Vec<String>) =
        ids.iter().cloned().partition(|id| can_be_asked_for(id));
    let table = presence(&ids, Place::Table, &mut ask)?;
    let with = |all: &[(String, Presence)], wanted: Presence| -> Vec<String> {
        let such = all.iter().filter(|(_, presence)| *presence == wanted);
        such.map(|(id, _)| id.clone()).collect()
    };
    let mut note = |ids: Vec<String>, fate: RowFate| {
        found.extend(ids.into_iter().map(|id| (id, fate)));
    };
    // Such a row can be in no query, so it is left alone.
    note(unaskable, RowFate::Hidden);
    note(with(&table, Presence::Hidden), RowFate::Hidden);
    note(with(&table, Presence::Unknown), RowFate::Unknown);
    let shown = with(&table, Presence::Shown);
    if places.has_query && !shown.is_empty() {
        let inside = ask(Place::Query, &shown)?.shown;
        let (inside, outside) = shown.into_iter().partition(|id| inside.contains(id));
        note(inside, RowFate::Present);
        note(outside, RowFate::Left);
    } else {
        note(shown, RowFate::Present);
    }
    let gone = with(&table, Presence::Absent);
    if places.has_root && !gone.is_empty() {
        let root = presence(&gone, Place::Root, &mut ask)?;
        note(with(&root, Presence::Shown), RowFate::ClassChanged);
        note(with(&root, Presence::Hidden), RowFate::Hidden);
        note(with(&root, Presence::Absent), RowFate::Deleted);
        note(with(&root, Presence::Unknown), RowFate::Unknown);
    } else {
        note(gone, RowFate::Deleted);
    }
    Ok(found)
}

/// Whether a row is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Shown,
    Absent,
    Hidden,
    Unknown,
}

/// Halves a group of rows of which some are hidden and some are not there, until it is known which.
fn presence<E>(
    ids: &[String],
    place: Place,
    ask: &mut impl FnMut(Place, &[String]) -> Result<Sighting, E>,
) -> Result<Vec<(String, Presence)>, E> {
    let mut known = Vec::with_capacity(ids.len());
    let mut groups = vec![ids.to_vec()];
    while let Some(group) = groups.pop() {
        if group.is_empty() {
            continue;
        }
        let Sighting { shown, counted } = ask(place, &group)?;
        let (seen, mut missing): (Vec<String>, Vec<String>) =
            group.into_iter().partition(|id| shown.contains(id));
        let hidden = counted.map(|counted| counted.saturating_sub(seen.len() as u64));
        known.extend(seen.into_iter().map(|id| (id, Presence::Shown)));
        let same = match hidden {
            None => Presence::Unknown,
            Some(0) => Presence::Absent,
            Some(hidden) if hidden >= missing.len() as u64 => Presence::Hidden,
            Some(_) => {
                let half = missing.split_off(missing.len() / 2);
                groups.extend([missing, half]);
                continue;
            }
        };
        known.extend(missing.into_iter().map(|id| (id, same)));
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;

    /// Rows by the letter their identifier begins with: p present, o outside of the query, h hidden,
    /// c of another class, H of another class and hidden, d deleted.
    fn answer(place: Place, ids: &[String]) -> Sighting {
        let (shown, counted) = match place {
            Place::Table => ("po", "poh"),
            Place::Query => ("p", "p"),
            Place::Root => ("poc", "pochH"),
        };
        let among = |letters: &str| {
            let is_such = |id: &&String| id.chars().next().is_some_and(|it| letters.contains(it));
            ids.iter().filter(is_such).cloned().collect::<HashSet<_>>()
        };
        Sighting {
            shown: among(shown),
            counted: Some(among(counted).len() as u64),
        }
    }

    fn ids(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn judged(texts: &[&str], places: Places) -> BTreeMap<String, RowFate> {
        let ask = |place, ids: &[String]| Ok::<_, Infallible>(answer(place, ids));
        let Ok(found) = fates(&ids(texts), places, ask);
        assert_eq!(found.len(), texts.len());
        found.into_iter().collect()
    }

    #[test]
    fn every_fate_is_told_apart() {
        let places = Places {
            has_query: true,
            has_root: true,
        };
        let all = [
            "p1", "o1", "h1", "c1", "H1", "d1", "d2", "h2", "p2", "d3", "h3",
        ];
        for (id, fate) in judged(&all, places) {
            let expected = match id.chars().next() {
                Some('p') => RowFate::Present,
                Some('o') => RowFate::Left,
                Some('h' | 'H') => RowFate::Hidden,
                Some('c') => RowFate::ClassChanged,
                _ => RowFate::Deleted,
            };
            assert_eq!(fate, expected, "{id}");
        }
        let alone = Places {
            has_query: false,
            has_root: false,
        };
        assert_eq!(
            judged(&["o1", "c1"], alone),
            BTreeMap::from([
                ("o1".to_owned(), RowFate::Present),
                ("c1".to_owned(), RowFate::Deleted),
            ])
        );
        assert_eq!(judged(&[], places), BTreeMap::new());
    }

    #[test]
    fn nothing_is_deleted_where_nothing_counts() {
        let places = Places {
            has_query: true,
            has_root: true,
        };
        let ask = |place, ids: &[String]| {
            Ok::<_, Infallible>(Sighting {
                counted: None,
                ..answer(place, ids)
            })
        };
        let Ok(found) = fates(&ids(&["d1", "h1", "p1"]), places, ask);
        let comma = fates(&ids(&["d,1"]), places, |place, ids| {
            Ok::<_, Infallible>(answer(place, ids))
        });
        assert_eq!(comma, Ok(vec![("d,1".to_owned(), RowFate::Hidden)]));
        let deleted = found.iter().filter(|(_, fate)| *fate == RowFate::Deleted);
        assert_eq!(deleted.count(), 0);
        assert!(found.contains(&("p1".to_owned(), RowFate::Present)));
        assert!(found.contains(&("d1".to_owned(), RowFate::Unknown)));
    }

    #[test]
    fn a_hundred_deleted_rows_are_one_question_at_each_place() {
        let all: Vec<String> = (0..100).map(|n| format!("d{n}")).collect();
        let mut asked = 0;
        let places = Places {
            has_query: true,
            has_root: true,
        };
        let Ok(found) = fates(&all, places, |place, ids| {
            asked += 1;
            Ok::<_, Infallible>(answer(place, ids))
        });
        assert_eq!((asked, found.len()), (2, 100));
    }
}
