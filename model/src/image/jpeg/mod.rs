//! Whether a JPEG has all of its picture, and where that ends.
//!
//! Decoders fill what is missing with grey and say nothing, and phones put other things behind the picture (a video, a
//! second picture), with an end mark before them or without. So the end mark tells nothing. This walks over the coded data
//! of every scan and counts the blocks that are really there.

mod entropy;

use super::MAX_PIXELS;
use crate::error::{ModelError, Result};
use entropy::{Bits, Fault, Table, next_marker};

/// Scans of a picture at most; encoders make ten or so.
const MAX_SCANS: usize = 128;

/// What a JPEG holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The whole picture; its coded data ends before this byte.
    Whole(usize),
    /// Less than the picture, and what is wrong, for people.
    Broken(String),
    /// A kind of JPEG that no decoder here reads (arithmetic coding, lossless); the decoder says so.
    Unknown,
}

struct Component {
    id: u8,
    h: usize,
    v: usize,
    /// Blocks a row and rows of blocks that hold the picture.
    across: usize,
    down: usize,
    /// Blocks a row, with those that only fill an interleaved unit.
    stride: usize,
    /// For each block the coefficients that are not zero, which refining scans need (progressive only).
    nonzero: Vec<u64>,
    /// For each coefficient the bits that are still to come; 255 where none came.
    missing: [u8; 64],
}

struct Frame {
    progressive: bool,
    /// Interleaved units a row, and their rows.
    units: (usize, usize),
    components: Vec<Component>,
}

/// One component's part in a scan.
struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

/// The parameters of a scan: first and last coefficient, and the bit positions of before and of now.
#[derive(Clone, Copy)]
struct Band {
    first: u8,
    last: u8,
    before: u8,
    now: u8,
}

#[derive(Default)]
struct Walk {
    frame: Option<Frame>,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    interval: usize,
    /// Rows that the broken scan has, and how many it should have.
    rows: (usize, usize),
}

/// Refuses a JPEG, named `place`, of which a part is missing: decoders show the rest with grey and say nothing.
///
/// # Errors
/// [`ModelError::Image`].
pub fn whole(bytes: &[u8], place: &str) -> Result<()> {
    match extent(bytes) {
        Extent::Whole(_) | Extent::Unknown => Ok(()),
        Extent::Broken(problem) => {
            Err(ModelError::Image { place: place.into(), problem, mend: "copy it again from its source".into() })
        }
    }
}

/// How many channels a JPEG's frame has; none where there is no frame.
pub fn channels(bytes: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let (start, marker) = next_marker(bytes, at)?;
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return bytes.get(start + 9).copied(),
            0x01 | 0xd0..=0xd8 => at = start + 2,
            _ => {
                at =
                    start + 2 + usize::from(u16::from_be_bytes([*bytes.get(start + 2)?, *bytes.get(start + 3)?])).max(2)
            }
        }
    }
}

/// Walks over `bytes`, which begin as a JPEG does, until the picture is complete.
pub fn extent(bytes: &[u8]) -> Extent {
    let mut walk = Walk::default();
    let (mut at, mut scans) = (2, 0);
    loop {
        let Some((marker, segment)) = next_marker(bytes, at).and_then(|(start, marker)| {
            at = start + 2;
            match marker {
                0x01 | 0xd0..=0xd8 => Some((marker, &[][..])),
                0xd9 => None,
                _ => {
                    let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])).max(2);
                    let segment = bytes.get(at + 2..at + length)?;
                    at += length;
                    Some((marker, segment))
                }
            }
        }) else {
            return Extent::Broken(if scans == 0 {
                "the JPEG data breaks off before its picture".to_owned()
            } else {
                format!("the JPEG data breaks off: of its picture there is a coarse part ({scans} scans)")
            });
        };
        let read = match marker {
            0xc0..=0xc2 => walk.start_frame(segment, marker == 0xc2),
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf => return Extent::Unknown,
            0xc4 => walk.tables(segment),
            0xdd => segment.get(..2).map(|two| walk.interval = usize::from(u16::from_be_bytes([two[0], two[1]]))),
            0xda => {
                let Some((parts, band)) = walk.start_scan(segment).filter(|_| scans < MAX_SCANS) else {
                    return Extent::Broken("the JPEG data has a scan that makes no sense".to_owned());
                };
                scans += 1;
                let mut bits = Bits::new(bytes, at);
                if let Err(fault) = walk.scan(&mut bits, &parts, band) {
                    let (done, all) = walk.rows;
                    let what = if fault == Fault::Ended { "breaks off" } else { "is damaged" };
                    return Extent::Broken(format!("the JPEG data {what} after {done} of {all} rows of blocks"));
                }
                at = bits.end();
                if walk.complete() {
                    return Extent::Whole(at);
                }
                Some(())
            }
            _ => Some(()),
        };
        if read.is_none() {
            return Extent::Broken(format!("the JPEG data has a segment that makes no sense (marker {marker:x})"));
        }
    }
}

impl Walk {
    fn start_frame(&mut self, segment: &[u8], progressive: bool) -> Option<()> {
        let size = |at: usize| Some(usize::from(u16::from_be_bytes([*segment.get(at)?, *segment.get(at + 1)?])));
        let (height, width, count) = (size(1)?, size(3)?, usize::from(*segment.get(5)?));
        let described: Vec<(u8, usize, usize)> = segment
            .get(6..6 + 3 * count)?
            .chunks_exact(3)
            .map(|one| (one[0], usize::from(one[1] >> 4), usize::from(one[1] & 15)))
            .collect();
        let valid = |n: usize| (1..=4).contains(&n);
        let fits = width > 0 && height > 0 && valid(count) && described.iter().all(|one| valid(one.1) && valid(one.2));
        if self.frame.is_some() || !fits || (width * height) as u64 > MAX_PIXELS {
            return None;
        }
        let most = |of: fn(&(u8, usize, usize)) -> usize| described.iter().map(of).max().unwrap_or(1);
        let (h_max, v_max) = (most(|one| one.1), most(|one| one.2));
        let units = (width.div_ceil(8 * h_max), height.div_ceil(8 * v_max));
        let component = |(id, h, v): (u8, usize, usize)| Component {
            id,
            h,
            v,
            across: (width * h).div_ceil(h_max).div_ceil(8),
            down: (height * v).div_ceil(v_max).div_ceil(8),
            stride: units.0 * h,
            nonzero: if progressive { vec![0; units.0 * h * units.1 * v] } else { Vec::new() },
            missing: [255; 64],
        };
        self.frame = Some(Frame { progressive, units, components: described.into_iter().map(component).collect() });
        Some(())
    }

    fn tables(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = segment {
            let (table, taken) = Table::parse(rest)?;
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(kind & 15))? = Some(table);
            segment = rest.get(taken..)?;
        }
        Some(())
    }

    /// The scan's parts and band; `None` for what no decoder reads either.
    fn start_scan(&self, segment: &[u8]) -> Option<(Vec<Part>, Band)> {
        let frame = self.frame.as_ref()?;
        let count = usize::from(*segment.first()?);
        let parts: Vec<Part> = segment
            .get(1..1 + 2 * count)?
            .chunks_exact(2)
            .map(|one| {
                let component = frame.components.iter().position(|component| component.id == one[0])?;
                let (dc, ac) = (usize::from(one[1] >> 4), usize::from(one[1] & 15));
                Some(Part { component, dc, ac })
            })
            .collect::<Option<_>>()?;
        let tail = segment.get(1 + 2 * count..4 + 2 * count)?;
        let band = match frame.progressive {
            true => Band { first: tail[0], last: tail[1], before: tail[2] >> 4, now: tail[2] & 15 },
            false => Band { first: 0, last: 63, before: 0, now: 0 },
        };
        let shape = band.last < 64 && band.first <= band.last && (1..=4).contains(&parts.len());
        let apart = !frame.progressive || if band.first == 0 { band.last == 0 } else { parts.len() == 1 };
        (shape && apart).then_some((parts, band))
    }

    fn scan(&mut self, bits: &mut Bits, parts: &[Part], band: Band) -> Result<(), Fault> {
        let frame = self.frame.as_mut().ok_or(Fault::Damaged)?;
        let (across, down) = match parts {
            [part] => (frame.components[part.component].across, frame.components[part.component].down),
            _ => frame.units,
        };
        self.rows = (0, down);
        let mut run = 0;
        for unit in 0..across * down {
            if self.interval > 0 && unit > 0 && unit % self.interval == 0 {
                bits.restart()?;
                run = 0;
            }
            self.rows.0 = unit / across;
            for part in parts {
                let component = &mut frame.components[part.component];
                let (h, v) = if parts.len() == 1 { (1, 1) } else { (component.h, component.v) };
                let tables = (self.dc.get(part.dc), self.ac.get(part.ac));
                let tables = (tables.0.and_then(Option::as_ref), tables.1.and_then(Option::as_ref));
                for inside in 0..h * v {
                    let row = unit / across * v + inside / h;
                    let block = row * component.stride + unit % across * h + inside % h;
                    if frame.progressive {
                        let nonzero = component.nonzero.get_mut(block).ok_or(Fault::Damaged)?;
                        progressive_block(bits, tables, band, nonzero, &mut run)?;
                    } else {
                        baseline_block(bits, tables)?;
                    }
                }
            }
        }
        for part in parts {
            let missing = &mut frame.components[part.component].missing;
            missing[usize::from(band.first)..=usize::from(band.last)].fill(band.now);
        }
        Ok(())
    }

    /// True when every coefficient of every component came with all its bits.
    fn complete(&self) -> bool {
        let components = self.frame.as_ref().map(|frame| &frame.components);
        components.is_some_and(|all| all.iter().all(|one| one.missing.iter().all(|bits| *bits == 0)))
    }
}

type Tables<'a> = (Option<&'a Table>, Option<&'a Table>);

fn baseline_block(bits: &mut Bits, (dc, ac): Tables) -> Result<(), Fault> {
    let (dc, ac) = (dc.ok_or(Fault::Damaged)?, ac.ok_or(Fault::Damaged)?);
    let size = bits.symbol(dc)?;
    bits.take(u32::from(size).min(16))?;
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(ac)?;
        match (symbol >> 4, u32::from(symbol & 15)) {
            (15, 0) => at += 16,
            (_, 0) => break,
            (zeros, size) => {
                bits.take(size)?;
                at += u32::from(zeros) + 1;
            }
        }
    }
    Ok(())
}

/// One block of a progressive scan (T.81, annex G); `run` counts the blocks that have nothing more in this band.
fn progressive_block(
    bits: &mut Bits,
    (dc, ac): Tables,
    band: Band,
    nonzero: &mut u64,
    run: &mut u32,
) -> Result<(), Fault> {
    if band.first == 0 {
        return match band.before {
            0 => {
                let size = bits.symbol(dc.ok_or(Fault::Damaged)?)?;
                bits.take(u32::from(size).min(16)).map(drop)
            }
            _ => bits.take(1).map(drop),
        };
    }
    let ac = ac.ok_or(Fault::Damaged)?;
    let mut at = u32::from(band.first);
    let last = u32::from(band.last);
    while *run == 0 && at <= last {
        let symbol = bits.symbol(ac)?;
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) + bits.take(zeros)?;
            break;
        }
        bits.take(size)?;
        if band.before == 0 {
            at += zeros;
        } else {
            at = refine(bits, *nonzero, at, last, Some(zeros))?;
        }
        if size > 0 && at < 64 {
            *nonzero |= 1 << at;
        }
        at += 1;
    }
    if *run > 0 {
        *run -= 1;
        if band.before > 0 {
            refine(bits, *nonzero, at, last, None)?;
        }
    }
    Ok(())
}

/// Reads a bit for each coefficient that is not zero, until `zeros` others are passed and one more is met, or the band ends.
fn refine(bits: &mut Bits, nonzero: u64, from: u32, last: u32, zeros: Option<u32>) -> Result<u32, Fault> {
    let (mut at, mut left) = (from, zeros);
    while at <= last {
        if nonzero >> at & 1 == 1 {
            bits.take(1)?;
        } else if let Some(zeros) = &mut left {
            if *zeros == 0 {
                break;
            }
            *zeros -= 1;
        }
        at += 1;
    }
    Ok(at)
}
