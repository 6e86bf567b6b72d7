//! Writes of the Table API (servicenow_api.md section 2.1, checklist 27 to 31).

use std::sync::Arc;
use std::time::Instant;

use crate::api::input::Input;
use crate::api::payload::{self, Unreadable};
use crate::api::route::row_of;
use crate::api::{Context, Instance, broken, refuse};
use crate::faults::Fault;
use crate::http::Request;
use crate::http::answer::Answer;
use crate::requests::LoggedRequest;
use crate::row::Stored;
use crate::store::{Actor, Change, Job};
use crate::writes::{Fields, Operation, Write};

/// A write as the client sent it.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) operation: Operation,
    fields: Result<Fields, Unreadable>,
    /// Its number in the journal.
    pub(super) number: u64,
}

impl Instance {
    /// Reads a write and notes it in the journal; `None` for every other request.
    pub(super) fn draft(&self, request: &Request, entry: &LoggedRequest) -> Option<Draft> {
        let operation = entry.operation()?;
        let (table, sys_id) = row_of(&request.path)?;
        let fields = match operation {
            Operation::Insert | Operation::Update => payload::read(request, self.options.max_body),
            Operation::Delete => Ok(Arc::default()),
        };
        let number = self.writes.begin(Write {
            id: 0,
            table: table.to_owned(),
            operation,
            sys_id: sys_id.unwrap_or_default().to_owned(),
            fields: fields.as_ref().map(Arc::clone).unwrap_or_default(),
            began: entry.at,
            ended: entry.at,
            status: 0,
            applied: false,
            sequence: 0,
            fault: entry.fault,
            user: String::new(),
        });
        Some(Draft {
            operation,
            fields,
            number,
        })
    }

    /// Notes what a write was answered.
    pub(super) fn answered(&self, draft: &Draft, status: u16) {
        self.writes.update(draft.number, |write| {
            write.status = status;
            write.ended = Instant::now();
        });
    }

    /// `POST`, `PUT`, `PATCH` and `DELETE` of `/api/now/table/{table}[/{sys_id}]`.
    pub(super) fn write_row(
        &self,
        context: &Context<'_>,
        draft: &Draft,
        version: &str,
        table: &str,
        id: Option<&str>,
    ) -> Result<Answer, Answer> {
        self.writes.update(draft.number, |write| {
            write.user.clone_from(&context.user.name);
        });
        let fields = match &draft.fields {
            Err(Unreadable::MediaType) => return Err(Unreadable::MediaType.answer()),
            fields => fields,
        };
        if id.is_none() != (draft.operation == Operation::Insert) {
            return Err(Answer::error(405, "Method not supported", None));
        }
        self.known_table(&self.read(), table)?;
        let fields = fields.as_ref().map_err(|bad| bad.answer())?;
        let job = self.job(context, draft.operation, (table, id), fields)?;
        if let Some(Fault::LateApply504 { after }) = context.fault {
            self.apply_later(context, draft, job, *after);
            return Ok(broken::gateway_timeout());
        }
        // Business rules take their time; nothing is locked meanwhile.
        context.stop.wait(self.options.write_latency);
        let row = self.carry_out(context, draft, &job)?;
        if job.operation == Operation::Insert && row.is_hidden() {
            // Create allowed, read of the result refused (section 2.6, line 172).
            return Err(refuse::acl(job.operation));
        }
        self.result(context, version, &job, &row)
    }

    /// Works out what is to be changed.
    fn job(
        &self,
        context: &Context<'_>,
        operation: Operation,
        (table, id): (&str, Option<&str>),
        fields: &Fields,
    ) -> Result<Job, Answer> {
        let request = context.request;
        let store = self.read();
        let schema = &self.known_table(&store, table)?.schema;
        if schema.view {
            // Database views are read-only (section 2.1); the text is inferred.
            return Err(refuse::acl(operation));
        }
        let suppress =
            request.flag("sysparm_suppress_auto_sys_field") && self.may_suppress(context.user);
        let input = Input {
            operation,
            suppress,
            display: request.flag("sysparm_input_display_value"),
            honour_id: self.options.honour_client_sys_id,
            zone: &self.zone,
            format: &self.options.user_date_format,
        };
        Ok(Job {
            operation,
            table: table.to_owned(),
            sys_id: id.unwrap_or_default().to_owned(),
            values: input.values(fields, schema, &store),
            suppress,
            user: context.user.name.clone(),
        })
    }

    fn carry_out(
        &self,
        context: &Context<'_>,
        draft: &Draft,
        job: &Job,
    ) -> Result<Arc<Stored>, Answer> {
        let mut store = self.write();
        // Stamped under the lock, or a slow write would be a late commit.
        let now = self.clock.now().saturating_add(context.skew);
        let done = store.execute(job, now);
        drop(store);
        let done = done.map_err(|failed| self.refused(&failed, job))?;
        self.writes
            .applied(draft.number, done.row.sys_id(), done.sequence);
        Ok(done.row)
    }

    /// The first request still runs when the gateway has given up (section 2.6, line 173).
    fn apply_later(
        &self,
        context: &Context<'_>,
        draft: &Draft,
        job: Job,
        after: std::time::Duration,
    ) {
        let user = job.user.clone();
        let table = job.table.clone();
        let actor = Actor {
            now: context.now.saturating_add_unsigned(after.as_secs()),
            user: &user,
        };
        let change = Change::Write(Box::new(job), Arc::clone(&self.writes), draft.number);
        let due = Instant::now() + after;
        self.write().schedule(&table, due, change, actor);
    }

    /// The answer of a write that was carried out.
    fn result(
        &self,
        context: &Context<'_>,
        version: &str,
        job: &Job,
        row: &Stored,
    ) -> Result<Answer, Answer> {
        let request = context.request;
        let status = match job.operation {
            Operation::Insert => 201,
            Operation::Update => 200,
            Operation::Delete => return Ok(Answer::json(204, "")),
        };
        let mut answer = Answer::json(status, "");
        if job.operation == Operation::Insert {
            let base = self.base.get().map(String::as_str).unwrap_or_default();
            let slash = if version.is_empty() { "" } else { "/" };
            let (table, id) = (&job.table, row.sys_id());
            let place = format!("{base}/api/now/{version}{slash}table/{table}/{id}");
            answer = answer.header("Location", place);
        }
        let silent = request
            .header("x-no-response-body")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if !silent {
            let store = self.read();
            let data = self.known_table(&store, &job.table)?;
            answer.body = self.rendered(context, &store, data, version, row);
            answer.rows = 1;
        }
        Ok(answer)
    }
}
