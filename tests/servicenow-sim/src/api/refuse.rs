//! Answers of writes that are not carried out (servicenow_api.md section 2.6, checklist 30).

use crate::api::Instance;
use crate::http::answer::Answer;
use crate::store::{Failed, Job, Refusal};
use crate::writes::Operation;

/// Headline of every 403 that a write meets.
const FAILED: &str = "Operation Failed";

/// 404: missing and unreadable are the same answer (section 2.6).
pub(super) fn missing() -> Answer {
    Answer::error(
        404,
        "No Record found",
        Some("Record doesn't exist or ACL restricts the record retrieval"),
    )
}

/// 403 of a record ACL.
pub(super) fn acl(operation: Operation) -> Answer {
    let detail = format!(
        "ACL Exception {} Failed due to security constraints",
        operation.name()
    );
    Answer::error(403, FAILED, Some(&detail))
}

impl Instance {
    /// The answer of a write that failed.
    pub(super) fn refused(&self, failed: &Failed, job: &Job) -> Answer {
        match failed {
            Failed::Missing => missing(),
            // Status and text are inferred: section 2.1, line 107, and open point j.
            Failed::Taken(id) => Answer::error(
                self.options.duplicate_id_status,
                FAILED,
                Some(&format!(
                    "Error during insert of {} ({id}): Unique Key violation detected by database",
                    job.table
                )),
            ),
            Failed::Refused(refusal, class) => refuse(refusal, class, job.operation),
        }
    }
}

fn refuse(refusal: &Refusal, class: &str, operation: Operation) -> Answer {
    match refusal {
        Refusal::Acl => acl(operation),
        Refusal::BusinessRule { name, sys_id } => Answer::error(
            403,
            FAILED,
            Some(&format!(
                "Operation against file '{class}' was aborted by Business Rule \
                 '{name}^{sys_id}'. Business Rule Stack:{name}"
            )),
        ),
        Refusal::DataPolicy { fields } => Answer::error(
            403,
            FAILED,
            Some(&format!(
                "Data Policy Exception: The following fields are mandatory: {}",
                fields.join(", ")
            )),
        ),
        Refusal::ScriptError { message } => Answer::error(
            500,
            message,
            Some(&format!(
                "{message} Check logs for error trace or enable glide.rest.debug property to \
                 verify REST request processing"
            )),
        ),
    }
}
