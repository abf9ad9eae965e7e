//! A door for fuzz targets: what a registry answers, read by the very functions that read it in
//! earnest. Nothing else comes through here.

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use super::challenge::Challenge;
use crate::model::Result;

/// Whether these lines of `WWW-Authenticate` hold a challenge that can be answered.
pub fn challenge(lines: &[&str]) -> bool {
    let mut headers = HeaderMap::new();
    for line in lines.iter().filter_map(|line| HeaderValue::from_str(line).ok()) {
        headers.append(WWW_AUTHENTICATE, line);
    }
    Challenge::of(&headers).is_some()
}

/// Where an upload goes that `base` answered `request` with.
///
/// # Errors
/// [`Kind::Remote`](crate::model::Kind::Remote) for another origin, and for what is no address.
pub fn upload_location(base: &Url, request: &Url, location: &str) -> Result<Url> {
    super::address::upload_location(base, request, location)
}
