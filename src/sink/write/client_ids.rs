//! Whether the instance takes the sys_ids that are sent with new rows.
//!
//! A create is kept from making a second row by the sys_id that is chosen for it beforehand. That protects
//! nothing where the instance, or a rule of the table, chooses another one: a create that is sent again then
//! makes a row again. The first create tells. Until its answer is there no other create is sent, and where
//! the answer names another sys_id, none is sent any more.
//!
//! The one that tells is the first record in flight of its partition: all behind it are held when it has told
//! that sys_ids are not taken, but it is finished, and so committed, and does not come again under the identity
//! of a better configuration.

use crate::sink::record::{NewRowIdentity, WriteOperation};
use crate::sync::Mutex;

/// Hexadecimal digits of a sys_id of the platform's making.
const SYS_ID_DIGITS: usize = 32;

/// What is known of the sys_ids that new rows are sent with.
#[derive(Debug, Default)]
pub(super) struct ClientIds(Mutex<Known>);

/// The same by the form of the sys_id, as an instance may take those that look like its own and no others.
#[derive(Debug, Default)]
struct Known {
    /// Of 32 hexadecimal digits.
    usual: Acceptance,
    /// Of any other form.
    unusual: Acceptance,
    /// Why no row is made any more, if sys_ids of a form are ignored.
    objection: Option<String>,
}

/// Whether the instance takes sys_ids of one form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Acceptance {
    #[default]
    Unknown,
    /// A create is under way whose answer will tell.
    Trying,
    Taken,
    Ignored,
}

/// Whether a create may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CreatePermit {
    /// It may.
    Granted,
    /// It may, and no other one before [`ClientIds::taken`], [`ClientIds::ignored`] or [`ClientIds::give_back`].
    Trial,
    /// Another create is under way whose answer will tell.
    TrialRuns,
    /// No create has told yet, and this one should not be the one.
    TrialReserved,
    /// It would get a sys_id of the instance's choice.
    Refused,
}

impl ClientIds {
    /// Asks to send a create with this sys_id. `may_try`: it may be the one that tells.
    pub(super) fn permit(&self, id: &str, may_try: bool) -> CreatePermit {
        let mut known = self.0.lock();
        let acceptance = known.of(id);
        match acceptance {
            Acceptance::Unknown if may_try => {
                *acceptance = Acceptance::Trying;
                CreatePermit::Trial
            }
            Acceptance::Unknown => CreatePermit::TrialReserved,
            Acceptance::Trying => CreatePermit::TrialRuns,
            Acceptance::Taken => CreatePermit::Granted,
            Acceptance::Ignored => CreatePermit::Refused,
        }
    }

    /// The row of a create that was sent with `id` has that sys_id.
    pub(super) fn taken(&self, id: &str) {
        *self.0.lock().of(id) = Acceptance::Taken;
    }

    /// The row of a create that was sent with `id` has another sys_id, which is why no row is made any more; see
    /// [`words`].
    pub(super) fn ignored(&self, id: &str, objection: &str) {
        let mut known = self.0.lock();
        *known.of(id) = Acceptance::Ignored;
        known.objection.get_or_insert_with(|| objection.to_owned());
    }

    /// Why no row is made any more.
    pub(super) fn objection(&self) -> Option<String> {
        self.0.lock().objection.clone()
    }

    /// A create that was to tell has told nothing: the next one is to.
    pub(super) fn give_back(&self, id: &str) {
        let mut known = self.0.lock();
        let acceptance = known.of(id);
        if *acceptance == Acceptance::Trying {
            *acceptance = Acceptance::Unknown;
        }
    }

    /// Whether the instance was seen to choose another sys_id than one of this form.
    pub(super) fn are_ignored(&self, id: &str) -> bool {
        *self.0.lock().of(id) == Acceptance::Ignored
    }
}

impl Known {
    fn of(&mut self, id: &str) -> &mut Acceptance {
        if is_usual(id) {
            &mut self.usual
        } else {
            &mut self.unusual
        }
    }
}

fn is_usual(id: &str) -> bool {
    id.len() == SYS_ID_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Why no create like `operation` is sent to `table` any more, and what to do.
pub(super) fn words(operation: &WriteOperation, table: &str) -> String {
    let what_to_do = match &operation.create {
        NewRowIdentity::Given(id) if is_usual(id) => {
            "leave the sys_id out of records that make rows, or set `on_missing: dead_letter` or \
             `on_missing: skip`"
        }
        NewRowIdentity::Given(_) => {
            "give such records a sys_id of 32 hexadecimal digits, or set `on_missing: dead_letter` \
             or `on_missing: skip`"
        }
        _ => {
            "set `create_id: field`, so that a column holds the identity, or `create_id: none` where \
             a second row does no harm"
        }
    };
    format!(
        "the instance chose another sys_id for a new row of table `{table}` than the one that was \
         sent, so that a create which is sent again would make a second row; no further row is \
         made: {what_to_do}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "0123456789abcdef0123456789ABCDEF";
    const UNUSUAL: &str = "employee-17";

    #[test]
    fn one_create_tells_for_all() {
        let ids = ClientIds::default();
        assert_eq!(ids.permit(USUAL, false), CreatePermit::TrialReserved);
        assert_eq!(ids.permit(USUAL, true), CreatePermit::Trial);
        assert_eq!(ids.permit(USUAL, true), CreatePermit::TrialRuns);
        // It was not answered: the next one tells.
        ids.give_back(USUAL);
        assert_eq!(ids.permit(USUAL, true), CreatePermit::Trial);
        ids.taken(USUAL);
        ids.give_back(USUAL);
        assert_eq!(ids.permit(USUAL, false), CreatePermit::Granted);
        ids.ignored(USUAL, "why");
        assert_eq!(ids.permit(USUAL, true), CreatePermit::Refused);
        assert!(ids.are_ignored(USUAL));
    }

    #[test]
    fn one_form_tells_nothing_of_the_other() {
        let ids = ClientIds::default();
        ids.taken(USUAL);
        assert_eq!(ids.permit(UNUSUAL, true), CreatePermit::Trial);
        ids.ignored(UNUSUAL, "why");
        assert!(ids.are_ignored(UNUSUAL) && !ids.are_ignored(USUAL));
    }
}
