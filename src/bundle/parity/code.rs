//! The code: Reed–Solomon over GF(2¹⁶) by additive FFT (Leopard), in its "high rate" form, the one
//! that the format names whatever the counts are.
//!
//! Columns of 64 bytes of the shards do not depend on each other. So shards of any size are worked
//! on in stripes: as many bytes of each as memory allows, then the next.

use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::rate::{HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder};

use super::layout::Layout;
use crate::model::{Error, Kind, Result};

/// Bytes of all shards that are worked on at once. With the tables of the code, 9 MiB, and what is
/// read and hashed beside it, a process stays below 96 MiB.
const WORK_BYTES: u64 = 48 << 20;

/// Columns are this wide.
const COLUMN: u64 = 64;

/// Cuts shards into stripes: offset and width of each.
fn stripes(shard: u64, work: usize) -> impl Iterator<Item = (u64, usize)> {
    let width = (WORK_BYTES / work as u64 / COLUMN * COLUMN).clamp(COLUMN, shard);
    (0..shard).step_by(width as usize).map(move |at| (at, width.min(shard - at) as usize))
}

fn failed(error: reed_solomon_simd::Error) -> Error {
    Error::new(Kind::Malformed, "the shards of the parity do not fit its code").because(error)
}

/// Makes recovery shards. For each stripe, `read` gives the bytes of every shard of data (which
/// one, where in it, what to fill), then `write` takes those of every recovery shard.
///
/// # Errors
/// What `read` and `write` report.
pub(super) fn encode(
    layout: &Layout,
    mut read: impl FnMut(usize, u64, &mut [u8]) -> Result<()>,
    mut write: impl FnMut(usize, u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let (data, recovery) = (layout.data(), layout.recovery());
    let work = data.next_multiple_of(recovery.next_power_of_two());
    let mut encoder: Option<HighRateEncoder<DefaultEngine>> = None;
    let mut buffer = Vec::new();
    for (at, width) in stripes(layout.shard(), work) {
        let encoder = match &mut encoder {
            Some(encoder) => {
                encoder.reset(data, recovery, width).map_err(failed)?;
                encoder
            }
            empty => empty.insert(
                HighRateEncoder::new(data, recovery, width, DefaultEngine::new(), None)
                    .map_err(failed)?,
            ),
        };
        buffer.resize(width, 0);
        for shard in 0..data {
            read(shard, at, &mut buffer)?;
            encoder.add_original_shard(&buffer).map_err(failed)?;
        }
        for (shard, bytes) in encoder.encode().map_err(failed)?.recovery_iter().enumerate() {
            write(shard, at, bytes)?;
        }
    }
    Ok(())
}

/// Makes the lost shards of data again. `lost` are those, in ascending order, and `helpers` as many
/// recovery shards. `read` gives bytes of any other shard of data, and, counted on behind those, of
/// the helpers; `write` takes those of the lost ones.
///
/// # Errors
/// What `read` and `write` report.
pub(super) fn decode(
    layout: &Layout,
    lost: &[usize],
    helpers: &[usize],
    mut read: impl FnMut(usize, u64, &mut [u8]) -> Result<()>,
    mut write: impl FnMut(usize, u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let (data, recovery) = (layout.data(), layout.recovery());
    let work = (data + recovery.next_power_of_two()).next_power_of_two();
    let mut decoder: Option<HighRateDecoder<DefaultEngine>> = None;
    let mut buffer = Vec::new();
    for (at, width) in stripes(layout.shard(), work) {
        let decoder = match &mut decoder {
            Some(decoder) => {
                decoder.reset(data, recovery, width).map_err(failed)?;
                decoder
            }
            empty => empty.insert(
                HighRateDecoder::new(data, recovery, width, DefaultEngine::new(), None)
                    .map_err(failed)?,
            ),
        };
        buffer.resize(width, 0);
        for shard in (0..data).filter(|shard| lost.binary_search(shard).is_err()) {
            read(shard, at, &mut buffer)?;
            decoder.add_original_shard(shard, &buffer).map_err(failed)?;
        }
        for &helper in helpers {
            read(data + helper, at, &mut buffer)?;
            decoder.add_recovery_shard(helper, &buffer).map_err(failed)?;
        }
        for (shard, bytes) in decoder.decode().map_err(failed)?.restored_original_iter() {
            write(shard, at, bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::layout::Covered;
    use super::*;
    use crate::model::Digest;

    const SHARD: usize = 4096;

    /// Bytes that anybody can make: byte n of shard s.
    fn byte(shard: usize, n: usize) -> u8 {
        (shard * 31 + n * 7 + n / 256) as u8
    }

    fn layout(data: usize, recovery: usize) -> Layout {
        let length = (data * SHARD) as u64;
        let files = vec![Covered { name: "a".to_owned(), length }];
        Layout::new(SHARD as u64, files, recovery).unwrap()
    }

    fn fill(shard: usize, at: u64, buffer: &mut [u8]) {
        for (n, value) in buffer.iter_mut().enumerate() {
            *value = byte(shard, at as usize + n);
        }
    }

    fn recovery_of(layout: &Layout) -> Vec<Vec<u8>> {
        let mut made = vec![vec![0; SHARD]; layout.recovery()];
        let read = |shard, at, buffer: &mut [u8]| {
            fill(shard, at, buffer);
            Ok(())
        };
        encode(layout, read, |shard, at, bytes| {
            made[shard][at as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        made
    }

    /// Symbol n of a column: low bytes first, then high ones (format.md).
    fn symbol(column: &[u8], n: usize) -> u16 {
        u16::from_le_bytes([column[n], column[32 + n]])
    }

    /// The element of the field that a number stands for.
    fn element(number: u16) -> u16 {
        const BASIS: [u16; 16] = [
            0x0001, 0xacca, 0x3c0e, 0x163e, 0xc582, 0xed2e, 0x914c, 0x4012, 0x6c98, 0x10d8, 0x6a72,
            0xb900, 0xfdb8, 0xfb34, 0xff38, 0x991e,
        ];
        (0..16).filter(|bit| number >> bit & 1 == 1).fold(0, |sum, bit| sum ^ BASIS[bit])
    }

    /// Product modulo x¹⁶ + x⁵ + x³ + x² + 1.
    fn product(mut a: u16, b: u16) -> u16 {
        let mut sum = 0;
        for bit in 0..16 {
            if b >> bit & 1 == 1 {
                sum ^= a;
            }
            a = if a & 0x8000 == 0 { a << 1 } else { a << 1 ^ 0x002d };
        }
        sum
    }

    /// The sentence of format.md that defines the code, computed as it stands there: with all
    /// positions known, the sums over powers of the positions are zero.
    #[test]
    fn the_code_is_the_one_that_the_format_defines() {
        for (data, recovery) in [(1, 1), (3, 2), (5, 4), (4, 4), (20, 8), (9, 2)] {
            let layout = layout(data, recovery);
            assert!(recovery.is_power_of_two(), "only then is every position stored");
            let made = recovery_of(&layout);
            for n in [0, 1, 31] {
                for power in 0..recovery {
                    let mut sum = 0;
                    let stored = made.iter().map(|shard| symbol(&shard[64..128], n));
                    let symbols = stored.chain((0..data).map(|shard| {
                        let mut column = [0; 64];
                        fill(shard, 64, &mut column);
                        symbol(&column, n)
                    }));
                    for (position, value) in symbols.enumerate() {
                        let at = element(position as u16);
                        let weight = (0..power).fold(1, |weight, _| product(weight, at));
                        sum ^= product(element(value), weight);
                    }
                    assert_eq!(sum, 0, "{data}:{recovery}, symbol {n}, power {power}");
                }
            }
        }
    }

    /// Vectors of format.md: whoever makes other bytes has another code.
    #[test]
    fn the_vectors_hold() {
        let digest =
            |data, recovery| Digest::of(&recovery_of(&layout(data, recovery)).concat()).hex();
        assert_eq!(
            [digest(1, 1), digest(10, 3), digest(100, 100)],
            [
                "d24ac44c83cce842b67a82d2f77bcbe5e41dbd555605c92832d609e29c5a997c",
                "03de6ef24c6734c01b53e76492e49d6181e820ab2397f2f2f188b36788c99246",
                "eaad7482ec0db64913ca09cb37e3e09141a192e61757b6e3b47d05d96e54891b",
            ]
        );
    }

    #[test]
    fn as_many_are_made_again_as_there_are_helpers() {
        let layout = layout(50, 7);
        let made = recovery_of(&layout);
        let (lost, helpers) = ([0, 3, 17, 48, 49], [1, 2, 4, 5, 6]);
        let mut again = vec![vec![0; SHARD]; 50];
        decode(
            &layout,
            &lost,
            &helpers,
            |shard, at, buffer| {
                assert!(!lost.contains(&shard));
                match shard.checked_sub(50) {
                    Some(helper) => {
                        buffer.copy_from_slice(&made[helper][at as usize..][..buffer.len()]);
                    }
                    None => fill(shard, at, buffer),
                }
                Ok(())
            },
            |shard, at, bytes| {
                again[shard][at as usize..][..bytes.len()].copy_from_slice(bytes);
                Ok(())
            },
        )
        .unwrap();
        for shard in lost {
            let mut want = vec![0; SHARD];
            fill(shard, 0, &mut want);
            assert_eq!(again[shard], want, "{shard}");
        }
    }

    #[test]
    fn stripes_cover_a_shard_and_stay_within_memory() {
        for (shard, work) in [(4096, 1), (1 << 20, 4096), (4096, 32_768), (4 << 30, 32_768)] {
            let mut end = 0;
            for (at, width) in stripes(shard, work).take(100_000) {
                assert_eq!(at, end);
                assert!(width as u64 * work as u64 <= WORK_BYTES || width == 64);
                assert!(width.is_multiple_of(64));
                end += width as u64;
            }
            assert!(end == shard || shard > 1 << 30);
        }
    }
}
