//! The types of a writer's schema, as reading needs them.

/// Most digits behind the point of a decimal.
pub(in crate::avro::decode) const MAX_DECIMAL_SCALE: usize = 100;

/// A type. It names the types in it by their indices in the list of the schema.
#[derive(Debug, Clone)]
pub(in crate::avro::decode) enum TypeNode {
    Null,
    Boolean,
    /// `long`, and `int`, whose bytes are the same.
    Long,
    Float,
    Double,
    String,
    /// `bytes`, or `fixed` with its size.
    Bytes(Option<usize>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<PlanField>),
    Enum(Vec<String>),
    Decimal {
        /// The size of a `fixed`; `None` for `bytes`.
        size: Option<usize>,
        /// Digits behind the point.
        scale: usize,
    },
    BigDecimal,
    /// A UUID in `fixed`, or in `bytes` if there are 16.
    Uuid(Option<usize>),
    Date,
    /// A time of day in units of which a second has so many.
    Time(i64),
    /// A time since 1970 in units of which a second has so many.
    Timestamp(i64),
    Duration,
    /// The type at this index: stands where a name is used before it is defined.
    Alias(usize),
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(in crate::avro::decode) struct PlanField {
    /// The name of the column it holds.
    pub(in crate::avro::decode) name: String,
    /// The index of its type.
    pub(in crate::avro::decode) node: usize,
    /// Whether it is the field of this bridge for texts of values that did not fit their types.
    pub(in crate::avro::decode) is_raw: bool,
}
