//! How a blob is rebuilt.

use crate::codec::stretches::Stretches;

/// A run of chunks that follow each other in the chunk table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of the first chunk.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// What a blob is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Its bytes stand in the index itself: manifests and configurations, so that the index alone
    /// shows what the images are.
    Inline(std::sync::Arc<[u8]>),
    /// It is this blob of the base, whole.
    Base(u32),
    /// Its bytes are those of the chunks, one after another.
    Chunks(Vec<Run>),
    /// A tar that was taken apart: each stretch takes so many bytes of `meta`, then so many of
    /// `content`.
    Tar {
        /// Chunks of the describing side: headers, padding.
        meta: Vec<Run>,
        /// Chunks of the content of files.
        content: Vec<Run>,
        /// The stretches, in order.
        stretches: Stretches,
    },
}

/// How a body becomes the blob. The number of an encoding never changes its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// The blob is its body.
    #[default]
    None,
    /// The body is what a gzip stream opens to.
    Gzip {
        /// A [`GzipRecipe`](crate::codec::deflate::GzipRecipe) as it is written down.
        recipe: std::sync::Arc<[u8]>,
        /// Chunks of the corrections that it takes, if any.
        corrections: Vec<Run>,
    },
}

/// How a blob is rebuilt: what its body is and how the body is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What the blob, or the plain form that the encoding works on, is made of.
    pub body: Body,
    /// How the body becomes the blob.
    pub encoding: Encoding,
}

impl From<Body> for Recipe {
    fn from(body: Body) -> Self {
        Self { body, encoding: Encoding::None }
    }
}

impl Recipe {
    /// How many chunks it takes to rebuild the blob; one that is needed twice counts twice.
    pub fn chunks(&self) -> u64 {
        self.runs().flatten().map(|run| u64::from(run.count)).sum()
    }

    /// Its lists of runs.
    pub fn runs(&self) -> impl Iterator<Item = &[Run]> {
        let [first, second]: [&[Run]; 2] = match &self.body {
            Body::Inline(_) | Body::Base(_) => [&[], &[]],
            Body::Chunks(runs) => [runs, &[]],
            Body::Tar { meta, content, .. } => [meta, content],
        };
        let third: &[Run] = match &self.encoding {
            Encoding::None => &[],
            Encoding::Gzip { corrections, .. } => corrections,
        };
        [first, second, third].into_iter()
    }
}

/// Appends a chunk to a list of runs.
pub(super) fn push_chunk(runs: &mut Vec<Run>, chunk: u32) {
    match runs.last_mut() {
        Some(run) if run.first.checked_add(run.count) == Some(chunk) => run.count += 1,
        _ => runs.push(Run { first: chunk, count: 1 }),
    }
}
