//! `sealift inspect`.

use super::console::Console;
use super::request;
use crate::model::{Error, Result};

pub(super) fn run(request: &request::Inspect, console: &Console) -> Result<()> {
    let _ = (request, console);
    Err(Error::usage("sealift inspect is not in this build"))
}
