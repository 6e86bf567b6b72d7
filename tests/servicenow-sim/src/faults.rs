//! Faults on demand: what goes wrong, for which requests, how often.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;

use crate::requests::LoggedRequest;

/// Something that goes wrong with one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// 502 with the load balancer's HTML (section 10).
    BadGateway,
    /// 503 with the load balancer's HTML (section 10).
    Unavailable,
    /// Any status with a JSON error of that text (section 2.6).
    Error {
        /// HTTP status.
        status: u16,
        /// `error.message`.
        message: String,
    },
    /// 429 of a rate rule, with `Retry-After` and `X-RateLimit-*` (section 7).
    RateLimited {
        /// Seconds in `Retry-After`.
        retry_after: u64,
    },
    /// 429 of a full semaphore queue: plain text, none of those headers (section 7).
    SemaphoreFull,
    /// 200 with the HTML of a hibernating developer instance (section 10).
    Hibernating,
    /// 302 to `/login.do` (section 10).
    RedirectToLogin,
    /// The ordinary 401 (section 1.2).
    Unauthorized,
    /// Forgets every access token; the request then gets its 401 if it used one.
    RevokeTokens,
    /// 403 "Failed API level ACL Validation" (section 1.3).
    ApiAcl,
    /// 500: the transaction timed out while it was queued (section 2.7).
    QueuedTimeout,
    /// 202 with an empty body: not executed (section 1.7).
    NotExecuted,
    /// Any status with this body as JSON, whatever was asked. One that begins as gzip does is sent as it
    /// is (findings, section E: answers that are made to harm).
    Answer {
        /// HTTP status.
        status: u16,
        /// The body.
        body: Arc<[u8]>,
    },
    /// Any status with a JSON error whose detail repeats the request: its line, its headers, its body
    /// (findings, section E: words that quote what was sent).
    Echo {
        /// HTTP status.
        status: u16,
    },
    /// 200 `null` (section 2.6, line 174).
    NullBody,
    /// 200 with an empty body (section 2.6, line 174).
    EmptyBody,
    /// Reset before the first byte of the answer; a write is not carried out.
    Reset,
    /// Reset within the body: after this many bytes, else in its middle.
    ResetMidBody {
        /// Body bytes before the reset.
        after: Option<usize>,
    },
    /// The stream ends within the body, without the last chunk.
    CutChunks {
        /// Body bytes before the end.
        after: Option<usize>,
    },
    /// The gzip stream ends in its middle, the chunks are complete.
    CutGzip,
    /// The JSON text ends in its middle, the chunks are complete.
    CutJson,
    /// Silence before the answer, then the answer.
    Delay(Duration),
    /// Silence until the rule is removed, ten minutes at most, then the answer.
    Hold,
    /// Silence before the answer, then the end of the connection.
    Hang(Duration),
    /// Half of the body, silence, then the end of the connection.
    StallMidBody(Duration),
    /// Rows, then an `error` object: the transaction was cancelled (section 2.7).
    PartialResult {
        /// Share of the rows that is still sent, 0 to 1.
        share: f64,
        /// The array is not closed (section 2.7: can be malformed, too).
        malformed: bool,
    },
    /// Rows cost time; past the limit the answer is a partial result (section 2.7, checklist 35).
    Slow {
        /// Time per row of the page.
        per_row: Duration,
        /// Time per row that `sysparm_offset` skips (section 11.4).
        per_offset: Duration,
        /// The transaction quota; 60 s on a real instance.
        limit: Duration,
        /// The array is not closed.
        malformed: bool,
    },
    /// The conditions of the query are ignored, its order is not (section 3.5).
    IgnoreConditions,
    /// `X-Total-Count` is missing.
    NoTotalCount,
    /// `Date` is off by so many seconds; stamps and conditions go by the clock as before (sections 2.1
    /// and 8, lines 87 and 371: `Date` is the server's time, but the clocks of nodes differ).
    DateShift(i64),
    /// As `DateShift`, by another number of seconds at each answer, up to this many either way.
    DateScatter(u32),
    /// The page is sent with these texts in it replaced (findings, section E: one damaged row in a good
    /// page).
    Garble(Vec<(String, String)>),
    /// Rows leave out these columns, whatever was asked for.
    DropColumns(Vec<String>),
    /// The write is carried out, then the load balancer gives up: 504 with HTML (section 10).
    AppliedTimeout504,
    /// The write is carried out, then the connection is reset without an answer.
    AppliedReset,
    /// The write is carried out at once, its answer comes only after this time.
    AppliedHang(Duration),
    /// The write is carried out and answered 200 with an empty body, as a client of real instances reports
    /// of PATCH and DELETE (demisto/content PR 12364; section 2.6, line 174).
    AppliedEmpty200,
    /// 504 at once; the request still runs and the write is carried out later.
    LateApply504 {
        /// Time from the answer to the change.
        after: Duration,
    },
    /// The write is carried out, the read of its result is refused: the 403 of a record ACL
    /// (section 2.6, line 172).
    InsertedBut403,
    /// 201 whose body is half of its JSON (section 2.6, line 173).
    BrokenBody201,
}

impl Fault {
    /// Name in the request log and in scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::BadGateway => "bad_gateway",
            Fault::Unavailable => "unavailable",
            Fault::Error { .. } => "error",
            Fault::RateLimited { .. } => "rate_limited",
            Fault::SemaphoreFull => "semaphore_full",
            Fault::Hibernating => "hibernating",
            Fault::RedirectToLogin => "redirect_to_login",
            Fault::Unauthorized => "unauthorized",
            Fault::RevokeTokens => "revoke_tokens",
            Fault::ApiAcl => "api_acl",
            Fault::QueuedTimeout => "queued_timeout",
            Fault::NotExecuted => "not_executed",
            Fault::Answer { .. } => "answer",
            Fault::Echo { .. } => "echo",
            Fault::NullBody => "null_body",
            Fault::EmptyBody => "empty_body",
            Fault::Reset => "reset",
            Fault::ResetMidBody { .. } => "reset_mid_body",
            Fault::CutChunks { .. } => "cut_chunks",
            Fault::CutGzip => "cut_gzip",
            Fault::CutJson => "cut_json",
            Fault::Delay(_) => "delay",
            Fault::Hold => "hold",
            Fault::Hang(_) => "hang",
            Fault::StallMidBody(_) => "stall_mid_body",
            Fault::PartialResult { .. } => "partial_result",
            Fault::Slow { .. } => "slow",
            Fault::IgnoreConditions => "ignore_conditions",
            Fault::NoTotalCount => "no_total_count",
            Fault::DateShift(_) => "date_shift",
            Fault::DateScatter(_) => "date_scatter",
            Fault::Garble(_) => "garble",
            Fault::DropColumns(_) => "drop_columns",
            Fault::AppliedTimeout504 => "applied_504",
            Fault::AppliedReset => "applied_reset",
            Fault::AppliedHang(_) => "applied_hang",
            Fault::AppliedEmpty200 => "applied_empty_200",
            Fault::LateApply504 { .. } => "late_apply_504",
            Fault::InsertedBut403 => "inserted_but_403",
            Fault::BrokenBody201 => "broken_body_201",
        }
    }
}

/// Which requests a fault is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All but the control endpoint.
    Any,
    /// Paths that begin with this.
    Path(String),
    /// Table API requests of this table.
    Table(String),
    /// Writes of this table over the Table API.
    Writes(String),
    /// Stats API requests of this table.
    Stats(String),
    /// The token endpoint.
    Token,
}

impl Target {
    /// Table API requests of `table`.
    pub fn table(table: &str) -> Target {
        Target::Table(table.to_owned())
    }

    /// Writes of `table`.
    pub fn writes(table: &str) -> Target {
        Target::Writes(table.to_owned())
    }

    fn covers(&self, request: &LoggedRequest) -> bool {
        match self {
            Target::Any => true,
            Target::Path(prefix) => request.path.starts_with(prefix.as_str()),
            Target::Table(table) => request.table() == Some(table),
            Target::Writes(table) => {
                request.table() == Some(table) && request.operation().is_some()
            }
            Target::Stats(table) => crate::api::stats_of(&request.path) == Some(table),
            Target::Token => request.is_token(),
        }
    }
}

type Predicate = Arc<dyn Fn(&LoggedRequest) -> bool + Send + Sync>;

/// A fault, its target and how often it strikes.
#[derive(Clone)]
pub struct Rule {
    target: Target,
    fault: Fault,
    times: Option<usize>,
    skip: usize,
    when: Option<Predicate>,
    methods: Vec<String>,
    /// Share of the requests that it strikes.
    chance: Option<f64>,
    random: Rng,
}

impl Rule {
    /// A rule that strikes every request of its target.
    pub fn new(target: Target, fault: Fault) -> Rule {
        Rule {
            target,
            fault,
            times: None,
            skip: 0,
            when: None,
            methods: Vec::new(),
            chance: None,
            random: Rng::with_seed(1),
        }
    }

    /// Strikes only requests of this method, as `X-HTTP-Method-Override` has it; call it again for
    /// another one.
    #[must_use]
    pub fn method(mut self, method: &str) -> Rule {
        self.methods.push(method.to_owned());
        self
    }

    /// Strikes this share of the requests that fit, 0 to 1. The same seed gives the same choice.
    #[must_use]
    pub fn chance(mut self, share: f64) -> Rule {
        self.chance = Some(share);
        self
    }

    /// Seed of [`Rule::chance`]; 1 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Rule {
        self.random = Rng::with_seed(seed);
        self
    }

    fn fits(&self, request: &LoggedRequest) -> bool {
        let method = request.effective_method();
        self.target.covers(request)
            && (self.methods.is_empty() || self.methods.iter().any(|known| known == method))
            && self.when.as_ref().is_none_or(|when| when(request))
    }

    /// Strikes this often, then never again.
    #[must_use]
    pub fn times(mut self, times: usize) -> Rule {
        self.times = Some(times);
        self
    }

    /// Spares the first `skip` requests.
    #[must_use]
    pub fn skip(mut self, skip: usize) -> Rule {
        self.skip = skip;
        self
    }

    /// Strikes only requests for which `when` is true.
    #[must_use]
    pub fn when(mut self, when: impl Fn(&LoggedRequest) -> bool + Send + Sync + 'static) -> Rule {
        self.when = Some(Arc::new(when));
        self
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("target", &self.target)
            .field("fault", &self.fault)
            .field("times", &self.times)
            .field("skip", &self.skip)
            .field("methods", &self.methods)
            .field("chance", &self.chance)
            .finish_non_exhaustive()
    }
}

/// Names a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(pub u64);

#[derive(Debug)]
struct Active {
    id: RuleId,
    rule: Rule,
    fired: usize,
}

/// The active rules. The first rule that fits strikes.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<(u64, Vec<Active>)>,
}

impl Faults {
    /// Adds a fault that strikes every request of `target` until it is removed.
    pub fn on(&self, target: Target, fault: Fault) -> RuleId {
        self.add(Rule::new(target, fault))
    }

    /// Adds a fault that strikes the next `times` requests of `target`.
    pub fn on_next(&self, times: usize, target: Target, fault: Fault) -> RuleId {
        self.add(Rule::new(target, fault).times(times))
    }

    /// Adds a rule.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        let id = RuleId(state.0);
        state.1.push(Active { id, rule, fired: 0 });
        id
    }

    /// Adds a fault that strikes every request of `target` and goes before all other rules.
    pub fn add_first(&self, target: Target, fault: Fault) -> RuleId {
        let id = self.add(Rule::new(target, fault));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.rotate_right(1);
        id
    }

    /// Removes a rule.
    pub fn remove(&self, id: RuleId) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.retain(|active| active.id != id);
    }

    /// Whether requests are held back.
    pub(crate) fn holds(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rules = state.1.iter();
        rules.any(|active| matches!(active.rule.fault, Fault::Hold))
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .clear();
    }

    /// How often a rule struck; 0 for a removed one.
    pub fn fired(&self, id: RuleId) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .1
            .iter()
            .find(|active| active.id == id)
            .map_or(0, |active| active.fired)
    }

    /// Takes the fault for a request, if any.
    pub(crate) fn take(&self, request: &LoggedRequest) -> Option<Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for active in &mut state.1 {
            let rule = &mut active.rule;
            let fits = rule.times.is_none_or(|times| active.fired < times) && rule.fits(request);
            if !fits {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if rule.chance.is_some_and(|share| rule.random.f64() >= share) {
                continue;
            }
            active.fired += 1;
            return Some(rule.fault.clone());
        }
        None
    }
}
