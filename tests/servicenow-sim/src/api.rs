//! The instance behind the socket: routes, faults, authentication, headers.

mod batch;
mod broken;
mod input;
mod link;
mod list;
mod payload;
mod refuse;
mod route;
mod stats;
mod write;

pub(crate) use route::{is_batch, stats_of, table_of};

use std::ops::Deref;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use crate::api::payload::Unreadable;
use crate::api::route::{Route, route};
use crate::api::write::Draft;
use crate::auth::session::{self, Sessions};
use crate::auth::{Auth, unauthorized};
use crate::clock::{Clock, Nodes, http_date};
use crate::faults::{Fault, Faults};
use crate::http::Request;
use crate::http::answer::{Answer, Breakage};
use crate::http::server::{Reply, Service};
use crate::limits::{self, RateRule, Semaphore};
use crate::options::{Options, User};
use crate::query::script::Session;
use crate::requests::{Log, LoggedRequest};
use crate::stop::Stop;
use crate::store::Store;
use crate::writes::{self, Writes};

/// Everything that a simulated instance is.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) zone: TimeZone,
    store: RwLock<Store>,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    pub(crate) writes: Arc<Writes>,
    pub(crate) auth: Auth,
    sessions: Sessions,
    pub(crate) rate: RateRule,
    semaphore: Semaphore,
    /// `http://host:port`, known once the listener is bound.
    pub(crate) base: OnceLock<String>,
    nodes: Nodes,
    /// The nodes of other users.
    writers: Nodes,
}

/// One request as it arrives.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    request: &'a Request,
    /// Server time of the node, epoch seconds.
    now: i64,
    /// Seconds that the node's clock is ahead of the instance's.
    skew: i64,
    fault: Option<&'a Fault>,
    /// The write that it asks for.
    draft: Option<&'a Draft>,
    /// Number in the request log.
    number: u64,
    /// Number of the batch that it is an item of.
    batch: Option<u64>,
    stop: &'a Stop,
}

/// One request past the door.
struct Context<'a> {
    arrival: Arrival<'a>,
    user: &'a User,
}

impl<'a> Deref for Context<'a> {
    type Target = Arrival<'a>;

    fn deref(&self) -> &Arrival<'a> {
        &self.arrival
    }
}

/// One request that was answered.
struct Served {
    answer: Answer,
    /// Its number in the request log.
    number: u64,
    fault: Option<Fault>,
}

impl Instance {
    pub(crate) fn new(options: Options, zone: TimeZone) -> Instance {
        Instance {
            clock: Clock::new(options.skew_seconds),
            store: RwLock::new(Store::new(&options)),
            faults: Faults::default(),
            log: Log::new(options.log_capacity),
            writes: Arc::new(Writes::new(options.write_capacity)),
            auth: Auth::default(),
            sessions: Sessions::default(),
            rate: RateRule::new(options.rate_limit_per_hour),
            semaphore: Semaphore::new(options.semaphore),
            base: OnceLock::new(),
            nodes: Nodes::new(&options.node_skews, options.node_order),
            writers: Nodes::new(&options.writer_skews, options.node_order),
            zone,
            options,
        }
    }

    /// The data as it is now: commits that are due become visible first.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Store> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        if !store.has_due(Instant::now()) {
            return store;
        }
        drop(store);
        drop(self.write());
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The data for a change.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Store> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        store.settle(Instant::now());
        store
    }

    fn answer(&self, arrival: Arrival<'_>) -> Answer {
        let Arrival { request, now, .. } = arrival;
        // A load balancer refuses a long URL before anything else (section 2.6).
        if request.target.len() > self.options.max_url {
            return Answer::html(
                414,
                "<html><head><title>414 Request-URI Too Large</title></head></html>",
            );
        }
        if let Some((name, value)) = &self.options.gateway_header
            && request.header(name) != Some(value)
        {
            return Answer::json(403, r#"{"message":"Forbidden"}"#);
        }
        if let Some(answer) = arrival
            .fault
            .and_then(|fault| self.instead(fault, request, arrival.stop))
        {
            return answer;
        }
        let route = route(&request.path);
        match route {
            Route::Token => return self.auth.token(request, &self.options, now),
            // Wrong paths outside of /api lead to the login page (section 10).
            Route::Page => return broken::login(),
            Route::Table { .. } | Route::Stats { .. } | Route::Batch | Route::Unknown => {}
        }
        let Some(user) = self.auth.user(request, &self.options) else {
            return unauthorized();
        };
        let Some(slot) = self.semaphore.enter(arrival.stop) else {
            return limits::queue_full();
        };
        let cookie = request.header("cookie").and_then(session::cookie);
        let held = cookie.map(|cookie| {
            let options = &self.options;
            self.sessions
                .enter(cookie, options.session_waiters, options.session_wait)
        });
        if matches!(held, Some(None)) {
            // Not executed (section 1.7).
            return Answer::json(202, "");
        }
        let context = Context { arrival, user };
        let answer = self.rated(&context, &route);
        drop(held);
        let waited = slot.waited.max(self.options.semaphore_wait);
        standard_headers(answer, cookie.is_none(), waited)
    }

    /// Answers as far as the rate rule allows it; a rule is for one API resource (section 7).
    fn rated(&self, context: &Context<'_>, route: &Route<'_>) -> Answer {
        let rated = match route {
            Route::Table { .. } => self.rate.count(self.clock.now()),
            _ => None,
        };
        match rated {
            Some(rated) if rated.exceeded => rated.mark(rated.denied()),
            Some(rated) => rated.mark(self.api(context, route)),
            None => self.api(context, route),
        }
    }

    /// Answers a request by `answer`: with its entry in the log and in the journal of writes, and with
    /// the fault that strikes it.
    fn logged(&self, arrival: Arrival<'_>, answer: impl FnOnce(Arrival<'_>) -> Answer) -> Served {
        let request = arrival.request;
        let mut entry = LoggedRequest::new(request, arrival.now);
        entry.batch = arrival.batch;
        let fault = self.faults.take(&entry);
        entry.fault = fault.as_ref().map(Fault::name);
        let draft = self.draft(request, &entry);
        let number = self.log.begin(entry);
        let mut answer = answer(Arrival {
            fault: fault.as_ref(),
            draft: draft.as_ref(),
            number,
            ..arrival
        });
        if let Some(fault) = &fault {
            let operation = draft.as_ref().map(|draft| draft.operation);
            broken::apply(fault, operation, &mut answer, arrival.stop);
        }
        // Nothing of such an answer leaves the instance.
        let lost = answer.breakage == Breakage::ResetFirst;
        // Before the last byte goes out, so that a client that has its answer finds it in the log.
        self.log.update(number, |entry| {
            if !lost {
                entry.status = answer.status;
                entry.rows = answer.rows;
            }
        });
        if let Some(draft) = &draft {
            self.answered(draft, if lost { 0 } else { answer.status });
        }
        Served {
            answer,
            number,
            fault,
        }
    }

    fn api(&self, context: &Context<'_>, route: &Route<'_>) -> Answer {
        let request = context.request;
        // JSON and XML only; XML is not simulated (section 2.6).
        let accepts = request.header("accept").is_none_or(|accept| {
            ["application/json", "application/*", "*/*"]
                .iter()
                .any(|kind| accept.contains(kind))
        });
        if !accepts {
            return Answer::error(406, "Not Acceptable", Some("Invalid Accept header"));
        }
        let overridden = request.header("x-http-method-override");
        let reads = matches!(writes::method(&request.method, overridden), "GET" | "HEAD");
        let result = match route {
            Route::Table {
                version,
                table,
                id: None,
            } if reads => self.list(context, version, table),
            Route::Table {
                version,
                table,
                id: Some(id),
            } if reads => self.one(context, version, table, id),
            Route::Table { version, table, id } => match context.draft {
                Some(draft) => self.write_row(context, draft, version, table, *id),
                None => Err(not_read(request)),
            },
            Route::Stats { table } if reads => self.stats(context, table),
            Route::Stats { .. } => Err(not_read(request)),
            Route::Batch => self.batch(context),
            Route::Token | Route::Unknown | Route::Page => Err(Answer::error(
                400,
                "Requested URI does not represent any resource",
                None,
            )),
        };
        result.unwrap_or_else(|refusal| refusal)
    }

    /// Server time by the clock of the node where the next change of another user is made, epoch seconds.
    pub(crate) fn stamp(&self) -> i64 {
        self.clock.now().saturating_add(self.writers.next())
    }

    fn session(&self, context: &Context<'_>) -> Session {
        Session {
            user_id: context.user.sys_id.clone(),
            user_name: context.user.name.clone(),
            zone: self.zone.clone(),
            now: context.now,
        }
    }
}

/// Answers a request that neither reads nor writes.
fn not_read(request: &Request) -> Answer {
    let writes = matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
    if writes && !payload::is_json(request) {
        return Unreadable::MediaType.answer();
    }
    Answer::error(405, "Method not supported", None)
}

/// Headers of every authenticated answer (section 1.8), and cookies for a client without any.
fn standard_headers(answer: Answer, new_session: bool, waited: Duration) -> Answer {
    let transaction = crate::generator::random_sys_id();
    let waited = waited.as_millis();
    let answer = answer
        .header(
            "Server-Timing",
            format!("sem_wait;dur={waited}, sesh_wait;dur=0"),
        )
        .header("X-Is-Logged-In", "true")
        .header(
            "X-Transaction-ID",
            transaction.get(..12).unwrap_or_default(),
        )
        .header("X-Content-Type-Options", "nosniff")
        .header("Pragma", "no-store,no-cache")
        .header(
            "Cache-Control",
            "no-cache,no-store,must-revalidate,max-age=-1",
        )
        .header("Expires", "0")
        .header(
            "Strict-Transport-Security",
            "max-age=63072000; includeSubDomains",
        );
    let answer = if answer.close {
        answer
    } else {
        answer.header("Keep-Alive", "timeout=70")
    };
    if !new_session {
        return answer;
    }
    let route = crate::generator::random_sys_id();
    answer
        .header(
            "Set-Cookie",
            format!("JSESSIONID={}; Path=/; HttpOnly; Secure", session::new_id()),
        )
        .header(
            "Set-Cookie",
            format!("glide_user_route=glide.{route}; Max-Age=2147483647; Path=/"),
        )
        .header(
            "Set-Cookie",
            format!("glide_session_store={transaction}; Max-Age=1800; Path=/"),
        )
        .header(
            "Set-Cookie",
            "BIGipServerpool_sim=725657866.46910.0000; path=/; Httponly; Secure",
        )
}

/// By how many seconds `Date` is off in the answer of this number.
fn date_shift(fault: &Fault, number: u64) -> i64 {
    match fault {
        Fault::DateShift(seconds) => *seconds,
        Fault::DateScatter(most) => {
            let mut random = fastrand::Rng::with_seed(number);
            let most = i64::from(*most);
            random.i64(-most..=most)
        }
        _ => 0,
    }
}

impl Service for Instance {
    fn serve(&self, request: &Request, stop: &Stop) -> Reply {
        if let Some(answer) = crate::control::answer(self, request) {
            return Reply {
                answer,
                gzip: false,
                ticket: 0,
            };
        }
        let skew = self.nodes.next();
        let now = self.clock.now().saturating_add(skew);
        let arrival = Arrival {
            request,
            now,
            skew,
            fault: None,
            draft: None,
            number: 0,
            batch: None,
            stop,
        };
        let Served {
            answer,
            number: ticket,
            fault,
        } = self.logged(arrival, |arrival| self.answer(arrival));
        let asked = request
            .header("accept-encoding")
            .is_some_and(|it| it.contains("gzip"));
        let gzip = (self.options.gzip && asked && request.path.starts_with("/api/"))
            || matches!(fault, Some(Fault::CutGzip));
        let shift = fault.as_ref().map_or(0, |fault| date_shift(fault, ticket));
        let date = now.saturating_add(shift);
        let answer = answer
            .header("Date", http_date(date))
            .header("Server", "ServiceNow");
        Reply {
            answer,
            gzip,
            ticket,
        }
    }

    fn sent(&self, ticket: u64, bytes: u64) {
        self.log.update(ticket, |entry| entry.bytes = bytes);
    }
}
