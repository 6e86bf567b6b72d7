//! A row that moves to another class (servicenow_api.md section 11.9; capture.md section 4): it leaves
//! its table without a delete.

use std::sync::Arc;

use crate::error::Error;
use crate::row::Row;
use crate::store::alter::in_columns;
use crate::store::history::End;
use crate::store::{Actor, Store, changed};

impl Store {
    /// Gives a row another class of the same hierarchy: it keeps the columns that both have, its stamps
    /// move.
    pub(crate) fn change_class(
        &mut self,
        table: &str,
        id: &str,
        class: &str,
        actor: Actor<'_>,
    ) -> Result<(), Error> {
        let old = self.find(table, id)?;
        let schema = Arc::clone(&self.table(class)?.schema);
        if schema.chain.last() != old.class.chain.last() {
            return Err(Error::UnrelatedClass {
                from: old.class.name.clone(),
                to: class.to_owned(),
            });
        }
        let changes = Row::new().set("sys_class_name", class);
        let Some((row, _)) = changed(&in_columns(&old, &schema), &changes, actor) else {
            return Ok(());
        };
        self.take_out(&old, End::Reclassified)?;
        self.add(class, vec![(row, Vec::new())], actor).map(drop)
    }
}
