//! Selects the rows of a page.
//!
//! A query that is sorted by (stamp, `sys_id`) or by `sys_id` is answered from the index of that
//! order: each `^NQ` branch narrows the index to one range by binary search. When the branches ask
//! for nothing else, the count is the length of the ranges and the page is a slice. Every other
//! query is evaluated row by row. Both ways give the same answer; a property test holds them to it.

use std::ops::Range;
use std::sync::Arc;

use crate::index::Index;
use crate::query::compile::Compiled;
use crate::query::evaluate::{Compare, Evaluator, Path, Term, Test};
use crate::row::Stored;
use crate::store::TableData;

/// Which part of the matching rows is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) offset: usize,
    pub(crate) limit: usize,
    /// Whether the number of matching rows is asked for.
    pub(crate) count: bool,
}

/// Rows of a page, before access rules hide some (section 2.2, line 118).
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) rows: Vec<Arc<Stored>>,
    /// Matching rows in all, hidden ones too (section 2.4); zero when not asked for.
    pub(crate) total: usize,
}

impl Evaluator<'_> {
    /// Selects a page.
    pub(crate) fn select(&self, table: &TableData, query: &Compiled, window: Window) -> Selection {
        if query.nothing {
            return Selection {
                rows: Vec::new(),
                total: 0,
            };
        }
        if self.options.use_indexes
            && let Some(plan) = Plan::new(table, query)
            && (plan.sorted || window.limit == 0)
        {
            return self.select_indexed(&plan, query, window);
        }
        self.select_evaluated(table, query, window)
    }

    /// Visits every row that the query matches, hidden ones too, in any order.
    pub(crate) fn each(
        &self,
        table: &TableData,
        query: &Compiled,
        mut visit: impl FnMut(&Arc<Stored>),
    ) {
        if query.nothing {
            return;
        }
        let all = table.by_id().rows();
        match Plan::new(table, query).filter(|_| self.options.use_indexes) {
            Some(plan) => {
                for part in &plan.parts {
                    let rows = plan.index.rows().get(part.range.clone());
                    let rows = rows.unwrap_or_default().iter();
                    rows.filter(|row| self.rest(part, query, row))
                        .for_each(&mut visit);
                }
            }
            None => all
                .iter()
                .filter(|row| self.matches(query, row))
                .for_each(visit),
        }
    }

    fn select_indexed(&self, plan: &Plan<'_>, query: &Compiled, window: Window) -> Selection {
        let all = plan.index.rows();
        let slice = |part: &Part<'_>| all.get(part.range.clone()).unwrap_or_default();
        if plan.parts.iter().all(Part::is_exact) {
            let total = plan.parts.iter().map(|part| part.range.len()).sum();
            let rows = plan
                .parts
                .iter()
                .flat_map(slice)
                .skip(window.offset)
                .take(window.limit);
            return Selection {
                rows: rows.cloned().collect(),
                total,
            };
        }
        let matching = plan.parts.iter().flat_map(|part| {
            slice(part)
                .iter()
                .filter(move |row| self.rest(part, query, row))
        });
        let rows: Vec<_> = matching
            .skip(window.offset)
            .take(window.limit)
            .cloned()
            .collect();
        // Without a count the rest of the range is never looked at, as with sysparm_no_count.
        let total = if window.count {
            plan.parts
                .iter()
                .map(|part| self.count(plan.index, part, query))
                .sum()
        } else {
            0
        };
        Selection { rows, total }
    }

    /// Whether a row of the part satisfies the query.
    fn rest(&self, part: &Part<'_>, query: &Compiled, row: &Stored) -> bool {
        match &part.rest {
            Rest::Groups(groups) => self.all(groups.iter().copied(), row),
            Rest::Query => self.matches(query, row),
        }
    }

    /// Matching rows of a part.
    fn count(&self, index: &Index, part: &Part<'_>, query: &Compiled) -> usize {
        let holds = |row: &Stored| self.rest(part, query, row);
        match &part.rest {
            Rest::Groups(groups) if groups.is_empty() => part.range.len(),
            // What depends on this table alone can be remembered until the table changes.
            Rest::Groups(groups) if groups.iter().copied().flatten().all(Term::is_plain) => {
                index.count(format!("{groups:?}"), part.range.clone(), holds)
            }
            Rest::Groups(_) | Rest::Query => {
                let rows = index.rows().get(part.range.clone()).unwrap_or_default();
                rows.iter().filter(|row| holds(row)).count()
            }
        }
    }

    fn select_evaluated(&self, table: &TableData, query: &Compiled, window: Window) -> Selection {
        let mut rows = Vec::new();
        self.each(table, query, |row| rows.push(Arc::clone(row)));
        let total = rows.len();
        // Rows that the order leaves equal come in any order (section 3.1, checklist 22).
        let complete = query.order.iter().any(|(path, _)| path.is_sys_id());
        if self.options.shuffle && !complete {
            fastrand::shuffle(&mut rows);
        }
        self.sort(query, &mut rows);
        let rows = rows
            .into_iter()
            .skip(window.offset)
            .take(window.limit)
            .collect();
        Selection { rows, total }
    }
}

/// How an index answers a query.
struct Plan<'a> {
    index: &'a Index,
    /// Disjoint parts in order.
    parts: Vec<Part<'a>>,
    /// The index has the order that was asked for.
    sorted: bool,
}

/// A range of the index, and what its rows must satisfy beyond being in it.
struct Part<'a> {
    range: Range<usize>,
    rest: Rest<'a>,
}

enum Rest<'a> {
    /// The groups of the one branch that the range comes from.
    Groups(Vec<&'a [Term]>),
    /// The whole query: several branches overlap here.
    Query,
}

impl Part<'_> {
    fn is_exact(&self) -> bool {
        matches!(&self.rest, Rest::Groups(groups) if groups.is_empty())
    }
}

impl<'a> Plan<'a> {
    fn new(table: &'a TableData, query: &'a Compiled) -> Option<Plan<'a>> {
        let (index, sorted) = choose(table, query)?;
        let mut parts = Vec::new();
        for groups in &query.branches {
            let mut narrow = Narrow {
                index,
                stamps: Vec::new(),
                ids: Vec::new(),
            };
            let mut rest: Vec<&[Term]> = Vec::new();
            let mut list = None;
            let mut id_groups: Vec<&[Term]> = Vec::new();
            for group in groups {
                match group.as_slice() {
                    [term]
                        if index.stamp.is_none() && list.is_none() && id_list(term).is_some() =>
                    {
                        list = id_list(term);
                    }
                    [term] if narrow.note(term) => {
                        if term.path.is_sys_id() {
                            id_groups.push(group);
                        }
                    }
                    other => rest.push(other),
                }
            }
            let (range, ids_done) = narrow.range();
            if !ids_done {
                rest.append(&mut id_groups);
            }
            let Some(list) = list else {
                parts.push(Part {
                    range,
                    rest: Rest::Groups(rest),
                });
                continue;
            };
            // The rows of each id that is asked for.
            parts.extend(list.iter().map(|id| {
                let start = index.lower("", id).max(range.start);
                Part {
                    range: start..index.upper("", id).min(range.end).max(start),
                    rest: Rest::Groups(rest.clone()),
                }
            }));
        }
        Some(Plan {
            index,
            parts: merge(parts),
            sorted,
        })
    }
}

/// Finds the index whose order is the query's; without an order, one that narrows.
fn choose<'a>(table: &'a TableData, query: &Compiled) -> Option<(&'a Index, bool)> {
    let is = |index: &Index, path: &Path| index.stamp.is_some_and(|stamp| path.is(stamp));
    let by_stamp = |path: &Path| table.indexes.iter().find(|index| is(index, path));
    let mut branches = query.branches.iter();
    let lists = branches.all(|groups| {
        let mut groups = groups.iter();
        groups.any(|group| matches!(group.as_slice(), [term] if id_list(term).is_some()))
    });
    match query.order.as_slice() {
        [(id, false), ..] if id.is_sys_id() => Some((table.by_id(), true)),
        // Few rows, whatever their order.
        _ if lists => Some((table.by_id(), false)),
        [(stamp, false), (id, false), ..] if id.is_sys_id() => Some((by_stamp(stamp)?, true)),
        [] => {
            let terms = || query.branches.iter().flatten().flatten();
            let stamp = terms().find_map(|term| by_stamp(&term.path));
            let id = || terms().any(|term| term.path.is_sys_id());
            let index = stamp.or_else(|| id().then(|| table.by_id()));
            Some((index?, false))
        }
        _ => None,
    }
}

/// The ids of `sys_idIN`.
fn id_list(term: &Term) -> Option<&[String]> {
    match &term.test {
        Test::In(list, true) if term.path.is_sys_id() => Some(list),
        _ => None,
    }
}

/// Bounds that one branch puts on the index.
struct Narrow<'a> {
    index: &'a Index,
    stamps: Vec<(Compare, &'a str)>,
    ids: Vec<(Compare, &'a str)>,
}

impl<'a> Narrow<'a> {
    /// Takes a term up; false when it is no bound on the index.
    fn note(&mut self, term: &'a Term) -> bool {
        let Test::Text(compare, value) = &term.test else {
            return false;
        };
        if *compare == Compare::NotEqual {
            return false;
        }
        if self.index.stamp.is_some_and(|stamp| term.path.is(stamp)) {
            self.stamps.push((*compare, value));
        } else if term.path.is_sys_id() {
            self.ids.push((*compare, value));
        } else {
            return false;
        }
        true
    }

    /// The range, and whether it does all that the noted terms on ids ask for.
    fn range(&self) -> (Range<usize>, bool) {
        let index = self.index;
        let mut range = 0..index.rows().len();
        let mut cut = |from: usize, to: usize| {
            range.start = range.start.max(from);
            range.end = range.end.min(to);
        };
        let mut fixed = None;
        if index.stamp.is_some() {
            if !self.stamps.is_empty() {
                // An empty stamp is NULL and satisfies no comparison.
                cut(index.stamp_upper(""), usize::MAX);
            }
            for (compare, stamp) in &self.stamps {
                let (lower, upper) = (index.stamp_lower(stamp), index.stamp_upper(stamp));
                let (from, to) = between(*compare, lower, upper);
                cut(from, to);
                if *compare == Compare::Equal {
                    fixed = Some(*stamp);
                }
            }
        } else {
            fixed = Some("");
        }
        // Ids are sorted within one stamp only.
        let mut complete = self.ids.is_empty();
        if let Some(stamp) = fixed {
            complete = true;
            for (compare, id) in &self.ids {
                let (from, to) = between(*compare, index.lower(stamp, id), index.upper(stamp, id));
                cut(from, to);
            }
        }
        range.end = range.end.max(range.start);
        (range, complete)
    }
}

/// The part of an index that a comparison leaves, given where the value's equals are.
fn between(compare: Compare, lower: usize, upper: usize) -> (usize, usize) {
    match compare {
        Compare::Equal => (lower, upper),
        Compare::Less => (0, lower),
        Compare::LessOrEqual => (0, upper),
        Compare::Greater => (upper, usize::MAX),
        Compare::GreaterOrEqual => (lower, usize::MAX),
        Compare::NotEqual => (0, usize::MAX),
    }
}

/// Sorts parts and joins those that overlap, so that no row comes twice.
fn merge(mut parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    parts.sort_by_key(|part| (part.range.start, part.range.end));
    let mut merged: Vec<Part<'_>> = Vec::new();
    for part in parts.into_iter().filter(|part| !part.range.is_empty()) {
        match merged.last_mut() {
            Some(last) if part.range.start < last.range.end => {
                if !(last.is_exact() && part.is_exact()) {
                    last.rest = Rest::Query;
                }
                last.range.end = last.range.end.max(part.range.end);
            }
            _ => merged.push(part),
        }
    }
    merged
}
