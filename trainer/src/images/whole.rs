//! Whether a WebP or a GIF has all of its picture. The decoder shows what it has; a browser shows nothing of one that is cut.

/// Bytes of a WebP's head: `RIFF`, the size of what follows, `WEBP`.
const HEAD: usize = 12;
/// Bytes of a GIF's head: signature, version, and the screen's description.
const SCREEN: usize = 13;

/// Whether a WebP's parts lie within the size that its head tells, and that within the file.
pub(super) fn webp(bytes: &[u8]) -> bool {
    parts(bytes).is_some()
}

/// As [`webp`], in steps of which each needs the one before.
fn parts(bytes: &[u8]) -> Option<()> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize);
    let end = number(4)?.checked_add(8)?;
    bytes.get(HEAD..end)?;
    let mut at = HEAD;
    while at < end {
        let size = number(at.checked_add(4)?)?;
        at = at.checked_add(8)?.checked_add(size)?.checked_add(size % 2)?;
    }
    (at == end).then_some(())
}

/// Whether a GIF's first picture has all of its data, and the mark behind them.
pub(super) fn gif(bytes: &[u8]) -> bool {
    first_picture(bytes).is_some()
}

fn first_picture(bytes: &[u8]) -> Option<()> {
    let mut at = SCREEN.checked_add(colours(*bytes.get(10)?))?;
    loop {
        match *bytes.get(at)? {
            // An extension and its label.
            0x21 => at = blocks(bytes, at.checked_add(2)?)?,
            0x2c => {
                let table = colours(*bytes.get(at.checked_add(9)?)?);
                return blocks(bytes, at.checked_add(11)?.checked_add(table)?).map(drop);
            }
            _ => return None,
        }
    }
}

/// Bytes of the table of colours that follows a field of flags.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Where a row of blocks ends that begins at `at`: behind the empty one.
fn blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let size = usize::from(*bytes.get(at)?);
        at = at.checked_add(1)?.checked_add(size)?;
        if size == 0 {
            return Some(at);
        }
    }
}
