//! The conditions of a table's encoded query, to compare what the instance counts with and without each.
//! Pure.
//!
//! An instance drops a condition that it does not understand, a misspelled column or operator, and answers
//! with more rows, without an error (ServiceNow documentation, "Table API"). Only the counts tell.

/// Conditions whose parts are no conditions by themselves, so that a query with one is not taken apart.
const INDIVISIBLE: [&str; 2] = ["RLQUERY", "JOIN"];

/// A query in its branches (`^NQ`), each a list of conditions of which all must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueryTerms<'q> {
    branches: Vec<Vec<QueryTerm<'q>>>,
}

/// A condition with its alternatives (`^OR`), of which one must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueryTerm<'q> {
    alternatives: Vec<&'q str>,
}

impl<'q> QueryTerms<'q> {
    /// Takes a query apart; `None`: it holds conditions that cannot be.
    pub(super) fn of(query: &'q str) -> Option<QueryTerms<'q>> {
        let mut branches: Vec<Vec<QueryTerm<'q>>> = vec![Vec::new()];
        for item in query
            .split('^')
            .filter(|item| !item.is_empty() && *item != "EQ")
        {
            if INDIVISIBLE.iter().any(|word| item.starts_with(word)) {
                return None;
            }
            if let Some(item) = item.strip_prefix("NQ") {
                branches.push(vec![QueryTerm::of(item)]);
                continue;
            }
            let branch = branches.last_mut()?;
            match (item.strip_prefix("OR"), branch.last_mut()) {
                (Some(item), Some(term)) => term.alternatives.push(item),
                _ => branch.push(QueryTerm::of(item)),
            }
        }
        Some(QueryTerms { branches })
    }

    /// Each condition, and the query without it; `None`: then nothing is left that narrows the table.
    pub(super) fn each_without(&self) -> Vec<(&QueryTerm<'q>, Option<String>)> {
        let mut list = Vec::new();
        for (at, branch) in self.branches.iter().enumerate() {
            for (term_at, term) in branch.iter().enumerate() {
                let mut rest = self.branches.clone();
                let mut is_empty = false;
                if let Some(branch) = rest.get_mut(at) {
                    branch.remove(term_at);
                    is_empty = branch.is_empty();
                }
                // One branch without a condition finds all rows, whatever the others say.
                list.push((term, (!is_empty).then(|| text_of(&rest))));
            }
        }
        list
    }

    /// The columns of all conditions, each once.
    pub(super) fn columns(&self) -> Vec<&'q str> {
        let mut columns: Vec<&str> = Vec::new();
        let terms = self.branches.iter().flatten();
        for column in terms.flat_map(QueryTerm::columns) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }
}

impl<'q> QueryTerm<'q> {
    fn of(item: &'q str) -> QueryTerm<'q> {
        QueryTerm {
            alternatives: vec![item],
        }
    }

    /// As it stands in the query.
    pub(super) fn text(&self) -> String {
        self.alternatives.join("^OR")
    }

    /// The columns that it names. An operator begins at the first character that no column has.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'q str> {
        let is_of_column =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
        let columns = self.alternatives.iter();
        columns.filter_map(move |item| {
            let end = item.find(|c| !is_of_column(c)).unwrap_or(item.len());
            let column = item.get(..end)?;
            column
                .starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
                .then_some(column)
        })
    }
}

fn text_of(branches: &[Vec<QueryTerm<'_>>]) -> String {
    let branch = |terms: &Vec<QueryTerm<'_>>| {
        let terms: Vec<String> = terms.iter().map(QueryTerm::text).collect();
        terms.join("^")
    };
    let branches: Vec<String> = branches.iter().map(branch).collect();
    branches.join("^NQ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_and_the_query_without_it() {
        let without = |query: &str| {
            let terms = QueryTerms::of(query).unwrap();
            let each = terms.each_without().into_iter();
            each.map(|(term, rest)| (term.text(), rest.unwrap_or_else(|| "*".to_owned())))
                .collect::<Vec<_>>()
        };
        let pair = |term: &str, rest: &str| (term.to_owned(), rest.to_owned());
        assert_eq!(without("a=1"), [pair("a=1", "*")]);
        assert_eq!(
            without("a=1^b=2^ORc=3^EQ"),
            [pair("a=1", "b=2^ORc=3"), pair("b=2^ORc=3", "a=1")]
        );
        assert_eq!(
            without("a=1^b=2^NQc=3"),
            [
                pair("a=1", "b=2^NQc=3"),
                pair("b=2", "a=1^NQc=3"),
                pair("c=3", "*")
            ]
        );
        assert_eq!(QueryTerms::of("a=1^RLQUERYt.x,>=1^ENDRLQUERY"), None);
    }

    #[test]
    fn columns_end_where_the_operator_begins() {
        let terms = QueryTerms::of(
            "active=true^install_statusNOT IN100^ORcaller_id.nameISEMPTY^active=false^123TEXTQUERY321=x",
        );
        assert_eq!(
            terms.unwrap().columns(),
            ["active", "install_status", "caller_id.name"]
        );
    }
}
