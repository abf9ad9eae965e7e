//! `sealift diff`.

use serde_json::json;

use super::bases;
use super::output::{Align, Output, Table, size};
use super::request;
use crate::bundle::{Base, Bundle};
use crate::model::Result;
use crate::operation::diff::{self, Image};

pub(super) fn run(request: &request::Diff) -> Result<()> {
    let trust = request.trust.load()?;
    let identities = request.unlock.identities()?;
    let known = bases::known(&request.old, &trust, &identities)?;
    let new = Bundle::open_set(std::slice::from_ref(&request.new), None, &identities)?
        .authenticate(&trust)?;
    let images = match Base::new(&known)? {
        Some(old) => diff::diff(&old, new.contents())?,
        None => Vec::new(),
    };
    show(&images, request.json)
}

fn show(images: &[Image], as_json: bool) -> Result<()> {
    let mut out = Output::stdout();
    let sum = |of: fn(&Image) -> u64| images.iter().map(of).sum::<u64>();
    let (blobs, content) = (sum(|image| image.news.size), sum(|image| image.news.content));
    let stored = sum(|image| image.news.stored);
    if as_json {
        let images = images.iter().map(|image| {
            json!({
                "name": image.name,
                "digest": image.digest,
                "same": image.same,
                "new": image.new,
                "newBlobBytes": image.news.size,
                "newContentBytes": image.news.content,
                "storedBytes": image.news.stored,
            })
        });
        return out.json(&json!({
            "images": images.collect::<Vec<_>>(),
            "newBlobBytes": blobs,
            "newContentBytes": content,
            "storedBytes": stored,
        }));
    }
    let mut table = Table::new(&[
        ("IMAGE", Align::Left),
        ("SAME BLOBS", Align::Right),
        ("NEW BLOBS", Align::Right),
        ("THEIR SIZE", Align::Right),
        ("NEW CONTENT", Align::Right),
        ("STORED", Align::Right),
    ]);
    for image in images {
        table.row([
            image.name.clone(),
            image.same.to_string(),
            image.new.to_string(),
            size(image.news.size),
            size(image.news.content),
            size(image.news.stored),
        ]);
    }
    out.table(&table)?;
    out.line("")?;
    out.line(format!(
        "a delta carries at most {}: {} of content that the first lacks, out of {} of new blobs",
        size(stored),
        size(content),
        size(blobs)
    ))
}
