//! `sealift import`.

use super::console::Console;
use super::request;
use crate::model::{Error, Result};

pub(super) fn run(request: &request::Import, console: &Console) -> Result<()> {
    let _ = (request, console);
    Err(Error::usage("sealift import is not in this build"))
}
