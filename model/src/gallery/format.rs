//! A gallery chunk: int8 target tokens of consecutive images. `docs/reference/formats.md` has the byte table.

use crate::error::{ModelError, Result};

/// First eight bytes of a chunk.
pub const MAGIC: [u8; 8] = *b"TBUTGAL1";

/// Version of the chunk format.
pub const VERSION: u32 = 1;

/// Bytes before the scales.
pub const HEADER_BYTES: usize = 32;

/// Most images in one chunk.
pub const MAX_CHUNK_IMAGES: usize = 1 << 20;

/// Most target tokens an image, and widest token.
pub const MAX_DIMENSION: usize = 8192;

/// Bytes of a chunk of `count` images with `tokens` tokens of `width`, or the largest number where they are more.
pub fn chunk_bytes(count: usize, tokens: usize, width: usize) -> u64 {
    let image = (tokens as u64).saturating_mul((width as u64).saturating_add(4));
    image.saturating_mul(count as u64).saturating_add(HEADER_BYTES as u64)
}

/// Target tokens of `count` consecutive images.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    count: usize,
    tokens: usize,
    width: usize,
    scales: Vec<f32>,
    codes: Vec<i8>,
}

/// Encodes `[count, N, P]` L2-normalised target tokens; `n` = N, `p` = P. Each token has its own scale, the largest
/// magnitude / 127, so no value is off by more than half a scale.
///
/// # Errors
/// [`ModelError::Format`] when the values aren't whole images of N · P finite numbers, or too many.
pub fn encode_chunk(tokens: &[f32], n: usize, p: usize) -> Result<Vec<u8>> {
    check_dimensions(n, p)?;
    if !tokens.len().is_multiple_of(n * p) {
        return Err(error(&format!("{} values aren't whole images of {n} tokens of width {p}", tokens.len())));
    }
    let count = tokens.len() / (n * p);
    if count > MAX_CHUNK_IMAGES {
        return Err(error(&format!("{count} images are more than {MAX_CHUNK_IMAGES}")));
    }
    if tokens.iter().any(|v| !v.is_finite()) {
        return Err(error("a token holds a value that isn't finite"));
    }
    let mut out = Vec::with_capacity(HEADER_BYTES + count * n * (4 + p));
    header(&mut out, [count, n, p]);
    let scale = |token: &[f32]| token.iter().fold(0.0_f32, |m, v| m.max(v.abs())) / 127.0;
    for token in tokens.chunks_exact(p) {
        out.extend(scale(token).to_le_bytes());
    }
    for token in tokens.chunks_exact(p) {
        let scale = scale(token);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        out.extend(token.iter().map(|v| (v * inverse).round().clamp(-127.0, 127.0) as i8 as u8));
    }
    Ok(out)
}

/// The first bytes of a chunk of `[count, N, P]`.
fn header(out: &mut Vec<u8>, [count, n, p]: [usize; 3]) {
    out.extend(MAGIC);
    for field in [VERSION, count as u32, n as u32, p as u32, 0, 0] {
        out.extend(field.to_le_bytes());
    }
}

impl Chunk {
    /// Reads a chunk; every length is checked before anything is allocated.
    ///
    /// # Errors
    /// [`ModelError::Format`] for bytes that aren't a whole chunk, [`ModelError::Version`] for one of another version
    /// or with flags that this build doesn't know.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (header, body) = bytes
            .split_at_checked(HEADER_BYTES)
            .ok_or_else(|| error(&format!("it ends after {} bytes, inside the header", bytes.len())))?;
        let (magic, fields) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(error("it doesn't begin with TBUTGAL1"));
        }
        let mut fields = fields.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let mut field = || fields.next().unwrap_or(0);
        let (version, count, tokens, width, flags, reserved) = (field(), field(), field(), field(), field(), field());
        if version != VERSION || flags != 0 || reserved != 0 {
            return Err(ModelError::Version {
                place: "the gallery chunk".into(),
                found: format!("{version} (flags {flags:#x})"),
                expected: format!("{VERSION} (flags 0)"),
                mend: "index the gallery again with this version of thisbut, or update thisbut".into(),
            });
        }
        let (count, tokens, width) = (count as usize, tokens as usize, width as usize);
        check_dimensions(tokens, width)?;
        if count > MAX_CHUNK_IMAGES {
            return Err(error(&format!("{count} images are more than {MAX_CHUNK_IMAGES}")));
        }
        let needed = chunk_bytes(count, tokens, width);
        if bytes.len() as u64 != needed {
            return Err(error(&format!("it has {} bytes, {count} images need {needed}", bytes.len())));
        }
        // The file is this long, so its parts fit as well.
        let (scales, codes) = body.split_at(count * tokens * 4);
        let scales: Vec<f32> = scales.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if let Some(at) = scales.iter().position(|s| !s.is_finite() || *s < 0.0) {
            return Err(error(&format!("the scale of token {at} is no positive number")));
        }
        Ok(Self { count, tokens, width, scales, codes: codes.iter().map(|&b| b as i8).collect() })
    }

    /// Image `index` of this chunk as a chunk of its own, or `None` past the end.
    pub fn only(&self, index: usize) -> Option<Self> {
        let (tokens, width) = (self.tokens, self.width);
        let scales = self.scales.chunks_exact(tokens).nth(index)?.to_vec();
        let codes = self.codes.chunks_exact(tokens * width).nth(index)?.to_vec();
        Some(Self { count: 1, tokens, width, scales, codes })
    }

    /// The images of several chunks as one: codes and scales as they are, so that an image's bytes stay the same.
    ///
    /// # Errors
    /// [`ModelError::Format`] without a chunk, for chunks of different shapes, and for too many images.
    pub fn join<'a>(chunks: impl IntoIterator<Item = &'a Self>) -> Result<Self> {
        let mut chunks = chunks.into_iter();
        let mut joined = chunks.next().ok_or_else(|| error("there is none to join"))?.clone();
        for chunk in chunks {
            if (chunk.tokens, chunk.width) != (joined.tokens, joined.width) {
                return Err(error("chunks of different shapes cannot be joined"));
            }
            joined.count += chunk.count;
            joined.scales.extend_from_slice(&chunk.scales);
            joined.codes.extend_from_slice(&chunk.codes);
        }
        if joined.count > MAX_CHUNK_IMAGES {
            return Err(error(&format!("{} images are more than {MAX_CHUNK_IMAGES}", joined.count)));
        }
        Ok(joined)
    }

    /// The chunk's file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.scales.len() * 4 + self.codes.len());
        header(&mut out, [self.count, self.tokens, self.width]);
        out.extend(self.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        out.extend(self.codes.iter().map(|code| *code as u8));
        out
    }

    /// Images in the chunk.
    pub fn count(&self) -> usize {
        self.count
    }

    /// N, target tokens an image.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// P, width of a token.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `[count, N]`.
    pub(super) fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// `[count, N, P]`.
    pub(super) fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// `[N, P]` values of image `index` of this chunk, or `None` past the end.
    pub fn image(&self, index: usize) -> Option<Vec<f32>> {
        let scales = self.scales.chunks_exact(self.tokens).nth(index)?;
        let codes = self.codes.chunks_exact(self.tokens * self.width).nth(index)?;
        let tokens = codes.chunks_exact(self.width).zip(scales);
        Some(tokens.flat_map(|(codes, scale)| codes.iter().map(move |&c| f32::from(c) * scale)).collect())
    }
}

fn check_dimensions(tokens: usize, width: usize) -> Result<()> {
    if !(1..=MAX_DIMENSION).contains(&tokens) || !(1..=MAX_DIMENSION).contains(&width) {
        return Err(error(&format!(
            "{tokens} tokens of width {width} an image are out of range (1 to {MAX_DIMENSION})"
        )));
    }
    Ok(())
}

fn error(problem: &str) -> ModelError {
    ModelError::Format {
        place: "the gallery chunk".into(),
        problem: problem.into(),
        mend: "fetch the file again, or index the gallery again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> (Vec<f32>, Vec<u8>) {
        let tokens: Vec<f32> = (0..5 * 3 * 7).map(|i| ((i * 31 % 17) as f32 - 8.0) / 20.0).collect();
        let bytes = encode_chunk(&tokens, 3, 7).unwrap();
        (tokens, bytes)
    }

    #[test]
    fn round_trips_within_half_a_scale() {
        let (tokens, bytes) = chunk();
        assert_eq!(bytes.len(), HEADER_BYTES + 5 * 3 * (4 + 7));
        assert_eq!(chunk_bytes(5, 3, 7), bytes.len() as u64);
        assert_eq!(chunk_bytes(usize::MAX, usize::MAX, usize::MAX), u64::MAX);
        let chunk = Chunk::parse(&bytes).unwrap();
        assert_eq!((chunk.count(), chunk.tokens(), chunk.width()), (5, 3, 7));
        for (i, image) in tokens.chunks_exact(21).enumerate() {
            let back = chunk.image(i).unwrap();
            for (token, back) in image.chunks_exact(7).zip(back.chunks_exact(7)) {
                let half = token.iter().fold(0.0_f32, |m, v| m.max(v.abs())) / 254.0;
                assert!(token.iter().zip(back).all(|(a, b)| (a - b).abs() <= half * 1.001));
            }
        }
        assert_eq!(chunk.image(5), None);
    }

    #[test]
    fn images_move_between_chunks_byte_by_byte() {
        let (tokens, bytes) = chunk();
        let whole = Chunk::parse(&bytes).unwrap();
        assert_eq!(whole.to_bytes(), bytes);
        let parts: Vec<Chunk> = (0..5).filter_map(|index| whole.only(index)).collect();
        assert_eq!(Chunk::join(&parts).unwrap(), whole);
        let some: Vec<f32> = [3, 0].iter().flat_map(|image| tokens[image * 21..][..21].to_vec()).collect();
        assert_eq!(Chunk::join([&parts[3], &parts[0]]).unwrap().to_bytes(), encode_chunk(&some, 3, 7).unwrap());
        assert!(whole.only(5).is_none() && Chunk::join([]).is_err());
        let other = Chunk::parse(&encode_chunk(&[0.5; 7], 1, 7).unwrap()).unwrap();
        assert!(Chunk::join([&parts[0], &other]).unwrap_err().to_string().contains("different shapes"));
    }

    #[test]
    fn empty_and_zero_chunks_are_fine() {
        assert_eq!(Chunk::parse(&encode_chunk(&[], 3, 7).unwrap()).unwrap().count(), 0);
        let zeros = Chunk::parse(&encode_chunk(&[0.0; 21], 3, 7).unwrap()).unwrap();
        assert_eq!(zeros.image(0).unwrap(), [0.0; 21]);
    }

    #[test]
    fn refuses_bad_tokens() {
        assert!(encode_chunk(&[1.0; 20], 3, 7).is_err());
        assert!(encode_chunk(&[f32::NAN; 21], 3, 7).is_err());
        assert!(encode_chunk(&[], 0, 7).is_err());
        assert!(encode_chunk(&[], 3, 9000).is_err());
    }

    #[test]
    fn broken_chunks_are_errors() {
        let (_, bytes) = chunk();
        for cut in 0..bytes.len() {
            assert!(Chunk::parse(&bytes[..cut]).is_err(), "{cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Chunk::parse(&longer).is_err());
        for at in 0..HEADER_BYTES {
            for flip in 1..=255 {
                let mut broken = bytes.clone();
                broken[at] ^= flip;
                assert!(Chunk::parse(&broken).is_err(), "byte {at} ^ {flip}");
            }
        }
        let mut broken = bytes.clone();
        broken[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(Chunk::parse(&broken).is_err());
        let mut other = bytes;
        other[8] = 2;
        assert!(matches!(Chunk::parse(&other), Err(ModelError::Version { .. })));
    }

    #[test]
    fn hostile_sizes_are_errors() {
        for fields in [[1, u32::MAX, 1, 1, 0, 0], [1, 1 << 20, 8192, 8192, 0, 0], [1, 0, 0, 0, 0, 0]] {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(fields.into_iter().flat_map(u32::to_le_bytes));
            assert!(Chunk::parse(&bytes).is_err(), "{fields:?}");
        }
    }
}
