//! Changes that leave few traces or none (capture.md section 4), and the truth about them.

use crate::error::Error;
use crate::row::Row;
use crate::sim::Sim;
use crate::store::{Cascade, CascadeTrace, Removal};
use crate::truth::Truth;

impl Sim {
    /// Removes a row in one of the ways in which an instance does; [`Sim::undelete`] brings it back.
    ///
    /// # Errors
    /// If the table or the row does not exist.
    pub fn delete_as(&self, table: &str, sys_id: &str, removal: Removal) -> Result<(), Error> {
        let mut store = self.instance.write();
        store.remove(table, sys_id, removal, self.actor())
    }

    /// From now on deleting a row of `parent`, in whatever way, deletes the rows of `child` whose
    /// reference `column` leads to it.
    ///
    /// # Errors
    /// If a table or the column does not exist.
    pub fn cascade(
        &self,
        parent: &str,
        child: &str,
        column: &str,
        trace: CascadeTrace,
    ) -> Result<(), Error> {
        let mut store = self.instance.write();
        store.table(parent)?;
        let at = store.table(child)?.schema.find(column);
        let unknown = || Error::UnknownColumn {
            table: child.to_owned(),
            column: column.to_owned(),
        };
        store.cascade(Cascade {
            parent: parent.to_owned(),
            child: child.to_owned(),
            column: at.ok_or_else(unknown)?,
            trace,
        });
        Ok(())
    }

    /// Changes a row and moves neither `sys_updated_on`, `sys_updated_by` nor `sys_mod_count`, as a
    /// script with `autoSysFields(false)` does (servicenow_api.md section 4, line 247).
    ///
    /// # Errors
    /// If the table or the row does not exist.
    pub fn update_silently(
        &self,
        table: &str,
        sys_id: &str,
        changes: impl Into<Row>,
    ) -> Result<(), Error> {
        let mut store = self.instance.write();
        store.update_silently(table, sys_id, changes.into(), self.actor())
    }

    /// Moves a row to another class of its hierarchy: `sys_class_name` and the stamps change, the row
    /// leaves its table without a trace of a delete (section 11.9).
    ///
    /// # Errors
    /// If a table or the row does not exist, or the classes have no root in common.
    pub fn change_class(&self, table: &str, sys_id: &str, class: &str) -> Result<(), Error> {
        let mut store = self.instance.write();
        store.change_class(table, sys_id, class, self.actor())
    }

    /// A table as the integration user can read it now, and with [`crate::Options::history`] every
    /// version that could be read and when.
    ///
    /// # Errors
    /// If the table does not exist.
    pub fn truth(&self, table: &str) -> Result<Truth, Error> {
        self.instance.truth(table)
    }
}

impl crate::api::Instance {
    /// See [`Sim::truth`].
    pub(crate) fn truth(&self, table: &str) -> Result<Truth, Error> {
        let store = self.read();
        Ok(Truth::read(&store, table, store.table(table)?))
    }
}
