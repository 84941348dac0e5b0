//! What is served for an image, and what is refused.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use super::{container, double, prepare, prepare_above};

/// So small that a test need not wait for millions of pixels.
const LIGHT: usize = 16 * 1024;

/// A GIF of 3 by 2 pixels, without a picture.
const GIF: &[u8] = b"GIF89a\x03\x00\x02\x00\x00\x00\x00;";

fn noise(seed: &mut u32) -> u8 {
    // Xorshift: the same in every run, and nothing that a compressor could shorten.
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    seed.to_be_bytes()[0]
}

fn encoded(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut octets = Cursor::new(Vec::new());
    image.write_to(&mut octets, format).expect("an encoder");
    octets.into_inner()
}

fn heavy(width: u32, height: u32) -> RgbImage {
    let mut seed = 1;
    RgbImage::from_fn(width, height, |_, _| {
        Rgb([noise(&mut seed), noise(&mut seed), noise(&mut seed)])
    })
}

#[test]
fn an_image_is_named_by_its_content_and_measured() {
    let image = prepare("a.gif", GIF.to_vec(), false)
        .expect("an image")
        .image;
    assert_eq!((image.width, image.height), (3, 2));
    assert_eq!(image.media_type, "image/gif");
    assert_eq!(image.hash.len(), 64);
}

#[test]
fn what_mailboxes_do_not_show_is_refused() {
    for octets in [
        &b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..],
        b"",
        b"BM0000000000000000000000000000",
    ] {
        assert!(prepare("a", octets.to_vec(), false).is_err());
    }
    let large = [GIF, &vec![0; 25 << 20]].concat();
    let refused = prepare("a.gif", large, false).expect_err("too large");
    assert!(refused.contains("larger than 24 MiB"), "{refused}");
}

#[test]
fn a_bomb_and_a_torn_file_are_refused_without_decoding() {
    let small = encoded(heavy(4, 4).into(), ImageFormat::Png);
    let mut bomb = small.clone();
    bomb[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let refused = prepare("a.png", bomb, false).expect_err("a bomb");
    assert!(refused.contains("has 60000 by 60000 pixels"), "{refused}");
    let jpeg = encoded(heavy(4, 4).into(), ImageFormat::Jpeg);
    for octets in [&small, &jpeg] {
        let torn = octets[..octets.len() - 9].to_vec();
        let refused = prepare("a", torn, false).expect_err("a torn file");
        assert!(refused.contains("is cut off before its end"), "{refused}");
    }
    assert!(prepare("a.gif", GIF[..GIF.len() - 1].to_vec(), false).is_err());
}

#[test]
fn what_is_light_stays_octet_for_octet() {
    let octets = encoded(heavy(40, 30).into(), ImageFormat::Png);
    let prepared = prepare("a.png", octets.clone(), false).expect("an image");
    assert_eq!(prepared.octets, octets);
    assert!(prepared.notes.is_empty(), "{:?}", prepared.notes);
}

#[test]
fn a_heavy_image_is_scaled_down_the_same_way_each_time() {
    let octets = encoded(heavy(1_300, 8).into(), ImageFormat::Png);
    assert!(octets.len() > LIGHT);
    let once = prepare_above("a.png", octets.clone(), false, LIGHT).expect("an image");
    assert_eq!((once.image.width, once.image.height), (1_200, 7));
    assert_eq!(
        once.image.media_type, "image/jpeg",
        "nothing in it is transparent"
    );
    assert!(once.octets.len() < LIGHT);
    assert_eq!(once.natural, (1_300, 8));
    let [(code, message)] = once.notes.as_slice() else {
        panic!("{:?}", once.notes);
    };
    assert_eq!(*code, "image-recompressed");
    assert!(message.ends_with("of 1300 by 8"), "{message}");
    assert!(message.contains("of 1200 by 7 pixels"), "{message}");
    assert_eq!(prepare_above("a.png", octets, false, LIGHT), Ok(once));
}

#[test]
fn what_is_transparent_stays_png() {
    let mut seed = 7;
    let clear = RgbaImage::from_fn(1_300, 8, |x, _| {
        let alpha = if x < 9 { 0 } else { u8::MAX };
        Rgba([noise(&mut seed), noise(&mut seed), noise(&mut seed), alpha])
    });
    let octets = encoded(clear.into(), ImageFormat::Png);
    assert!(octets.len() > LIGHT);
    let prepared = prepare_above("a.png", octets, false, LIGHT).expect("an image");
    assert_eq!(prepared.image.media_type, "image/png");
    assert_eq!(prepared.image.width, 1_200);
}

#[test]
fn a_photograph_is_turned_upright() {
    let jpeg = encoded(heavy(40, 20).into(), ImageFormat::Jpeg);
    // RFC-less, by EXIF 2.3: a big-endian TIFF with one entry, orientation (0x0112) 6, a quarter turn.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
    let segment = [&[0xff, 0xe1][..], &length, exif].concat();
    let mut profile = vec![0; 128];
    profile[16..20].copy_from_slice(b"RGB ");
    let colours = [&b"\xff\xe2\0\x90ICC_PROFILE\0\x01\x01"[..], &profile].concat();
    let turned = [&jpeg[..2], &segment, &colours, &jpeg[2..]].concat();
    let prepared = prepare("a.jpg", turned, false).expect("an image");
    assert_eq!((prepared.image.width, prepared.image.height), (20, 40));
    assert!(!holds(&prepared.octets, b"Exif"));
    assert!(
        holds(&prepared.octets, &profile),
        "its colours mean the same"
    );
    // WebP and PNG say it by the same TIFF (RFC 9649, section 2.7.1.5; PNG, section 11.3.4.3).
    let png = encoded(heavy(40, 20).into(), ImageFormat::Png);
    let mut chunk = b"eXIf".to_vec();
    chunk.extend_from_slice(&exif[6..]);
    let length = u32::try_from(exif.len() - 6).expect("short").to_be_bytes();
    let sum = crc(&chunk).to_be_bytes();
    let turned = [&png[..33], &length, &chunk, &sum, &png[33..]].concat();
    let prepared = prepare("a.png", turned, false).expect("an image");
    assert_eq!((prepared.image.width, prepared.image.height), (20, 40));
    assert!(!holds(&prepared.octets, b"eXIf"));
}

fn holds(octets: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(octets, part).is_some()
}

/// PNG, annex D.
fn crc(octets: &[u8]) -> u32 {
    let step = |sum: u32, octet: &u8| {
        (0..8).fold(sum ^ u32::from(*octet), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 * (sum & 1))
        })
    };
    !octets.iter().fold(u32::MAX, step)
}

#[test]
fn an_image_for_dense_screens_has_its_name() {
    assert_eq!(double("a.png").as_deref(), Some("a@2x.png"));
    assert_eq!(double("b/a.b.jpg").as_deref(), Some("b/a.b@2x.jpg"));
    for source in ["a", "a@2x.png", ".png", "a.b/c"] {
        assert_eq!(double(source), None, "{source}");
    }
}

/// A GIF of `count` frames in as many colours.
fn moving(count: u8, width: u32, height: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut octets);
    for number in 0..count {
        let colour = Rgba([number * 40, 90, 200, 255]);
        let frame = image::Frame::new(RgbaImage::from_pixel(width, height, colour));
        encoder.encode_frame(frame).expect("a frame");
    }
    drop(encoder);
    octets
}

#[test]
fn what_moves_is_served_as_it_is_and_stands_still_only_when_asked() {
    let octets = moving(3, 40, 20);
    let moves = prepare_above("a.gif", octets.clone(), false, 16).expect("an image");
    assert_eq!(moves.image.media_type, "image/gif");
    assert_eq!(container::frames("image/gif", &moves.octets), 3);
    assert_eq!(moves.notes, []);
    let still = prepare_above("a.gif", octets.clone(), true, LIGHT).expect("an image");
    assert_eq!(still.image.media_type, "image/png");
    assert_eq!((still.image.width, still.image.height), (40, 20));
    assert_eq!(still.notes, []);
    let shown = image::load_from_memory(&still.octets).expect("a picture");
    assert_eq!(shown.to_rgba8().get_pixel(20, 10).0[..2], [0, 90]);
    assert_eq!(
        prepare_above("a.gif", octets, true, LIGHT).map(|again| again.image.hash),
        Ok(still.image.hash)
    );
    // What does not move is what it was.
    let one = moving(1, 40, 20);
    let kept = prepare("a.gif", one.clone(), true).expect("an image");
    assert_eq!(Ok(kept), prepare("a.gif", one, false));
}
