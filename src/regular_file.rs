//! Regular files: opening them without waiting and without being led elsewhere, reading them up to a bound,
//! replacing them as a whole, and whose they are.

mod fault;
mod folder;
mod json_file;
mod open;
mod replacement;
mod write_access;

pub(crate) use self::fault::FileFault;
pub(crate) use self::folder::{become_folder_owner, existing_folder, folder_of, sibling};
pub(crate) use self::json_file::{JsonFile, is_other_content};
pub(crate) use self::open::{
    Access, Links, RegularFile, open, open_or_create, read_up_to, resolve,
};
pub(crate) use self::replacement::FileReplacement;
pub(crate) use self::write_access::{WriteAccess, look};
