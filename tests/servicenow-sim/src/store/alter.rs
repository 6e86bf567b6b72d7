//! Columns that come, go or get another type while a table is in use. A row has the columns of its
//! table as `sys_dictionary` lists them (servicenow_api.md section 5, line 284); that it has more or
//! fewer from now on changes no stamp.

use std::sync::Arc;

use crate::error::Error;
use crate::row::Stored;
use crate::schema::{Schema, Table};
use crate::store::Store;

impl Store {
    /// Gives a table without classes below it other columns of its own. Rows keep the values of the
    /// columns that stay, new ones are empty.
    pub(crate) fn alter(&mut self, table: Table) -> Result<(), Error> {
        let parent = match &table.parent {
            Some(name) => Some(self.table(name)?.schema.as_ref()),
            None => None,
        };
        let schema = Arc::new(Schema::new(table, parent));
        let name = schema.name.clone();
        if self.classes_of(&name).len() != 1 {
            return Err(Error::HasClasses(name));
        }
        let before = self.table(&name)?.by_id().rows().to_vec();
        self.table_mut(&name)?.schema = Arc::clone(&schema);
        for old in before {
            let row = Arc::new(in_columns(&old, &schema));
            for class in &schema.chain {
                for index in &mut self.table_mut(class)?.indexes {
                    index.remove(&old);
                    index.insert(Arc::clone(&row));
                }
            }
        }
        self.describe(&name)
    }
}

/// The row with the columns of `schema`.
pub(super) fn in_columns(old: &Stored, schema: &Arc<Schema>) -> Stored {
    let value = |name: &str| {
        let at = old.class.find(name);
        at.map(|at| old.value(at).into_owned()).unwrap_or_default()
    };
    let columns = schema.columns.iter();
    let values: Vec<String> = columns.map(|column| value(&column.name)).collect();
    let row = Stored::new(Arc::clone(schema), &values);
    row.set_hidden(old.is_hidden());
    row
}
