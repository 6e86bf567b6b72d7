//! Encoded queries (servicenow_api.md section 3).
//!
//! [`parse`] reads the text, `compile` binds it to a table, `evaluate` decides about one row, and
//! `plan` answers sorted queries from an index.

pub(crate) mod compile;
pub(crate) mod evaluate;
pub(crate) mod plan;
pub(crate) mod script;

/// A parsed query: branches are alternatives, the order is global.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) branches: Vec<Branch>,
    pub(crate) order: Vec<Order>,
}

/// Groups of which all must hold; a group holds if one of its conditions does.
pub(crate) type Branch = Vec<Vec<Condition>>;

/// One sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) field: String,
    pub(crate) descending: bool,
}

/// One condition; `operator` is `None` when it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) field: String,
    pub(crate) operator: Option<Operator>,
    pub(crate) value: String,
}

/// Operators of section 3.1 that the simulator evaluates. Others are unknown terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
    StartsWith,
    EndsWith,
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
    Anything,
    Between,
    SameAs,
    NotSameAs,
    GreaterField,
    LessField,
    GreaterOrEqualField,
    LessOrEqualField,
    On,
    NotOn,
    RelativeGreater,
    RelativeGreaterOrEqual,
    RelativeLess,
    RelativeLessOrEqual,
    RelativeEqual,
    InstanceOf,
}

/// Longest spelling first, so that `INSTANCEOF` is not `IN` and `>=` is not `>` (section 3.1,
/// line 180).
const OPERATORS: &[(&str, Option<Operator>)] = &[
    ("GT_OR_EQUALS_FIELD", Some(Operator::GreaterOrEqualField)),
    ("LT_OR_EQUALS_FIELD", Some(Operator::LessOrEqualField)),
    ("IN_HIERARCHY", None),
    ("VALCHANGES", None),
    ("CHANGESFROM", None),
    ("CHANGESTO", None),
    ("EMPTYSTRING", Some(Operator::IsEmpty)),
    ("ISNOTEMPTY", Some(Operator::IsNotEmpty)),
    ("INSTANCEOF", Some(Operator::InstanceOf)),
    ("RELATIVEGT", Some(Operator::RelativeGreater)),
    ("RELATIVEGE", Some(Operator::RelativeGreaterOrEqual)),
    ("RELATIVELT", Some(Operator::RelativeLess)),
    ("RELATIVELE", Some(Operator::RelativeLessOrEqual)),
    ("RELATIVEEE", Some(Operator::RelativeEqual)),
    ("STARTSWITH", Some(Operator::StartsWith)),
    ("ENDSWITH", Some(Operator::EndsWith)),
    ("CONTAINS", Some(Operator::Like)),
    ("ANYTHING", Some(Operator::Anything)),
    ("NOT LIKE", Some(Operator::NotLike)),
    ("GT_FIELD", Some(Operator::GreaterField)),
    ("LT_FIELD", Some(Operator::LessField)),
    ("DATEPART", None),
    ("MORETHAN", None),
    ("LESSTHAN", None),
    ("NOTLIKE", Some(Operator::NotLike)),
    ("ISEMPTY", Some(Operator::IsEmpty)),
    ("BETWEEN", Some(Operator::Between)),
    ("NSAMEAS", Some(Operator::NotSameAs)),
    ("DYNAMIC", None),
    ("SAMEAS", Some(Operator::SameAs)),
    ("NOT IN", Some(Operator::NotIn)),
    ("NOTON", Some(Operator::NotOn)),
    ("LIKE", Some(Operator::Like)),
    ("IN", Some(Operator::In)),
    ("ON", Some(Operator::On)),
    ("!=", Some(Operator::NotEqual)),
    ("!*", Some(Operator::NotLike)),
    ("<=", Some(Operator::LessOrEqual)),
    (">=", Some(Operator::GreaterOrEqual)),
    ("=", Some(Operator::Equal)),
    ("<", Some(Operator::Less)),
    (">", Some(Operator::Greater)),
    ("*", Some(Operator::Like)),
    ("%", Some(Operator::EndsWith)),
];

/// Reads an encoded query. Nothing is an error: what cannot be read becomes a condition without an
/// operator (section 3.5).
pub(crate) fn parse(text: &str, double_caret: bool) -> Query {
    let mut query = Query::default();
    let mut branch: Branch = Vec::new();
    for item in split(text, double_caret) {
        let mut item = item.as_str();
        if let Some(rest) = item.strip_prefix("NQ") {
            query.branches.push(std::mem::take(&mut branch));
            item = rest;
        }
        if item.is_empty() || item == "EQ" {
            // `^EQ` ends a query and means nothing (section 3.1).
        } else if let Some(field) = item.strip_prefix("ORDERBYDESC") {
            query.order.push(Order {
                field: field.to_owned(),
                descending: true,
            });
        } else if let Some(field) = item.strip_prefix("ORDERBY") {
            query.order.push(Order {
                field: field.to_owned(),
                descending: false,
            });
        } else if let Some(rest) = item.strip_prefix("OR") {
            // `^OR` binds to the condition just before it, and to nothing else (section 3.1).
            match branch.last_mut() {
                Some(group) => group.push(condition(rest)),
                None => branch.push(vec![condition(rest)]),
            }
        } else {
            branch.push(vec![condition(item)]);
        }
    }
    query.branches.push(branch);
    query
}

/// Splits at carets. There is no escape, unless the switch makes `^^` one (section 3.2).
fn split(text: &str, double_caret: bool) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        let escaped = char == '^' && double_caret && rest.peek() == Some(&'^');
        if escaped {
            rest.next();
        }
        if char == '^' && !escaped {
            items.push(String::new());
        } else if let Some(item) = items.last_mut() {
            item.push(char);
        }
    }
    items
}

/// Reads one condition: lower-case column, operator, value.
fn condition(text: &str) -> Condition {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (field, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    for (spelling, operator) in OPERATORS {
        if let Some(value) = rest.strip_prefix(spelling) {
            return Condition {
                field: field.to_owned(),
                operator: *operator,
                value: value.to_owned(),
            };
        }
    }
    Condition {
        field: field.to_owned(),
        operator: None,
        value: rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<Vec<Vec<String>>> {
        let name = |c: &Condition| format!("{}{:?}{}", c.field, c.operator.unwrap(), c.value);
        let query = parse(text, false);
        let groups = |b: &Branch| b.iter().map(|g| g.iter().map(name).collect()).collect();
        query.branches.iter().map(groups).collect()
    }

    #[test]
    fn or_binds_to_the_condition_before_it() {
        assert_eq!(
            shape("a=1^b=2^ORc=3^d=4"),
            [[vec!["aEqual1"], vec!["bEqual2", "cEqual3"], vec!["dEqual4"]]]
        );
        assert_eq!(
            shape("a=1^ORb=2^ORc=3"),
            [[["aEqual1", "bEqual2", "cEqual3"]]]
        );
        assert_eq!(shape("a=1^NQb=2^EQ"), [[["aEqual1"]], [["bEqual2"]]]);
    }

    #[test]
    fn the_longest_operator_wins() {
        for (text, operator, value) in [
            ("aINSTANCEOFtask", Operator::InstanceOf, "task"),
            ("aIN1,2", Operator::In, "1,2"),
            ("aNOT IN1", Operator::NotIn, "1"),
            ("aNOTLIKEx", Operator::NotLike, "x"),
            ("aNOT LIKEx", Operator::NotLike, "x"),
            ("aISNOTEMPTY", Operator::IsNotEmpty, ""),
            ("aISEMPTY", Operator::IsEmpty, ""),
            ("a>=1", Operator::GreaterOrEqual, "1"),
            ("a!=1", Operator::NotEqual, "1"),
            ("a%x", Operator::EndsWith, "x"),
            ("aONToday@a@b", Operator::On, "Today@a@b"),
        ] {
            let read = condition(text);
            assert_eq!(
                (read.operator, read.value.as_str()),
                (Some(operator), value),
                "{text}"
            );
        }
        assert_eq!(condition("aFOO1").operator, None);
        assert_eq!(condition("123TEXTQUERY321=x").operator, None);
    }

    #[test]
    fn carets_split_unless_switched() {
        assert_eq!(parse("a=x^^y", true).branches, [[[condition("a=x^y")]]]);
        assert_eq!(parse("a=x^^b=y", false).branches[0].len(), 2);
    }
}
