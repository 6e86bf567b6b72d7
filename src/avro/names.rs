//! Names that Avro allows: a letter or `_` first, then letters, digits and `_` (Avro 1.12, "Names").

use std::collections::HashSet;

/// Whether Avro allows `name`.
pub(super) fn is_legal(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `name` with each letter that Avro does not allow replaced by `_`.
pub(super) fn mangled(name: &str) -> String {
    let mut legal: String = name
        .chars()
        .map(|letter| if is_plain(letter) { letter } else { '_' })
        .collect();
    if !legal.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        legal.insert(0, '_');
    }
    legal
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Gives each column of a record a field name of its own.
#[derive(Debug, Default)]
pub(super) struct FieldNamer {
    taken: HashSet<String>,
}

impl FieldNamer {
    /// `names` are taken from the beginning, so that no changed name becomes equal to one of them.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> FieldNamer {
        FieldNamer {
            taken: names.into_iter().map(str::to_owned).collect(),
        }
    }

    /// A name that Avro allows, as like `column` as possible, that no other field has.
    pub(super) fn name(&mut self, column: &str) -> String {
        let base = mangled(column);
        let mut name = base.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_legal_and_stay_apart() {
        for (name, expected) in [
            ("number", "number"),
            ("caller_id.name", "caller_id_name"),
            ("3d", "_3d"),
            ("", "_"),
            ("größe", "gr__e"),
        ] {
            assert_eq!(mangled(name), expected);
            assert!(is_legal(expected));
            assert_eq!(is_legal(name), name == expected, "{name}");
        }
        let mut namer = FieldNamer::new(["a_b"]);
        assert_eq!(namer.name("a.b"), "a_b_2");
        assert_eq!(namer.name("a-b"), "a_b_3");
        assert_eq!(namer.name("c"), "c");
    }
}
