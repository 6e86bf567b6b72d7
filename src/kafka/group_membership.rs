//! Who a consumer is in its group.

/// The group, and the name of the member in it. A member with a name is static (KIP-345): when it stops
/// it leaves its partitions with the group, and its next start gets them back at once; only when its
/// session time-out is over do they go to other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMembership {
    /// `group.id`.
    pub group_id: String,
    /// `group.instance.id`. Of two consumers with the same one, Kafka fences the older.
    pub instance_id: String,
}
