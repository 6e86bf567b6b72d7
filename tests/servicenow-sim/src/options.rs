//! Switches of the simulated instance.
//!
//! Each open point of servicenow_api.md section 12 is a switch here, with the default that the
//! section names.

use std::time::Duration;

/// How a simulated instance behaves. `Options::default()` is what most tests want.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 picks a free one.
    pub addr: String,
    /// Users who may sign in; the first one is the integration user.
    pub users: Vec<User>,
    /// OAuth clients of `/oauth_token.do`.
    pub oauth_clients: Vec<OAuthClient>,
    /// Life of an access token (section 1.4: 1800 s).
    pub token_life: Duration,
    /// `expires_in` is this much less than the remaining life (section 1.4: captures show 1799).
    pub expires_in_less: u64,
    /// Accepted `x-sn-apikey`; `None` answers 401 (section 1.5).
    pub api_key: Option<String>,
    /// Time zone of plain date literals in queries (section 3.4).
    pub literal_tz: LiteralTz,
    /// IANA zone of every user, also `sys_user.time_zone`.
    pub user_zone: String,
    /// Date format of every user's display values.
    pub user_date_format: String,
    /// Seconds the instance's clock is ahead of this machine's.
    pub skew_seconds: i64,
    /// Extra seconds of each node's clock; each request goes to one of the nodes, and its `Date` and the
    /// stamps of what it writes are that node's (checklist 34; section 11.6).
    pub node_skews: Vec<i64>,
    /// Extra seconds of the clocks of the nodes where other users change rows: each change through the
    /// handle is stamped by one of them (section 11.6).
    pub writer_skews: Vec<i64>,
    /// Which node is next.
    pub node_order: NodeOrder,
    /// Answers without a complete order come shuffled (section 3.1, checklist 22).
    pub shuffle: bool,
    /// What `sysparm_no_count=true` does to `X-Total-Count` (section 2.4).
    pub no_count: NoCount,
    /// What an unknown field or operator does (section 3.5).
    pub unknown_term: UnknownTerm,
    /// Text comparisons ignore ASCII case (section 3.1).
    pub case_insensitive: bool,
    /// `!=`, `NOT LIKE` and `NOT IN` match empty values (section 3.1).
    pub not_equal_matches_empty: bool,
    /// `^^` stands for one caret in a value (section 3.2: no, by default).
    pub double_caret: bool,
    /// Detail of the "Invalid table" error; `None` is JSON null (section 2.6).
    pub invalid_table_detail: Option<String>,
    /// Answer with gzip when asked.
    pub gzip: bool,
    /// Longest request target; beyond it 414 with HTML (section 2.6).
    pub max_url: usize,
    /// Longest `Link` header; beyond it "Pagination not supported" (section 2.5).
    pub max_link: usize,
    /// Most connections at a time; more are closed at once.
    pub max_connections: usize,
    /// Requests kept in the log.
    pub log_capacity: usize,
    /// Waiters per session before the surplus gets 202 (section 1.7).
    pub session_waiters: usize,
    /// How long a request waits for its session before it gets 202 (section 1.7).
    pub session_wait: Duration,
    /// Use the indexes; off sends every query through the general evaluator.
    pub use_indexes: bool,
    /// `sys_domain_path` of the rows that users see without `sysparm_query_no_domain=true`; `None`: the
    /// instance has no domains (section 2.2).
    pub domain: Option<String>,
    /// A `sys_id` in the body of a POST becomes the row's; else it is ignored (section 2.1).
    pub honour_client_sys_id: bool,
    /// Status of a POST whose `sys_id` is taken (section 12, open point j).
    pub duplicate_id_status: u16,
    /// `glide.rest.table_api.admin_only_sys_fields`: `sysparm_suppress_auto_sys_field` is for
    /// administrators only (section 2.2).
    pub admin_only_sys_fields: bool,
    /// `glide.rest.max_content_length`: longest body of a write, in bytes (section 2.6).
    pub max_body: usize,
    /// How long each write takes before it is carried out.
    pub write_latency: Duration,
    /// Writes kept in the journal.
    pub write_capacity: usize,
    /// How much later than the delete its row of `sys_audit_delete` appears (section 6).
    pub audit_delete_delay: Duration,
    /// Share of the deletes, 0 to 1, that are never recorded (section 6).
    pub audit_delete_loss: f64,
    /// Classes with the dictionary attribute `no_audit_delete` (section 6).
    pub no_audit_delete: Vec<String>,
    /// Deletes and undeletes are marked in `sys_audit` (capture.md section 4).
    pub audit_marks: bool,
    /// Classes whose deletes are not marked there: those that KB0634666 names (capture.md section 4).
    pub no_audit_marks: Vec<String>,
    /// What the table cleaner deletes is recorded in `sys_audit_delete` (capture.md section 4, a conflict
    /// between documents).
    pub cleaner_recorded: bool,
    /// Table API requests per hour of a rate rule; `None` is no rule (section 7).
    pub rate_limit_per_hour: Option<u64>,
    /// `sem_wait` of `Server-Timing` is at least this (section 1.8, line 87): the other users of the node
    /// keep its semaphores.
    pub semaphore_wait: Duration,
    /// Requests that run and requests that wait at most, 4 and 50 on a real node (section 7);
    /// `None` is no limit.
    pub semaphore: Option<(usize, usize)>,
    /// Who may aggregate (capture.md section 2, a conflict between documents).
    pub aggregate_access: AggregateAccess,
    /// `glide.db.max.aggregates`: most groups in an answer of the Aggregate API (capture.md section 2).
    pub max_aggregates: usize,
    /// Grouping by a date-time works over REST; else it is a 400 (capture.md section 2: no source shows
    /// that it works).
    pub group_by_date_time: bool,
    /// Limits of the Batch API (section 9, line 340).
    pub batch: BatchLimits,
    /// Versions of rows that [`crate::Sim::truth`] tells of, the last ones; 0 keeps none.
    pub history: usize,
    /// Name and value of a header without which a gateway before the instance refuses each request in its
    /// own words (findings, A1 and A16).
    pub gateway_header: Option<(String, String)>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            addr: "127.0.0.1:0".to_owned(),
            users: vec![User::new("bridge", "secret")],
            oauth_clients: vec![OAuthClient::new("client-id", "client-secret")],
            token_life: Duration::from_secs(1800),
            expires_in_less: 1,
            api_key: None,
            literal_tz: LiteralTz::Utc,
            user_zone: "GMT".to_owned(),
            user_date_format: "yyyy-MM-dd HH:mm:ss".to_owned(),
            skew_seconds: 0,
            node_skews: vec![0],
            writer_skews: vec![0],
            node_order: NodeOrder::RoundRobin,
            shuffle: true,
            no_count: NoCount::Omit,
            unknown_term: UnknownTerm::Drop,
            case_insensitive: true,
            not_equal_matches_empty: true,
            double_caret: false,
            invalid_table_detail: None,
            gzip: true,
            max_url: 16_384,
            max_link: 16_384,
            max_connections: 256,
            log_capacity: 10_000,
            session_waiters: 10,
            session_wait: Duration::from_secs(30),
            use_indexes: true,
            domain: None,
            honour_client_sys_id: true,
            duplicate_id_status: 403,
            admin_only_sys_fields: false,
            max_body: 10_485_760,
            write_latency: Duration::ZERO,
            write_capacity: 200_000,
            audit_delete_delay: Duration::ZERO,
            audit_delete_loss: 0.0,
            no_audit_delete: Vec::new(),
            audit_marks: true,
            no_audit_marks: Vec::new(),
            cleaner_recorded: false,
            rate_limit_per_hour: None,
            semaphore_wait: Duration::ZERO,
            semaphore: None,
            aggregate_access: AggregateAccess::Roles,
            max_aggregates: 100_000,
            group_by_date_time: false,
            batch: BatchLimits::default(),
            history: 0,
            gateway_header: None,
        }
    }
}

/// Limits of a batch.
#[derive(Debug, Clone)]
pub struct BatchLimits {
    /// The quota of the whole batch: 30 s. What is not done by then is unserviced.
    pub time: Duration,
    /// `glide.rest.batch.max.inputSize`: largest item, in bytes: 5 MB.
    pub max_input: usize,
    /// `glide.rest.batch.max.outputSize`: largest answer of an item, in bytes: 10 MB.
    pub max_output: usize,
}

impl Default for BatchLimits {
    fn default() -> BatchLimits {
        BatchLimits {
            time: Duration::from_secs(30),
            max_input: 5 << 20,
            max_output: 10 << 20,
        }
    }
}

/// A user who may sign in.
#[derive(Debug, Clone)]
pub struct User {
    /// `sys_user.user_name`.
    pub name: String,
    /// The password.
    pub password: String,
    /// `sys_user.sys_id`.
    pub sys_id: String,
    /// A locked user gets the ordinary 401 (section 1.2).
    pub locked: bool,
    /// Has the role `admin`.
    pub admin: bool,
}

impl User {
    /// A user with a random `sys_id`.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> User {
        User {
            name: name.into(),
            password: password.into(),
            sys_id: crate::generator::random_sys_id(),
            locked: false,
            admin: false,
        }
    }
}

/// A row of the OAuth application registry.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: String,
    /// Allow `grant_type=password` (section 1.4: can be shut off).
    pub password_grant: bool,
    /// "OAuth Application User" of the client credentials grant; `None` disables the grant.
    pub application_user: Option<String>,
    /// Allow `grant_type=...jwt-bearer`. Claims are checked, the signature is not.
    pub jwt_bearer: bool,
}

impl OAuthClient {
    /// A client with every grant enabled; client credentials act as the user `bridge`.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> OAuthClient {
        OAuthClient {
            id: id.into(),
            secret: secret.into(),
            password_grant: true,
            application_user: Some("bridge".to_owned()),
            jwt_bearer: true,
        }
    }
}

/// How plain date literals in a query are read (section 3.4, a conflict between sources).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralTz {
    /// As UTC.
    Utc,
    /// In the user's time zone.
    User,
}

/// What `sysparm_no_count=true` does to `X-Total-Count` (section 2.4, a conflict between sources).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoCount {
    /// The header is left out.
    Omit,
    /// The header shows the number of rows of the page.
    PageRows,
}

/// Which node takes the next request or change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeOrder {
    /// One after the other.
    RoundRobin,
    /// Any; the same seed gives the same choice.
    Random(u64),
}

/// Who may aggregate over a table (capture.md section 2, a conflict between documents).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateAccess {
    /// Rules of the table by role count, rules of rows do not (April 2026); see
    /// [`crate::Sim::refuse_aggregates`].
    Roles,
    /// Also only those who may read all records of the table (until March 2026); else 403.
    AllRecords,
}

/// What an unknown field, an unknown operator or a malformed term does (section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownTerm {
    /// The term is dropped, the rest runs: the whole table may return.
    Drop,
    /// `glide.invalid_query.returns_no_rows=true`: no rows.
    NoRows,
    /// 403 "Insufficient rights to query records".
    Forbidden,
}
