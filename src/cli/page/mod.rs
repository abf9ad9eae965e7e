//! A report as a page: one HTML file without scripts and without anything from elsewhere, made to be
//! printed on A4 in black and white, and signed.

mod markup;

use base64::Engine as _;

use self::markup::Markup;
use super::output::{count, size};
use crate::model::Digest;
use crate::operation::evidence::{Finding, ImageFacts, Report, SeenFile};

const STYLE: &str = include_str!("style.css");

/// The report as HTML.
pub(super) fn page(report: &Report) -> String {
    let mut page = Markup::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Whoever opens it gets this style and nothing else, whatever a name in it says.
    let Digest::Sha256(hash) = Digest::of(STYLE.as_bytes()) else { unreachable!("of is SHA-256") };
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-")
        .text(&hash)
        .raw("'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n")
        .between("<title>Verification report: ", subject(report), "</title>\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n");
    head(&mut page, report);
    page.raw("<main>\n");
    verdict(&mut page, report);
    check(&mut page, report);
    findings(&mut page, report);
    not_checked(&mut page, report);
    bundle(&mut page, report);
    signatures(&mut page, report);
    images(&mut page, report);
    sign(&mut page);
    page.raw("</main>\n");
    foot(&mut page, report);
    page.raw("</body>\n</html>\n");
    page.finish()
}

/// What the report is about.
fn subject(report: &Report) -> String {
    match report.files.as_slice() {
        [] => "no file".to_owned(),
        [only] => path(only).to_owned(),
        [first, rest @ ..] => format!("{} and {} more", path(first), rest.len()),
    }
}

/// Where a file is, or what it would be called.
fn path(file: &SeenFile) -> &str {
    file.path.as_deref().unwrap_or("(name unknown)")
}

/// A moment, for people.
fn moment(text: &str) -> String {
    text.replace('T', " ").replace('Z', " UTC")
}

/// A row of a table of facts.
fn fact(page: &mut Markup, name: &'static str, value: impl AsRef<str>) {
    page.raw("<tr><th scope=\"row\">").raw(name).raw("</th>").between(
        "<td>",
        value,
        "</td></tr>\n",
    );
}

/// The same, for digests and the like.
fn code(page: &mut Markup, name: &'static str, value: impl AsRef<str>) {
    page.raw("<tr><th scope=\"row\">").raw(name).raw("</th>").between(
        "<td><code>",
        value,
        "</code></td></tr>\n",
    );
}

fn head(page: &mut Markup, report: &Report) {
    page.raw("<header>\n<h1>Verification report</h1>\n")
        .between("<p class=\"file\">", subject(report), "</p>\n")
        .between("<p>", moment(&report.check.when), " by ")
        .between("", &report.check.program, "");
    if let Some(machine) = &report.check.machine {
        page.between(" on ", machine, "");
    }
    page.raw("</p>\n</header>\n");
}

fn verdict(page: &mut Markup, report: &Report) {
    let verdict = &report.verdict;
    if verdict.ok {
        let words =
            if report.check.depth == Some("quick") { "STORED BYTES VERIFIED" } else { "VERIFIED" };
        page.raw("<section class=\"verdict good\">\n<strong>").raw(words);
    } else {
        page.raw("<section class=\"verdict refused\">\n<strong>NOT VERIFIED: ")
            .text(verdict.result.to_uppercase());
    }
    page.raw("</strong>\n").between("<p>", &verdict.sentence, "</p>\n");
    if let Some(hint) = &verdict.hint {
        page.between("<p>What to do: ", hint, "</p>\n");
    }
    page.between("<p>Exit code ", verdict.exit_code.to_string(), "</p>\n</section>\n");
}

fn check(page: &mut Markup, report: &Report) {
    page.raw("<h2>What was checked</h2>\n<table class=\"facts\"><tbody>\n");
    let how = match report.check.depth {
        Some("quick") => "quick: signatures, and every stored byte against its signed digest",
        _ => {
            "full: signatures, every stored byte, every blob rebuilt and hashed, every image complete"
        }
    };
    fact(page, "Depth asked for", how);
    fact(page, "Command", format!("sealift {}", report.check.command));
    if let Some(digest) = &report.digest {
        code(page, "Bundle", digest.to_string());
    }
    page.raw("</tbody></table>\n<table>\n<caption>Files, as they lie on the medium</caption>\n");
    page.raw("<thead><tr><th scope=\"col\">File and its SHA-256</th><th scope=\"col\" class=\"number\">Volume</th><th scope=\"col\" class=\"number\">Bytes</th></tr></thead>\n<tbody>\n");
    for file in &report.files {
        page.between("<tr><td><span class=\"name\">", path(file), "</span><br>");
        match (&file.sha256, &file.problem) {
            (Some(digest), _) => page.between("<code>", digest, "</code>"),
            (None, Some(problem)) => page.between("not hashed: ", problem, ""),
            (None, None) => page.raw("not hashed"),
        };
        let bytes = file.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        let volume = file.volume.map_or_else(|| "-".to_owned(), |volume| volume.to_string());
        page.between("</td><td class=\"number\">", volume, "</td>").between(
            "<td class=\"number\">",
            bytes,
            "</td></tr>\n",
        );
    }
    page.raw("</tbody></table>\n");
}

fn bundle(page: &mut Markup, report: &Report) {
    page.raw("<h2>What the bundle says of itself</h2>\n");
    let Some(bundle) = &report.bundle else {
        page.raw("<p>No trusted key vouches for the bundle. Nothing that it says is repeated here.</p>\n");
        return;
    };
    page.raw("<table class=\"facts\"><tbody>\n");
    fact(page, "Made", format!("{} by {}", moment(&bundle.created), bundle.generator));
    code(page, "Set", &bundle.set);
    if let (Some(stream), Some(sequence)) = (&bundle.stream, bundle.sequence) {
        fact(page, "Stream", format!("{stream}, number {sequence}"));
    }
    if let Some(standing) = bundle.standing {
        fact(page, "Standing", standing);
    }
    if let Some(expires) = &bundle.expires {
        fact(page, "Good until", moment(expires));
    }
    if let Some(base) = &bundle.base {
        code(page, "Delta of", base.to_string());
    }
    fact(
        page,
        "Holds",
        format!(
            "{} in {} and {}",
            count(bundle.blobs, "blob"),
            count(bundle.packs, "pack"),
            count(bundle.volumes, "volume")
        ),
    );
    page.raw("</tbody></table>\n");
}

fn signatures(page: &mut Markup, report: &Report) {
    page.raw("<h2>Who sealed it</h2>\n");
    match report.trust.threshold {
        0 | 1 => page.raw("<p>One of the keys that count must have signed.</p>\n"),
        several => page.between(
            "<p>",
            several.to_string(),
            " different keys of those that count must have signed.</p>\n",
        ),
    };
    page.raw("<table>\n<caption>Keys that count on this machine</caption>\n<thead><tr><th scope=\"col\">Key, and the file that says so</th><th scope=\"col\">Name</th><th scope=\"col\">May sign</th></tr></thead>\n<tbody>\n");
    for key in &report.trust.keys {
        page.between("<tr><td><code>", &key.id, "</code><br>")
            .between("<span class=\"small\">", &key.file, "</span></td>")
            .between("<td>", key.name.as_deref().unwrap_or("-"), "</td>")
            .between("<td>", &key.may_sign, "</td></tr>\n");
    }
    for key in &report.trust.revoked {
        page.between("<tr><td><code>", &key.id, "</code><br>")
            .between("<span class=\"small\">", &key.file, "</span></td>")
            .between("<td>", key.name.as_deref().unwrap_or("-"), "</td>")
            .between("<td>nothing: revoked since ", &key.since, "</td></tr>\n");
    }
    if report.trust.keys.is_empty() && report.trust.revoked.is_empty() {
        page.raw("<tr><td colspan=\"3\">none</td></tr>\n");
    }
    page.raw("</tbody></table>\n<table>\n<caption>Signatures of the bundle</caption>\n<thead><tr><th scope=\"col\">Key that it names</th><th scope=\"col\">Name</th><th scope=\"col\">Verdict</th></tr></thead>\n<tbody>\n");
    for signature in &report.signatures {
        page.between("<tr><td><code>", &signature.key, "</code></td>")
            .between("<td>", signature.name.as_deref().unwrap_or("-"), "</td>")
            .between("<td>", signature.verdict, "</td></tr>\n");
    }
    if report.signatures.is_empty() {
        page.raw("<tr><td colspan=\"3\">none was found</td></tr>\n");
    }
    page.raw("</tbody></table>\n");
}

fn images(page: &mut Markup, report: &Report) {
    if report.bundle.is_none() {
        return;
    }
    page.between("<h2>Images (", report.images.len().to_string(), ")</h2>\n");
    page.raw("<table>\n<thead><tr><th scope=\"col\">Image, digest, media type</th><th scope=\"col\">Platforms</th><th scope=\"col\" class=\"number\">Size</th><th scope=\"col\">State</th></tr></thead>\n<tbody>\n");
    for image in &report.images {
        row(page, image);
    }
    page.raw("</tbody></table>\n");
}

fn row(page: &mut Markup, image: &ImageFacts) {
    page.raw("<tr><td>")
        .between(
            "<span class=\"name\">",
            image.name.as_deref().unwrap_or("(no name)"),
            "</span><br>",
        )
        .between("<code>", image.digest.to_string(), "</code><br>")
        .between("<span class=\"small\">", &image.media_type, "</span>");
    if let Some(origin) = &image.origin {
        page.between("<br><span class=\"small\">read at ", origin, "</span>");
    }
    if let Some(index) = &image.from_index {
        page.between("<br><span class=\"small\">taken out of ", index.to_string(), "</span>");
    }
    if image.synthesized {
        page.raw("<br><span class=\"small\">its source had no manifest; sealift made it</span>");
    }
    if !image.attached.is_empty() {
        page.raw("<ul class=\"small\">\n");
        for attached in &image.attached {
            page.between("<li>attached (", &attached.kind, "")
                .between(", ", attached.tag.as_deref().unwrap_or("by its subject"), "): ")
                .between("<code>", attached.digest.to_string(), "</code>, ")
                .between("", &attached.media_type, ", ")
                .between("", size(attached.size), "</li>\n");
        }
        page.raw("</ul>");
    }
    let platforms = match image.platforms.as_slice() {
        [] => "-".to_owned(),
        some => some.join(", "),
    };
    page.between("</td><td>", platforms, "</td>")
        .between("<td class=\"number\">", image.size.map_or_else(|| "-".to_owned(), size), "</td>")
        .between("<td>", image.state, "</td></tr>\n");
}

fn findings(page: &mut Markup, report: &Report) {
    page.between("<h2>Findings (", report.findings.len().to_string(), ")</h2>\n");
    if report.findings.is_empty() {
        page.raw("<p>Nothing was found wrong.</p>\n");
    }
    for finding in &report.findings {
        write_finding(page, finding);
    }
}

fn write_finding(page: &mut Markup, finding: &Finding) {
    page.raw("<div class=\"finding\">\n").between("<p><b>", finding.result, "</b>");
    if let Some(volume) = finding.volume {
        page.between(", volume ", volume.to_string(), "");
    }
    if let Some(file) = &finding.file {
        page.between(" (", file, ")");
    }
    if let Some(offset) = finding.offset {
        page.between(", byte ", offset.to_string(), "");
    }
    page.between(": ", &finding.sentence, "</p>\n");
    if let Some(hint) = &finding.hint {
        page.between("<p>What to do: ", hint, "</p>\n");
    }
    if !finding.images.is_empty() {
        page.between("<p>Images hit: ", finding.images.join(", "), "</p>\n");
    }
    if !finding.blobs.is_empty() {
        let blobs: Vec<String> = finding.blobs.iter().map(ToString::to_string).collect();
        page.between("<p>Blobs lost: <code>", blobs.join(" "), "</code></p>\n");
    }
    page.raw("</div>\n");
}

fn not_checked(page: &mut Markup, report: &Report) {
    page.raw("<h2>What could not be checked</h2>\n");
    if report.not_checked.is_empty() {
        page.raw("<p>Nothing was left out.</p>\n");
        return;
    }
    page.raw("<ul>\n");
    for gap in &report.not_checked {
        page.between("<li><b>", gap.what, "</b>: ").between("", &gap.why, "</li>\n");
    }
    page.raw("</ul>\n");
}

fn sign(page: &mut Markup) {
    page.raw("<section class=\"sign\">\n<h2>Signed off</h2>\n<table>\n");
    for role in ["Checked by: name", "Released by: name"] {
        page.raw("<tr><td></td><td></td><td></td></tr>\n<tr><th>")
            .raw(role)
            .raw("</th><th>place and date</th><th>signature</th></tr>\n");
    }
    page.raw("</table>\n</section>\n");
}

fn foot(page: &mut Markup, report: &Report) {
    page.raw("<footer>\n");
    if let Some(key) = &report.check.signed_by {
        page.between(
            "<p>This file is signed by the key <code>",
            key,
            "</code>. To check it:</p>\n",
        );
        page.raw("<p><code>openssl pkeyutl -verify -rawin -pubin -inkey KEY.pub -in FILE -sigfile FILE.sig</code></p>\n");
    }
    page.raw("<p>The digest of a bundle is the SHA-256 of its manifest, which names every byte that it holds. The same data for programs: sealift verify --report FILE.json</p>\n</footer>\n");
}
