//! `sealift verify`.

use super::console::Console;
use super::request;
use crate::model::{Error, Result};

pub(super) fn run(request: &request::Verify, console: &Console) -> Result<()> {
    let _ = (request, console);
    Err(Error::usage("sealift verify is not in this build"))
}
