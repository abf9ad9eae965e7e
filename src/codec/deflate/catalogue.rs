//! Which engines there are, by the number that stands in bundles, and which of them may have made a
//! stream.

use std::sync::Arc;

use super::Engine;
use super::go::GoFlate;
use super::klauspost::{Generation, Klauspost};
use super::recipe::Coder;
use super::zlib::pigz::{Blocks, DEFAULT_BLOCK};
use super::zlib::{self, Program, Setting};

// The families. The lower byte of a number is the setting: a level, and for some in its upper half
// what else there is to choose.
const GO: u16 = 0x0100;
const ZLIB: u16 = 0x0200;
const GZIP: u16 = 0x0300;
const BUSYBOX: u16 = 0x0400;
const PIGZ: u16 = 0x0500;
/// One family for each generation: 0x10 and 0x20 with the place of the generation in
/// [`GENERATIONS`].
const PGZIP: u16 = 0x1000;
const KLAUSPOST: u16 = 0x2000;

/// Generations of klauspost's encoder, in the order of their numbers.
const GENERATIONS: [Generation; 8] = [
    Generation::V1_14_3,
    Generation::V1_15_0,
    Generation::V1_15_11,
    Generation::V1_15_15,
    Generation::V1_18_0,
    Generation::V1_18_2,
    Generation::V1_20_0,
    Generation::Go1_27,
];

/// How pigz can cut its input, in the order of their numbers.
const BLOCKS: [Blocks; 3] = [Blocks::Primed, Blocks::Continued, Blocks::Independent];

impl Coder {
    const fn new(family: u16, high: u8, level: u8) -> Self {
        Self(family | (high as u16) << 4 | level as u16)
    }

    const fn go(level: i8) -> Self {
        Self(GO | level.cast_unsigned() as u16)
    }

    const fn generation(family: u16, generation: u16, level: i8) -> Self {
        Self(family | generation << 8 | level.cast_unsigned() as u16)
    }

    /// Generation and level of a number of one of klauspost's families.
    fn of_klauspost(self) -> Option<(Generation, i8)> {
        let generation = *GENERATIONS.get(usize::from(self.0 >> 8 & 15))?;
        Some((generation, ((self.0 & 0xff) as u8).cast_signed()))
    }

    /// The engine; `None` for the general coder and for numbers that this version does not know.
    pub fn engine(self) -> Option<Arc<dyn Engine>> {
        let setting = (self.0 & 0xff) as u8;
        let (high, level) = (setting >> 4, setting & 15);
        let family = |program| zlib::engine(Setting { program, level });
        match self.0 & 0xf000 {
            PGZIP => {
                let (generation, level) = self.of_klauspost()?;
                return Some(Arc::new(Klauspost::pgzip(generation, level)?));
            }
            KLAUSPOST => {
                let (generation, level) = self.of_klauspost()?;
                return Some(Arc::new(Klauspost::plain(generation, level)?));
            }
            _ => {}
        }
        Some(match self.0 & 0xff00 {
            GO => Arc::new(GoFlate::new(setting.cast_signed())?),
            ZLIB => Arc::new(family(Program::Zlib { mem_level: high })?),
            GZIP if high == 0 => Arc::new(family(Program::Gzip)?),
            BUSYBOX => Arc::new(family(Program::BusyBox { fast: high })?),
            PIGZ => Arc::new(zlib::pigz(level, DEFAULT_BLOCK, *BLOCKS.get(usize::from(high))?)?),
            _ => return None,
        })
    }

    /// What people call it.
    pub fn name(self) -> String {
        let setting = (self.0 & 0xff) as u8;
        let (high, level) = (setting >> 4, setting & 15);
        if let (PGZIP | KLAUSPOST, Some((generation, level))) =
            (self.0 & 0xf000, self.of_klauspost())
        {
            return match (self.0 & 0xf000, generation) {
                (_, Generation::Go1_27) => format!("go1.27 {level}"),
                (PGZIP, _) => format!("pgzip {level}"),
                _ => format!("klauspost {level}"),
            };
        }
        match self.0 & 0xff00 {
            0 => "corrected".to_owned(),
            GO => format!("go {}", setting.cast_signed()),
            ZLIB if high == 8 => format!("zlib {level}"),
            ZLIB => format!("zlib {level} memLevel {high}"),
            GZIP => format!("gzip {level}"),
            BUSYBOX => format!("busybox {level}"),
            PIGZ => format!("pigz {level}"),
            _ => format!("engine {}", self.0),
        }
    }
}

/// Every engine, the likeliest first as far as the header of the stream tells (RFC 1952, section
/// 2.3.1): XFL hints at the level, and the operating system at the program, since Go, Java and
/// Python call it unknown.
pub fn candidates(header: &[u8]) -> Vec<Coder> {
    let (hint, system) = match header {
        [_, _, _, _, _, _, _, _, hint, system, ..] => (*hint, *system),
        _ => (0, 255),
    };
    let levels: [u8; 9] = match hint {
        2 => [9, 8, 7, 6, 5, 4, 3, 2, 1],
        4 => [1, 2, 3, 4, 5, 6, 7, 8, 9],
        _ => [6, 9, 5, 4, 7, 8, 3, 2, 1],
    };
    let each = |family, high| levels.map(|level| Coder::new(family, high, level)).into_iter();
    let go = levels.map(u8::cast_signed).into_iter().chain([-2, 0]).map(Coder::go);
    let zlib = each(ZLIB, 8).chain(each(ZLIB, 9));
    let pigz = (0..BLOCKS.len() as u8).flat_map(|blocks| each(PIGZ, blocks));
    let others = each(BUSYBOX, 2).chain(each(BUSYBOX, 1)).chain(each(BUSYBOX, 0)).chain(pigz);
    let gzip = each(GZIP, 0);
    let newer = [(PGZIP, 0..7), (KLAUSPOST, 0..8)].into_iter().flat_map(|(family, all)| {
        // The latest first; of two that make the same, either is right.
        all.rev().flat_map(move |generation: u16| {
            // Their default is 5, Go's 6.
            let favourites: &[i8] = if hint == 0 { &[5, 6] } else { &[] };
            let rest = levels.map(u8::cast_signed).into_iter().chain([-2, 0]);
            let rest = rest.filter(|level| !favourites.contains(level));
            favourites
                .iter()
                .copied()
                .chain(rest)
                .map(move |level| Coder::generation(family, generation, level))
        })
    });
    if system == 255 {
        let (first, rest): (Vec<_>, Vec<_>) =
            newer.partition(|coder| matches!((hint, coder.0 & 0xff), (0, 5 | 6) | (2, 9) | (4, 1)));
        go.chain(first).chain(zlib).chain(gzip).chain(others).chain(rest).collect()
    } else {
        gzip.chain(zlib).chain(others).chain(go).chain(newer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_candidate_stands_once_and_most_have_an_engine() {
        for header in [&[][..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3]] {
            let all = candidates(header);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
            assert!(all.iter().filter(|coder| coder.engine().is_some()).count() > 60);
        }
        assert_eq!(candidates(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])[0].name(), "go 6");
        assert_eq!(candidates(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3])[0].name(), "gzip 9");
    }

    /// These numbers stand in bundles that people keep.
    #[test]
    fn the_numbers_of_engines_do_not_change() {
        let names = |numbers: &[u16]| numbers.iter().map(|&n| Coder(n).name()).collect::<Vec<_>>();
        assert_eq!(
            names(&[0, 0x0106, 0x01fe, 0x0286, 0x0299, 0x0309, 0x0426, 0x0506, 0x0516]),
            [
                "corrected",
                "go 6",
                "go -2",
                "zlib 6",
                "zlib 9 memLevel 9",
                "gzip 9",
                "busybox 6",
                "pigz 6",
                "pigz 6"
            ]
        );
    }
}
