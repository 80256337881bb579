//! Pictures of every kind: read as a browser shows them, or refused in one sentence.

use super::*;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, Rgba, RgbaImage as Buffer};
use moxcms::ColorProfile;

fn sample() -> Buffer {
    Buffer::from_fn(8, 4, |x, y| Rgba([x as u8 * 30, y as u8 * 60, 99, if x < 4 { 255 } else { 128 }]))
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn message(bytes: &[u8]) -> String {
    decode_bytes(bytes, "a.jpg").unwrap_err().to_string()
}

#[test]
fn every_kind_of_png_and_webp_keeps_its_pixels() {
    let rgba = DynamicImage::from(sample());
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let got = decode_bytes(&encoded(&rgba, format), "x").unwrap();
        assert_eq!((got.width, got.height), (8, 4));
        assert_eq!(got.data, *sample().as_raw(), "{format:?}");
        assert!(!got.is_opaque());
    }
    for kind in [DynamicImage::from(rgba.to_rgba16()), DynamicImage::from(rgba.to_rgb16())] {
        let got = decode_bytes(&encoded(&kind, ImageFormat::Png), "x").unwrap();
        assert_eq!(got.data[..3], sample().as_raw()[..3]);
    }
    for kind in [DynamicImage::from(rgba.to_luma8()), DynamicImage::from(rgba.to_luma_alpha16())] {
        let got = decode_bytes(&encoded(&kind, ImageFormat::Png), "x").unwrap();
        assert_eq!(got.data[20], got.data[21], "grey has equal channels");
    }
}

#[test]
fn fixtures_made_by_another_encoder() {
    // Left half red, right half blue, 32 × 16; see tests/fixtures/make.py.
    for name in ["cmyk.jpg", "progressive.jpg", "grey.jpg", "palette.png", "animated.gif", "animated.webp"] {
        let got = decode_bytes(&fixture(name), name).unwrap();
        assert_eq!((got.width, got.height), (32, 16), "{name}");
        if name != "grey.jpg" {
            let at = |x: usize| &got.data[(8 * 32 + x) * 4..][..3];
            assert!(at(6)[0] > 180 && at(6)[2] < 80, "{name}: left is red, got {:?}", at(6));
            assert!(at(26)[0] < 80 && at(26)[2] > 180, "{name}: right is blue, got {:?}", at(26));
        }
    }
}

#[test]
fn exif_orientation_turns_the_picture_upright() {
    // Stored as 32 × 16 with orientation 6 (turn by 90° clockwise): the left half ends on top.
    let got = decode_bytes(&fixture("turned.jpg"), "turned.jpg").unwrap();
    assert_eq!((got.width, got.height), (16, 32));
    assert!(got.data[(4 * 16 + 8) * 4] > 180, "red on top");
    assert!(got.data[(28 * 16 + 8) * 4 + 2] > 180, "blue below");
}

#[test]
fn bad_files_get_one_clear_sentence() {
    assert!(message(b"").contains("zero bytes"));
    assert!(message(b"hello, this is text").contains("not an image"));
    assert!(message(b"<svg xmlns='x'>").contains("SVG"));
    assert!(message(b"BM\0\0\0\0\0\0\0\0").contains("BMP"));
    let jpeg = fixture("progressive.jpg");
    assert!(message(&jpeg[..jpeg.len() / 2]).contains("breaks off"), "{}", message(&jpeg[..jpeg.len() / 2]));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let whole = encoded(&DynamicImage::from(sample()), format);
        for cut in [whole.len() / 2, 20] {
            let text = message(&whole[..cut]);
            assert!(text.starts_with("a.jpg: ") && text.matches("; ").count() == 1, "{format:?} {cut}: {text}");
            assert!(!text.contains('\n'));
        }
    }
}

#[test]
fn a_hundred_megapixels_are_refused_from_the_header() {
    // A PNG header that promises 10000 × 10000, with no data behind it.
    let mut png = encoded(&DynamicImage::from(sample()), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    assert!(message(&png).contains("100 megapixels"), "{}", message(&png));
    let one = DynamicImage::from(Buffer::from_pixel(1, 1, Rgba([1, 2, 3, 255])));
    assert_eq!(decode_bytes(&encoded(&one, ImageFormat::Png), "x").unwrap().data, [1, 2, 3, 255]);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 })
    })
}

#[test]
fn altered_files_are_decoded_or_refused_in_one_line() {
    let names = ["cmyk.jpg", "progressive.jpg", "turned.jpg", "palette.png", "animated.gif", "animated.webp"];
    for name in names {
        let whole = fixture(name);
        for at in 0..whole.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                if let Err(e) = decode_bytes(&bytes, "x") {
                    let text = e.to_string();
                    assert!(!text.contains('\n') && !text.contains("gave up"), "{name} {at}: {text}");
                }
            }
            // Near its end a file may lack nothing but a closing mark.
            if at < whole.len() / 2 && !name.ends_with("gif") && !name.ends_with("webp") {
                assert!(decode_bytes(&whole[..at], "x").is_err(), "{name} {at}");
            }
        }
    }
}

#[test]
fn folders_and_missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(decode_file(folder.path()).unwrap_err().to_string().contains("is not a file"));
    let gone = folder.path().join("gone.png");
    assert!(decode_file(&gone).unwrap_err().to_string().contains("gone.png: cannot read"));
}

/// A JPEG of 120 × 80 with something to code in every block.
fn baseline() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(120, 80, |x, y| Rgb([(x * 2) as u8, (y * 3) as u8, ((x * y) % 251) as u8]));
    encoded(&DynamicImage::from(picture), ImageFormat::Jpeg)
}

/// Every kind of JPEG: one scan and several, three channels, one and four.
fn jpegs() -> Vec<(&'static str, Vec<u8>)> {
    let names = ["progressive.jpg", "detailed.jpg", "restarts.jpg", "cmyk.jpg", "grey.jpg", "turned.jpg"];
    names.into_iter().map(|name| (name, fixture(name))).chain([("baseline", baseline())]).collect()
}

#[test]
fn what_stands_behind_a_jpeg_is_left_aside() {
    let video = [&b"MotionPhoto_Data\0\0\0\x18ftypmp42"[..], &[0x11; 500], &[0xff, 0xda], &[0x22; 500]].concat();
    for (name, whole) in jpegs() {
        let plain = decode_bytes(&whole, name).unwrap();
        let bare = &whole[..whole.len() - 2];
        assert!(!carries_more(&whole) && whole.ends_with(&END), "{name}");
        for (what, bytes) in [
            ("a video", [&whole, &video[..]].concat()),
            ("a video and no end mark", [bare, &video].concat()),
            ("a second picture", [&whole[..], &baseline()].concat()),
            ("a second picture and no end mark", [bare, &baseline()].concat()),
            ("no end mark", bare.to_vec()),
            ("half an end mark", [bare, &[0xff]].concat()),
            ("zeros", [&whole[..], &[0; 99]].concat()),
        ] {
            assert_eq!(decode_bytes(&bytes, name).unwrap(), plain, "{name} with {what}");
            assert!(carries_more(&bytes), "{name} with {what}");
        }
    }
}

#[test]
fn a_cut_jpeg_is_refused_whatever_is_glued_on() {
    for (name, whole) in jpegs() {
        for cut in 2..whole.len() - 2 {
            let others = [&[][..], &[0xff, 0xd9, 0, 0, 0, 0xff, 0xd9], &[0xff, 0xd0, 0xff, 0xd9]];
            for glued in [&END[..]].into_iter().chain(others.into_iter().filter(|_| cut % 13 == 0)) {
                let got = decode_bytes(&[&whole[..cut], glued].concat(), "a.jpg");
                let text = got.err().map(|e| e.to_string()).unwrap_or_default();
                assert!(text.starts_with("a.jpg: ") && text.matches("; ").count() == 1, "{name} {cut}: {text}");
            }
        }
    }
    let cut = [&baseline()[..baseline().len() * 6 / 10], &END].concat();
    let text = message(&cut);
    assert!(text.contains("the JPEG data breaks off after 5 of 10 rows of blocks; copy it again"), "{text}");
    let progressive = fixture("detailed.jpg");
    let last = progressive.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    // Up to the table of its last scan every scan is whole: a coarse picture, which nobody notices.
    let text = message(&[&progressive[..last], &END].concat());
    assert!(text.contains("there is a coarse part"), "{text}");
}

/// sRGB with red and green swapped.
fn swapped() -> Vec<u8> {
    let mut profile = ColorProfile::new_srgb();
    std::mem::swap(&mut profile.red_colorant, &mut profile.green_colorant);
    profile.encode().unwrap()
}

/// A picture of one colour in each format that carries profiles.
fn with_profile(colour: [u8; 4], icc: &[u8]) -> [Vec<u8>; 3] {
    let data = Buffer::from_pixel(16, 16, Rgba(colour)).into_raw();
    let opaque: Vec<u8> = data.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
    let (mut jpeg, mut png, mut webp) = (Vec::new(), Vec::new(), Vec::new());
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
    encoder.set_icc_profile(icc.to_vec()).unwrap();
    encoder.write_image(&opaque, 16, 16, ExtendedColorType::Rgb8).unwrap();
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_icc_profile(icc.to_vec()).unwrap();
    encoder.write_image(&data, 16, 16, ExtendedColorType::Rgba8).unwrap();
    let mut encoder = WebPEncoder::new_lossless(&mut webp);
    encoder.set_icc_profile(icc.to_vec()).unwrap();
    encoder.write_image(&data, 16, 16, ExtendedColorType::Rgba8).unwrap();
    [jpeg, png, webp]
}

fn near(got: &[u8], expected: [f64; 3], step: f64) -> bool {
    got.iter().zip(expected).all(|(value, wanted)| (f64::from(*value) - wanted).abs() <= step)
}

#[test]
fn colour_profiles_are_applied() {
    for (at, bytes) in with_profile([200, 30, 90, 128], &swapped()).iter().enumerate() {
        let got = decode_bytes(bytes, "x").unwrap();
        assert!(near(&got.data[..3], [30.0, 200.0, 90.0], 3.0), "{at}: {:?}", &got.data[..4]);
        assert_eq!(got.data[3], if at == 0 { 255 } else { 128 }, "the alpha channel stays");
    }
    // Display P3 by its definition: sRGB's curve and primaries of its own.
    let icc = ColorProfile::new_display_p3().encode().unwrap();
    for colour in [[200, 30, 30, 255], [30, 160, 70, 255], [120, 120, 120, 255], [90, 100, 140, 255]] {
        let expected = from_display_p3([colour[0], colour[1], colour[2]]);
        for (at, bytes) in with_profile(colour, &icc).iter().enumerate() {
            let got = decode_bytes(bytes, "x").unwrap();
            let step = if at == 0 { 3.0 } else { 1.0 };
            assert!(near(&got.data[..3], expected, step), "{at}: {colour:?} {:?} {expected:?}", &got.data[..3]);
        }
    }
}

/// The linear map between the two sets of primaries (both D65) is the one of the specification of CSS colours, level 4.
fn from_display_p3(colour: [u8; 3]) -> [f64; 3] {
    let linear = colour.map(|value| {
        let v = f64::from(value) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let rows = [[1.2249401, -0.2249404, 0.0], [-0.0420569, 1.0420571, 0.0], [-0.0196376, -0.0786361, 1.0982735]];
    rows.map(|row| {
        let v = row.iter().zip(linear).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0);
        255.0 * if v <= 0.0031308 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
    })
}

#[test]
fn profiles_of_srgb_broken_ones_and_those_of_other_pictures_change_nothing() {
    let colour = [200, 30, 90, 255];
    let plain = with_profile(colour, b"none").map(|bytes| decode_bytes(&bytes, "x").unwrap());
    assert_eq!(plain[1].data[..4], colour);
    let swapped = swapped();
    let mut others = vec![ColorProfile::new_srgb().encode().unwrap(), vec![0; 128], vec![0xff; 4000]];
    others.push(ColorProfile::new_gray_with_gamma(1.0).encode().unwrap());
    others.extend((1..swapped.len()).step_by(97).map(|cut| swapped[..cut].to_vec()));
    for icc in others {
        for (bytes, plain) in with_profile(colour, &icc).iter().zip(&plain) {
            assert_eq!(decode_bytes(bytes, "x").unwrap(), *plain, "{} bytes", icc.len());
        }
    }
    // Whatever a byte of the profile becomes, there is a picture.
    for at in 0..swapped.len() {
        let mut icc = swapped.clone();
        icc[at] ^= 0xff;
        decode_bytes(&with_profile(colour, &icc)[1], "x").unwrap();
    }
}

#[test]
fn a_profile_that_unpacks_to_gigabytes_is_left_aside() {
    let [_, good, _] = with_profile([9, 99, 199, 255], &swapped());
    assert!(matches!(png::without_bombs(&good), Cow::Borrowed(_)));
    let [_, bomb, _] = with_profile([9, 99, 199, 255], &vec![0; (8 << 20) + 1]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let plain = png::without_bombs(&bomb);
    assert!(!plain.windows(4).any(|four| four == b"iCCP") && plain.ends_with(&bomb[bomb.len() - 12..]));
    assert_eq!(decode_bytes(&bomb, "x").unwrap(), decode_bytes(&plain, "x").unwrap());
    assert_eq!(decode_bytes(&plain, "x").unwrap().data[..4], [9, 99, 199, 255]);
    // Cut within it.
    assert!(decode_bytes(&bomb[..bomb.len() / 2], "x").is_err());
}

#[test]
fn a_grey_picture_follows_its_curve() {
    let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let grey = vec![55; 64];
    let (mut png, mut jpeg) = (Vec::new(), Vec::new());
    let mut encoder = PngEncoder::new(&mut png);
    encoder.set_icc_profile(linear.clone()).unwrap();
    encoder.write_image(&grey, 8, 8, ExtendedColorType::L8).unwrap();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
    encoder.set_icc_profile(linear).unwrap();
    encoder.write_image(&grey, 8, 8, ExtendedColorType::L8).unwrap();
    // 55 / 255 of the light is 1.055 · 0.2157^(1 / 2.4) − 0.055 = 0.5017 in sRGB.
    for bytes in [png, jpeg] {
        let got = decode_bytes(&bytes, "x").unwrap();
        assert!(near(&got.data[..3], [127.9; 3], 1.1), "{:?}", &got.data[..4]);
    }
}

/// A profile of four inks whose magenta and yellow together are a green, and any other two inks grey.
fn inks() -> Vec<u8> {
    let mut lut = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    lut.extend([1, 0, 0, 0, 1, 0, 0, 0, 1].into_iter().flat_map(|one: i32| (one << 16).to_be_bytes()));
    lut.extend((0..4).flat_map(|_| 0..=255u8));
    lut.extend((0..16).flat_map(|inks| match inks {
        0b0110 => [150, 60, 180],
        inks if inks & 1 == 1 => [0, 128, 128],
        inks => [255 - 40 * (inks as u8).count_ones() as u8, 128, 128],
    }));
    lut.extend((0..3).flat_map(|_| 0..=255u8));
    let mut icc = vec![0; 128];
    icc[8..12].copy_from_slice(&[2, 0x10, 0, 0]);
    icc[12..24].copy_from_slice(b"prtrCMYKLab ");
    icc[36..40].copy_from_slice(b"acsp");
    icc[68..80].copy_from_slice(&[0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d]);
    icc.extend([&1u32.to_be_bytes()[..], b"A2B0", &144u32.to_be_bytes(), &(lut.len() as u32).to_be_bytes()].concat());
    icc.extend(lut);
    let length = icc.len() as u32;
    icc[..4].copy_from_slice(&length.to_be_bytes());
    icc
}

#[test]
fn four_inks_follow_their_profile() {
    let whole = fixture("cmyk.jpg");
    let icc = inks();
    let length = (icc.len() + 16) as u16;
    let segment = [&[0xff, 0xe2][..], &length.to_be_bytes(), b"ICC_PROFILE\0\x01\x01", &icc].concat();
    let with = |bytes: &[u8]| decode_bytes(&[&bytes[..2], &segment, &bytes[2..]].concat(), "x").unwrap();
    let at = |picture: &RgbaImage, x: usize| <[u8; 4]>::try_from(&picture.data[(8 * 32 + x) * 4..][..4]).unwrap();
    let got = with(&whole);
    assert_eq!((got.width, got.height, at(&got, 6)[3]), (32, 16, 255));
    // Magenta and yellow: Lab (58.8, −68, 52) is about (0, 167, 21). Cyan and magenta: a grey of L = 68.6, 167.
    let [red, green, blue, _] = at(&got, 6);
    assert!(red < 30 && (155..180).contains(&green) && blue < 60, "{:?}", at(&got, 6));
    assert!(at(&got, 26)[..3].iter().all(|value| value.abs_diff(167) < 6), "{:?}", at(&got, 26));
    // A profile for other pictures is left aside: red and blue, as without.
    let plain = decode_bytes(&whole, "x").unwrap();
    assert!(at(&plain, 6)[0] > 180 && at(&plain, 26)[2] > 180);
}

#[test]
fn files_with_more_than_a_picture_are_known() {
    for bytes in with_profile([1, 2, 3, 255], &swapped()) {
        assert!(!carries_more(&bytes));
        let more = [&bytes[..], b"and more"].concat();
        assert!(carries_more(&more));
        assert_eq!(decode_bytes(&more, "x").unwrap(), decode_bytes(&bytes, "x").unwrap());
    }
}
