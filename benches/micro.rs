//! Micro-benchmarks of what takes the time of an export and an import: the engines, the chunker,
//! and a layer proved and made again. Run with `make micro`.

#![expect(missing_docs, reason = "the macros of criterion make functions without")]

use std::hint::black_box;
use std::io::{Cursor, Read};
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sealift::codec::chunk::Chunker;
use sealift::codec::deflate::{BitWriter, Coder, GzipRecipe, Pool, Proof, Rebuilt, prove};

/// A few megabytes of what layers hold: the program that runs, and the text of its dependencies.
fn content() -> Vec<u8> {
    let mut content =
        std::fs::read(std::env::current_exe().expect("it runs")).expect("it is there");
    content.truncate(6 << 20);
    content.extend(std::fs::read("Cargo.lock").expect("it stands in the crate"));
    content
}

/// The likeliest engines, by the numbers that stand in bundles.
const ENGINES: [(&str, u16); 6] = [
    ("go 6", 0x0106),
    ("go 1", 0x0101),
    ("zlib 6", 0x0286),
    ("gzip 9", 0x0309),
    ("pigz 6", 0x0506),
    ("pgzip 5", 0x1405),
];

fn stream(coder: Coder, plain: &[u8]) -> Vec<u8> {
    let mut encoder = coder.engine().expect("it is in the catalogue").begin();
    let mut out = BitWriter::default();
    encoder.write(plain, &mut out);
    encoder.finish(&mut out);
    out.finish()
}

fn engines(criterion: &mut Criterion) {
    let plain = content();
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Bytes(plain.len() as u64)).sample_size(10);
    for (name, number) in ENGINES {
        group.bench_with_input(BenchmarkId::from_parameter(name), &plain, |bencher, plain| {
            bencher.iter(|| black_box(stream(Coder(number), plain)));
        });
    }
    group.finish();
}

fn chunker(criterion: &mut Criterion) {
    let plain = content();
    let mut group = criterion.benchmark_group("chunker");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("one file", |bencher| {
        let mut chunker = Chunker::default();
        bencher.iter(|| {
            let mut chunks = 0;
            chunker.push(&plain, &mut |_| chunks += 1);
            chunker.end(&mut |_| chunks += 1);
            black_box(chunks)
        });
    });
    group.finish();
}

fn recipes(criterion: &mut Criterion) {
    let plain = content();
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(stream(Coder(0x0106), &plain));
    let mut crc = flate2::Crc::new();
    crc.update(&plain);
    gzip.extend(crc.sum().to_le_bytes());
    gzip.extend(crc.amount().to_le_bytes());
    let Ok(Proof::Exact { recipe, .. }) = prove(&mut Cursor::new(&gzip)) else {
        panic!("a stream of an engine is proved")
    };
    let written = recipe.to_bytes();
    let mut group = criterion.benchmark_group("recipe");
    group.throughput(Throughput::Bytes(plain.len() as u64)).sample_size(10);
    group.bench_function("prove", |bencher| {
        bencher.iter(|| black_box(prove(&mut Cursor::new(&gzip)).is_ok()));
    });
    for threads in [1, 2] {
        let pool = Arc::new(Pool::new(threads));
        group.bench_function(BenchmarkId::new("rebuild, threads", threads), |bencher| {
            bencher.iter(|| {
                let recipe = GzipRecipe::parse(&written).expect("it was just written");
                let mut made = Vec::new();
                Rebuilt::new(&plain[..], recipe, Vec::new(), Arc::clone(&pool))
                    .read_to_end(&mut made)
                    .expect("it fits");
                assert!(made == gzip);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, engines, chunker, recipes);
criterion_main!(benches);
