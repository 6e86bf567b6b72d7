//! Answers that are not what was asked for (servicenow_api.md sections 2.6, 2.7, 7 and 10).

use std::time::{Duration, Instant};

use crate::api::{Instance, refuse};
use crate::auth::unauthorized;
use crate::faults::Fault;
use crate::http::Request;
use crate::http::answer::{Answer, Body, Breakage};
use crate::limits;
use crate::stop::Stop;
use crate::writes::Operation;

/// Tail of a cancelled transaction's error (section 2.7).
const CHECK_LOGS: &str = "Transaction cancelled: maximum execution time exceeded Check logs for error trace or enable \
     glide.rest.debug property to verify REST request processing";
/// Message of a cancelled transaction (section 2.7).
const CANCELLED: &str = "Transaction cancelled: maximum execution time exceeded";

/// A request that is held back goes on after this time at the latest.
const LONGEST_HOLD: Duration = Duration::from_secs(600);

/// The first bytes of a gzip stream (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// 302 to the login page (section 10).
pub(super) fn login() -> Answer {
    Answer::html(302, "").header("Location", "/login.do")
}

/// 504 with the load balancer's HTML (section 10).
pub(super) fn gateway_timeout() -> Answer {
    page(504, "Gateway Time-out")
}

/// No answer at all: the connection is reset.
fn lost() -> Answer {
    let mut answer = Answer::json(200, "");
    answer.breakage = Breakage::ResetFirst;
    answer
}

fn page(status: u16, title: &str) -> Answer {
    let body = format!(
        "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n\
         <center><h1>{status} {title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    Answer::html(status, body)
}

/// An error that repeats the request's credential, body and line, in the words of both the Table API and a token endpoint.
fn echo(status: u16, request: &Request) -> Answer {
    // Only those that say who asks: clients cut long words.
    let own = |name: &str| {
        ["authorization", "x-sn-apikey", "x-gateway-key"]
            .iter()
            .any(|it| name.eq_ignore_ascii_case(it))
    };
    let headers = request.headers.iter().filter(|(name, _)| own(name));
    let headers: Vec<String> = headers
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let body = String::from_utf8_lossy(&request.body);
    let words = format!(
        "{body} {} {} {}",
        headers.join(" "),
        request.method,
        request.target
    );
    let error = if request.method == "POST" && request.path.starts_with("/oauth") {
        serde_json::json!({ "error": "invalid_client", "error_description": words })
    } else if request.path.starts_with("/api/now") {
        serde_json::json!({ "error": { "message": "Refused", "detail": words }, "status": "failure" })
    } else {
        serde_json::json!({ "error_code": status, "message": words })
    };
    Answer::json(status, error.to_string())
}

impl Instance {
    /// The answer that a fault gives in place of the real one; `None` when it only changes it.
    pub(super) fn instead(&self, fault: &Fault, request: &Request, stop: &Stop) -> Option<Answer> {
        Some(match fault {
            Fault::BadGateway => page(502, "Bad Gateway"),
            Fault::Unavailable => page(503, "Service Temporarily Unavailable"),
            Fault::Error { status, message } => Answer::error(*status, message, None),
            Fault::RateLimited { retry_after } => {
                let reset = self.clock.now().saturating_add_unsigned(*retry_after);
                Answer::error(
                    429,
                    "Rate limit exceeded",
                    Some("Rate limit of 100 requests per hour for Table API exceeded"),
                )
                .header("X-RateLimit-Limit", "100")
                .header("X-RateLimit-Reset", reset.to_string())
                .header("X-RateLimit-Rule", limits::RULE)
                .header("Retry-After", retry_after.to_string())
            }
            Fault::SemaphoreFull => limits::queue_full(),
            Fault::Hibernating => Answer::html(
                200,
                "<html><head><title>Instance Hibernating page</title></head>\
                 <body class=\"instance-hibernating-page\">Your instance is hibernating</body></html>",
            ),
            Fault::RedirectToLogin => login(),
            Fault::Unauthorized => unauthorized(),
            Fault::RevokeTokens => {
                self.auth.revoke_all();
                return None;
            }
            Fault::ApiAcl => Answer::error(
                403,
                "User Not Authorized",
                Some("Failed API level ACL Validation"),
            ),
            Fault::QueuedTimeout => Answer::error(500, CANCELLED, Some(CHECK_LOGS)),
            Fault::NotExecuted => Answer::json(202, ""),
            Fault::Answer { status, body } => {
                let answer = Answer::json(*status, body.to_vec());
                if body.starts_with(&GZIP_MAGIC) {
                    answer.header("Content-Encoding", "gzip")
                } else {
                    answer
                }
            }
            Fault::Echo { status } => echo(*status, request),
            Fault::NullBody => Answer::json(200, "null"),
            Fault::EmptyBody => Answer::json(200, ""),
            Fault::Delay(time) => {
                stop.wait(*time);
                return None;
            }
            Fault::Hold => {
                let begin = Instant::now();
                while self.faults.holds() && begin.elapsed() < LONGEST_HOLD {
                    if stop.wait(Duration::from_millis(20)) {
                        break;
                    }
                }
                return None;
            }
            Fault::Hang(time) => {
                stop.wait(*time);
                lost()
            }
            Fault::Reset => lost(),
            Fault::ResetMidBody { .. }
            | Fault::CutChunks { .. }
            | Fault::CutGzip
            | Fault::CutJson
            | Fault::StallMidBody(_)
            | Fault::PartialResult { .. }
            | Fault::Slow { .. }
            | Fault::IgnoreConditions
            | Fault::NoTotalCount
            | Fault::DateShift(_)
            | Fault::DateScatter(_)
            | Fault::Garble(_)
            | Fault::DropColumns(_)
            | Fault::AppliedTimeout504
            | Fault::AppliedReset
            | Fault::AppliedHang(_)
            | Fault::AppliedEmpty200
            | Fault::LateApply504 { .. }
            | Fault::InsertedBut403
            | Fault::BrokenBody201 => return None,
        })
    }
}

/// Changes a finished answer as the fault demands; `operation` is what a write asked for.
pub(super) fn apply(fault: &Fault, operation: Option<Operation>, answer: &mut Answer, stop: &Stop) {
    match fault {
        // What was asked for is done by now; only the answer is lost (section 2.6, line 173).
        Fault::AppliedTimeout504 | Fault::LateApply504 { .. } => *answer = gateway_timeout(),
        Fault::AppliedReset => answer.breakage = Breakage::ResetFirst,
        Fault::AppliedHang(time) => {
            stop.wait(*time);
        }
        Fault::AppliedEmpty200 if matches!(answer.status, 200 | 201 | 204) => {
            *answer = Answer::json(200, "");
        }
        Fault::InsertedBut403 if matches!(answer.status, 200 | 201 | 204) => {
            if let Some(operation) = operation {
                let refusal = refuse::acl(operation);
                answer.status = refusal.status;
                answer.body = refusal.body;
                answer.headers.retain(|(name, _)| *name != "Location");
            }
        }
        Fault::BrokenBody201 if answer.status == 201 => {
            let body = std::mem::replace(&mut answer.body, Body::Bytes(Vec::new()));
            let mut bytes = body.into_bytes();
            bytes.truncate(bytes.len() / 2);
            answer.body = Body::Bytes(bytes);
        }
        Fault::Garble(texts) => {
            let body = std::mem::replace(&mut answer.body, Body::Bytes(Vec::new()));
            let text = String::from_utf8(body.into_bytes()).unwrap_or_default();
            let replace = |text: String, (from, to): &(String, String)| text.replace(from, to);
            answer.body = Body::Bytes(texts.iter().fold(text, replace).into_bytes());
        }
        Fault::ResetMidBody { after } => answer.breakage = Breakage::ResetMidBody(*after),
        Fault::CutChunks { after } => answer.breakage = Breakage::CutChunks(*after),
        Fault::CutGzip => answer.breakage = Breakage::CutGzip,
        Fault::CutJson => answer.breakage = Breakage::CutJson,
        Fault::StallMidBody(time) => answer.breakage = Breakage::Stall(*time),
        Fault::NoTotalCount => answer.headers.retain(|(name, _)| *name != "X-Total-Count"),
        _ => {}
    }
}

/// Turns a page into the 200 of a cancelled transaction: rows, then an error (section 2.7).
pub(super) fn cancel(answer: &mut Answer, malformed: bool) {
    let body = std::mem::replace(&mut answer.body, Body::Bytes(Vec::new()));
    let mut text = String::from_utf8(body.into_bytes()).unwrap_or_default();
    // The malformed variant leaves the array open (section 2.7, line 159).
    let end = if malformed { "]}" } else { "}" };
    if let Some(open) = text.strip_suffix(end) {
        text.truncate(open.len());
    }
    let error = serde_json::json!({ "detail": CHECK_LOGS, "message": CANCELLED });
    text.push_str(&format!(",\"error\":{error},\"status\":\"failure\"}}"));
    answer.body = Body::Bytes(text.into_bytes());
}
