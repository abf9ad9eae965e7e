//! `sealift key generate` and `sealift key show`.

use super::console::Console;
use super::request;
use crate::model::{Error, Result};

pub(super) fn generate(request: &request::Generate, console: &Console) -> Result<()> {
    let _ = (request, console);
    Err(Error::usage("sealift key generate is not in this build"))
}

pub(super) fn show(request: &request::Show, console: &Console) -> Result<()> {
    let _ = (request, console);
    Err(Error::usage("sealift key show is not in this build"))
}
