//! The handle that tests hold.

mod changes;
mod writes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use crate::api::Instance;
use crate::clock::format_stamp;
use crate::error::Error;
use crate::faults::Faults;
use crate::http::server::Server;
use crate::options::Options;
use crate::requests::LoggedRequest;
use crate::row::{Row, RowView};
use crate::schema::{Kind, Table};
use crate::standard;
use crate::store::{Actor, Change, FieldGuard, Removal, RowRule};

/// Changes made through the handle are made by this user, not by the integration user.
pub(crate) const OTHER_USER: &str = "admin";

/// A running instance. Dropping it ends it.
#[derive(Debug)]
pub struct Sim {
    server: Server,
    instance: Arc<Instance>,
}

impl Sim {
    /// Starts an instance with the standard tables: `sys_db_object`, `sys_dictionary`, `sys_choice`
    /// (which describe all tables), `sys_index`, `sys_user` (with a row per user), `sys_user_group`,
    /// `sys_journal_field`, `sys_audit`, `sys_audit_delete`, `sys_archive_log`, `task`, `incident`,
    /// `problem`, `change_request`, `cmdb_ci`, `cmdb_ci_computer`, `cmdb_ci_server`.
    ///
    /// # Errors
    /// If the address cannot be bound or the user's zone is unknown.
    pub fn start(options: Options) -> Result<Sim, Error> {
        let zone = TimeZone::get(&options.user_zone)
            .map_err(|_| Error::UnknownZone(options.user_zone.clone()))?;
        let instance = Arc::new(Instance::new(options, zone));
        for table in standard::tables() {
            instance.write().create(table)?;
        }
        let service: Arc<Instance> = Arc::clone(&instance);
        let options = &instance.options;
        let server = Server::start(&options.addr, options.max_connections, service)?;
        let sim = Sim { server, instance };
        sim.instance
            .base
            .get_or_init(|| format!("http://{}", sim.server.addr()));
        sim.add_users()?;
        Ok(sim)
    }

    fn add_users(&self) -> Result<(), Error> {
        let options = &self.instance.options;
        // Accounts are older than the data: their stamps do not change under a client.
        let stamp = format_stamp(self.now().saturating_sub(30 * 86_400));
        for user in &options.users {
            let row = Row::new()
                .set("sys_id", user.sys_id.as_str())
                .set("user_name", user.name.as_str())
                .set("name", user.name.as_str())
                .set("time_zone", options.user_zone.as_str())
                .set("date_format", options.user_date_format.as_str())
                .set("active", "true")
                .set("locked_out", user.locked.to_string())
                .set("web_service_access_only", "true")
                .set("sys_created_on", stamp.as_str())
                .set("sys_updated_on", stamp.as_str());
            self.insert("sys_user", row)?;
        }
        Ok(())
    }

    /// `http://127.0.0.1:port`, without a slash at the end.
    pub fn url(&self) -> &str {
        self.instance
            .base
            .get()
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// The switches it runs with.
    pub fn options(&self) -> &Options {
        &self.instance.options
    }

    /// Server time, epoch seconds: this machine's clock plus the skew.
    pub fn now(&self) -> i64 {
        self.instance.clock.now()
    }

    /// Creates a table, or replaces one with an empty one.
    ///
    /// # Errors
    /// If the parent does not exist.
    pub fn create_table(&self, table: Table) -> Result<(), Error> {
        self.instance.write().create(table)
    }

    /// Gives a table without classes below it other columns of its own, while it is in use. Rows
    /// keep the values of the columns that stay and their stamps.
    ///
    /// # Errors
    /// If the table or its parent does not exist, or if there are classes below it.
    pub fn alter_table(&self, table: Table) -> Result<(), Error> {
        self.instance.write().alter(table)
    }

    /// Inserts a row and gives its `sys_id`. Missing system columns are filled in; unknown columns
    /// are ignored.
    ///
    /// # Errors
    /// If the table does not exist or the `sys_id` is taken.
    pub fn insert(&self, table: &str, row: impl Into<Row>) -> Result<String, Error> {
        let ids = self.insert_many(table, std::iter::once(row.into()))?;
        Ok(ids.into_iter().next().unwrap_or_default())
    }

    /// Inserts many rows at once; all become visible in the same instant.
    ///
    /// # Errors
    /// If the table does not exist or a `sys_id` is taken.
    pub fn insert_many(
        &self,
        table: &str,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<Vec<String>, Error> {
        // Made before the lock is taken: an iterator may well look at the instance.
        let rows: Vec<Row> = rows.into_iter().collect();
        let mut store = self.instance.write();
        // Stamped under the lock, or a large insert would be a late commit.
        let actor = self.actor();
        let built = store.build(table, rows.into_iter(), actor)?;
        store.add(table, built, actor)
    }

    /// Changes a row. Unless `changes` sets them, `sys_updated_on`, `sys_updated_by` and
    /// `sys_mod_count` move, if anything changed at all.
    ///
    /// # Errors
    /// If the table or the row does not exist.
    pub fn update(&self, table: &str, sys_id: &str, changes: impl Into<Row>) -> Result<(), Error> {
        self.instance
            .write()
            .update(table, sys_id, &changes.into(), self.actor())
    }

    /// Removes a row; `sys_audit_delete` tells of it as it does of every delete.
    ///
    /// # Errors
    /// If the table or the row does not exist.
    pub fn delete(&self, table: &str, sys_id: &str) -> Result<(), Error> {
        self.delete_as(table, sys_id, Removal::User)
    }

    /// A row as it is stored, hidden or not.
    ///
    /// # Errors
    /// If the table or the row does not exist.
    pub fn get(&self, table: &str, sys_id: &str) -> Result<Row, Error> {
        let row = self.instance.read().find(table, sys_id)?;
        Ok(RowView(&row).to_row())
    }

    /// All rows of a table and its classes in `sys_id` order, hidden ones too.
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn rows(&self, table: &str) -> Result<Vec<Row>, Error> {
        let store = self.instance.read();
        let rows = store.table(table)?.by_id().rows();
        Ok(rows.iter().map(|row| RowView(row).to_row()).collect())
    }

    /// Number of rows, hidden ones too.
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn count(&self, table: &str) -> Result<usize, Error> {
        Ok(self.instance.read().table(table)?.by_id().rows().len())
    }

    /// Hides rows from the integration user: those that are there and those that come. They still
    /// count (section 2.4) and still take their place in a page (section 2.2).
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn hide(
        &self,
        table: &str,
        rule: impl Fn(RowView<'_>) -> bool + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.instance.write().hide(table, RowRule(Arc::new(rule)))
    }

    /// Makes a column unreadable: left out of rows, and 403 when filtered or sorted by
    /// (sections 2.3 and 3.6).
    ///
    /// # Errors
    /// If the table or the column does not exist.
    pub fn hide_field(&self, table: &str, column: &str) -> Result<(), Error> {
        self.instance.write().hide_field(table, column, None)
    }

    /// Leaves a column out of the rows for which `rule` is true (section 2.3).
    ///
    /// # Errors
    /// If the table or the column does not exist.
    pub fn hide_field_where(
        &self,
        table: &str,
        column: &str,
        rule: impl Fn(RowView<'_>) -> bool + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let rule: FieldGuard = Arc::new(rule);
        self.instance.write().hide_field(table, column, Some(rule))
    }

    /// Refuses aggregates over a table, as a rule of the table by role does: 403 (capture.md
    /// section 2). Reads of its rows go on.
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn refuse_aggregates(&self, table: &str) -> Result<(), Error> {
        self.instance.write().refuse_aggregates(table)
    }

    /// Takes all access rules of a table back.
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn show_all(&self, table: &str) -> Result<(), Error> {
        self.instance.write().show_all(table)
    }

    /// Updates `count` rows so that all carry the current second; gives their ids (section 11.8).
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn bulk_update_one_second(&self, table: &str, count: usize) -> Result<Vec<String>, Error> {
        self.instance
            .write()
            .bulk_update(table, count, self.actor())
    }

    /// A late commit: the row is stamped `stamp` (epoch seconds) but becomes visible after `delay`
    /// (section 11.6). Gives its `sys_id`.
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn insert_visible_later(
        &self,
        table: &str,
        row: impl Into<Row>,
        stamp: i64,
        delay: Duration,
    ) -> Result<String, Error> {
        let mut row = row.into();
        if row.get("sys_id").is_none() {
            row.put("sys_id", crate::generator::random_sys_id());
        }
        let id = row.get("sys_id").unwrap_or_default().to_owned();
        for column in ["sys_created_on", "sys_updated_on"] {
            if row.get(column).is_none() {
                row.put(column, format_stamp(stamp));
            }
        }
        let mut store = self.instance.write();
        store.table(table)?;
        store.schedule(
            table,
            Instant::now() + delay,
            Change::Insert(row),
            self.actor(),
        );
        Ok(id)
    }

    /// A late commit of an update: `sys_updated_on` is `stamp`, visible after `delay`.
    ///
    /// # Errors
    /// If the table or the row does not exist.
    pub fn update_visible_later(
        &self,
        table: &str,
        sys_id: &str,
        changes: impl Into<Row>,
        stamp: i64,
        delay: Duration,
    ) -> Result<(), Error> {
        let mut changes = changes.into();
        if changes.get("sys_updated_on").is_none() {
            changes.put("sys_updated_on", format_stamp(stamp));
        }
        let mut store = self.instance.write();
        store.find(table, sys_id)?;
        let change = Change::Update(sys_id.to_owned(), changes);
        store.schedule(table, Instant::now() + delay, change, self.actor());
        Ok(())
    }

    /// Faults on demand.
    pub fn faults(&self) -> &Faults {
        &self.instance.faults
    }

    /// Forgets every access token.
    pub fn revoke_tokens(&self) {
        self.instance.auth.revoke_all();
    }

    /// Ends every open connection, as a restart of the node does.
    pub fn drop_connections(&self) {
        self.server.drop_connections();
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// The request log, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.instance.log.all()
    }

    /// Logged Table API requests of one table, oldest first.
    pub fn table_requests(&self, table: &str) -> Vec<LoggedRequest> {
        self.requests()
            .into_iter()
            .filter(|request| request.table() == Some(table))
            .collect()
    }

    /// Number of logged requests that satisfy `wanted`.
    pub fn count_requests(&self, wanted: impl Fn(&LoggedRequest) -> bool) -> usize {
        self.instance.log.count(wanted)
    }

    /// Number of logged requests to the token endpoint.
    pub fn token_requests(&self) -> usize {
        self.count_requests(LoggedRequest::is_token)
    }

    /// Empties the request log.
    pub fn clear_requests(&self) {
        self.instance.log.clear();
    }

    /// Ends the instance; returns once its threads are gone.
    pub fn stop(self) {
        drop(self);
    }

    fn actor(&self) -> Actor<'static> {
        Actor {
            now: self.instance.stamp(),
            user: OTHER_USER,
        }
    }
}

impl Sim {
    /// Column names of a table in the order of an answer.
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn columns(&self, table: &str) -> Result<Vec<(String, Kind)>, Error> {
        let store = self.instance.read();
        let columns = store.table(table)?.schema.columns.iter();
        Ok(columns
            .map(|column| (column.name.clone(), column.kind))
            .collect())
    }

    pub(crate) fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }
}
