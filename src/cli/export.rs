//! `sealift export`.

use super::console::Console;
use super::request;
use crate::model::{Error, Result};

pub(super) fn run(request: &request::Export, console: &Console) -> Result<()> {
    let _ = (request, console);
    Err(Error::usage("sealift export is not in this build"))
}
