//! What is cut out of a file, and that its pixels stay.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::{cleaned, frames};

/// What must never be published.
const SECRET: &[u8] = b"52.5163N 13.3777E SecretCam";

fn encoded(format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
    let mut octets = Cursor::new(Vec::new());
    DynamicImage::from(picture)
        .write_to(&mut octets, format)
        .expect("an encoder");
    octets.into_inner()
}

fn holds(octets: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(octets, part).is_some()
}

fn same_pixels(one: &[u8], other: &[u8]) -> bool {
    let pixels = |octets| image::load_from_memory(octets).expect("an image").to_rgb8();
    pixels(one) == pixels(other)
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("short").to_be_bytes();
    [&[0xff, marker][..], &length, body].concat()
}

#[test]
fn a_photograph_tells_nothing_but_its_pixels() {
    let plain = encoded(ImageFormat::Jpeg);
    let jfif = [&b"JFIF\0\x01\x02\0\0\x01\0\x01\x03\x03"[..], SECRET].concat();
    let before = [
        segment(0xe0, &jfif),
        segment(0xe1, &[b"Exif\0\0", SECRET].concat()),
        segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat()),
        segment(0xe2, &[b"MPF\0", SECRET].concat()),
        segment(0xe2, b"ICC_PROFILE\0\x01\x01the meaning of its colours"),
        segment(0xed, &[b"Photoshop 3.0\0", SECRET].concat()),
        segment(0xfe, SECRET),
        b"\xff\xff\xff".to_vec(),
    ]
    .concat();
    let after = [&plain[..2], SECRET, &segment(0xe1, SECRET), b"\xff\xd9"].concat();
    let photograph = [&plain[..2], &before, &plain[2..], &after].concat();
    let clean = cleaned("image/jpeg", &photograph).expect("a whole file");
    assert!(!holds(&clean, SECRET) && !holds(&clean, b"Exif"));
    assert!(holds(&clean, b"the meaning of its colours"));
    assert!(same_pixels(&plain, &clean));
    assert_eq!(cleaned("image/jpeg", &clean), Some(clean.clone()));
    // The end of a picture within the metadata is none of the file's.
    let torn = &photograph[..photograph.len() - after.len() - 2];
    assert_eq!(cleaned("image/jpeg", torn), None);
}

#[test]
fn a_png_tells_nothing_but_its_pixels() {
    let plain = encoded(ImageFormat::Png);
    // Nobody reads their sums.
    let chunk = |kind: &[u8]| {
        let length = u32::try_from(SECRET.len()).expect("short").to_be_bytes();
        [&length, kind, SECRET, b"sum!"].concat()
    };
    let kinds = [
        b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"prVW", b"caBX",
    ];
    let before: Vec<u8> = kinds.iter().flat_map(|kind| chunk(*kind)).collect();
    let colours = b"\0\0\0\x04gAMA\0\0\xb1\x8f\x0b\xfc\x61\x05";
    let end = plain.len() - 12;
    let told = [
        &plain[..33],
        colours,
        &before,
        &plain[33..end],
        &before,
        &plain[end..],
        SECRET,
    ]
    .concat();
    let clean = cleaned("image/png", &told).expect("a whole file");
    assert_eq!(clean, [&plain[..33], colours, &plain[33..]].concat());
    assert!(same_pixels(&plain, &clean));
}

#[test]
fn a_webp_tells_nothing_but_its_pixels() {
    let plain = encoded(ImageFormat::WebP);
    let chunk = |kind: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len()).expect("short").to_le_bytes();
        let filled: &[u8] = if body.len() % 2 == 1 { &[0] } else { &[] };
        [kind, &length, body, filled].concat()
    };
    let riff = |chunks: &[&[u8]]| {
        let body = chunks.concat();
        let length = u32::try_from(body.len() + 4).expect("short").to_le_bytes();
        [b"RIFF", &length[..], b"WEBP", &body].concat()
    };
    let head = |flags: u8| chunk(b"VP8X", &[flags, 0, 0, 0, 39, 0, 0, 29, 0, 0]);
    let (exif, xmp) = (chunk(b"EXIF", SECRET), chunk(b"XMP ", SECRET));
    let colours = chunk(b"ICCP", b"the meaning of its colours");
    let told = riff(&[&head(0x2c), &colours, &plain[12..], &exif, &xmp]);
    let clean = cleaned("image/webp", &[&told, SECRET].concat()).expect("a whole file");
    assert_eq!(clean, riff(&[&head(0x20), &colours, &plain[12..]]));
    assert!(same_pixels(&plain, &clean));
    let frame = |more: &[u8]| chunk(b"ANMF", &[&[0; 16], &plain[12..], more].concat());
    let moving = |more: &[u8]| {
        riff(&[
            &head(0x02),
            &chunk(b"ANIM", &[0; 6]),
            &frame(more),
            &frame(more),
        ])
    };
    assert_eq!(cleaned("image/webp", &moving(&exif)), Some(moving(b"")));
    assert_eq!(frames("image/webp", &moving(b"")), 2);
    assert_eq!(frames("image/webp", &plain), 1);
}

#[test]
fn frames_within_frames_are_cut_however_deep_they_go() {
    // A frame's head is 24 octets. A call for each would need more stack than a thread has.
    let nested: Vec<u8> = (0..100_000)
        .rev()
        .flat_map(|deeper| frame_head(deeper * 24))
        .collect();
    let length = u32::try_from(nested.len() + 4)
        .expect("short")
        .to_le_bytes();
    let file = [b"RIFF", &length[..], b"WEBP", &nested].concat();
    let clean = cleaned("image/webp", &file).expect("a file of one empty frame");
    assert_eq!(clean.len(), 12 + 24);
    assert_eq!(frames("image/webp", &file), 1);
}

/// What stands before the chunks of a frame, which have so many octets.
fn frame_head(body: usize) -> Vec<u8> {
    let length = u32::try_from(body + 16).expect("short").to_le_bytes();
    [&b"ANMF"[..], &length, &[0; 16]].concat()
}

#[test]
fn a_gif_tells_nothing_but_its_pixels() {
    let head = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff";
    let frame = b"\x21\xf9\x04\x00\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00";
    let repeat = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00";
    let block = |start: &[u8]| [start, &[SECRET.len() as u8], SECRET, b"\0"].concat();
    let comment = block(b"\x21\xfe");
    let xmp = block(b"\x21\xff\x0bXMP DataXMP");
    let told = [
        &head[..],
        &comment,
        repeat,
        frame,
        &xmp,
        frame,
        b";",
        SECRET,
    ]
    .concat();
    let clean = cleaned("image/gif", &told).expect("a whole file");
    assert_eq!(clean, [&head[..], repeat, frame, frame, b";"].concat());
    assert_eq!(frames("image/gif", &clean), 2);
    // What begins a frame may stand in the pixels of one, and GIF87a has no control before each.
    let false_start = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x03\x21\xf9\x04\x00";
    let still = [&head[..], false_start, b";"].concat();
    assert_eq!(frames("image/gif", &still), 1);
    let old = [&head[..], &frame[8..], &frame[8..], b";"].concat();
    assert_eq!(frames("image/gif", &old), 2);
}

#[test]
fn what_is_cut_off_anywhere_is_not_whole_and_ends_no_program() {
    for (media_type, format) in [
        ("image/png", ImageFormat::Png),
        ("image/jpeg", ImageFormat::Jpeg),
        ("image/gif", ImageFormat::Gif),
        ("image/webp", ImageFormat::WebP),
    ] {
        let whole = encoded(format);
        assert!(cleaned(media_type, &whole).is_some(), "{media_type}");
        for end in 0..whole.len() {
            let torn = cleaned(media_type, &whole[..end]);
            assert_eq!(torn, None, "{media_type} of {end} octets");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] = !other[at];
            cleaned(media_type, &other);
        }
    }
}
