//! The images of an issue: measured, rid of what they tell beside their pixels, named by their content, made smaller
//! where they are heavy.
//!
//! Promises: what declares more pixels than a mail needs, or is cut off, is refused before it is decoded; the same
//! octets give the same image; none says where, when or by whom it was taken. Leaves files and their places to
//! `publication`.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageEncoder, ImageReader, ImageResult, Limits, imageops};
use imagesize::ImageType;
use sha2::{Digest, Sha256};

use crate::compile::Image;
use crate::hex::hex;

pub mod container;

/// A camera's largest photographs stay below it.
const INPUT_LIMIT: usize = 24 * 1024 * 1024;
/// Mailboxes load images over slow links; more is a mistake.
const SIZE_LIMIT: usize = 8 * 1024 * 1024;
/// Where a reader on a phone begins to wait.
pub const SIZE_WARNING: usize = 1024 * 1024;
/// Pixels of one side.
const SIDE_LIMIT: u32 = 16_000;
/// Pixels in all: four octets each while decoded.
const AREA_LIMIT: u64 = 50_000_000;
/// The text of a mail is at most 600 CSS pixels wide; dense screens have two pixels to one.
const WIDTH_LIMIT: u32 = 1_200;
const JPEG_QUALITY: u8 = 82;

/// An image as it will be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub image: Image,
    pub octets: Vec<u8>,
    /// Pixels of the author's file, before anything was done to it.
    pub natural: (u32, u32),
    /// What was done to it, or could not be, as a code and a sentence.
    pub notes: Vec<(&'static str, String)>,
}

/// The name of the variant with twice the pixels: `a@2x.png` of `a.png`.
pub fn double(source: &str) -> Option<String> {
    let (stem, extension) = source.rsplit_once('.')?;
    let fine = !stem.is_empty() && !stem.ends_with("@2x") && !extension.contains('/');
    fine.then(|| format!("{stem}@2x.{extension}"))
}

/// Measures the octets of `source`, the author's path, without decoding them, and leaves out what is not shown. The
/// error is a sentence.
fn read(source: &str, octets: &[u8]) -> Result<(Image, Vec<u8>), String> {
    if octets.len() > INPUT_LIMIT {
        return Err(format!(
            "`{source}` is larger than {} MiB; make it smaller",
            INPUT_LIMIT / 1024 / 1024
        ));
    }
    let media_type = match imagesize::image_type(octets) {
        Ok(ImageType::Png) => "image/png",
        Ok(ImageType::Jpeg) => "image/jpeg",
        Ok(ImageType::Gif) => "image/gif",
        Ok(ImageType::Webp) => "image/webp",
        Ok(_) | Err(_) => {
            return Err(format!(
                "`{source}` is no PNG, JPEG, GIF or WebP; mailboxes show no other kind (SVG neither)"
            ));
        }
    };
    let size = imagesize::blob_size(octets)
        .map_err(|error| format!("`{source}` cannot be measured: {error}"))?;
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let (width, height) = (side(size.width), side(size.height));
    if width == 0 || height == 0 {
        return Err(format!("`{source}` has no pixels; save it again"));
    }
    let area = u64::from(width) * u64::from(height);
    if width > SIDE_LIMIT || height > SIDE_LIMIT || area > AREA_LIMIT {
        return Err(format!(
            "`{source}` has {width} by {height} pixels, more than can be looked at safely; make it smaller"
        ));
    }
    let octets = container::cleaned(media_type, octets)
        .ok_or_else(|| format!("`{source}` is cut off before its end; save it again"))?;
    let image = Image {
        hash: hex(&Sha256::digest(&octets)),
        source: source.to_owned(),
        media_type: media_type.to_owned(),
        width,
        height,
    };
    Ok((image, octets))
}

/// Makes the octets of `source` fit for a mail: upright, silent about who took it where, and not heavier than they
/// need be. What is light already keeps its pixels octet for octet, and so does what moves, however heavy: fewer
/// frames or colours are its author's to choose. With `still` only its first frame is kept. The error is a sentence.
pub fn prepare(source: &str, octets: Vec<u8>, still: bool) -> Result<Prepared, String> {
    prepare_above(source, octets, still, SIZE_WARNING)
}

/// As [`prepare`], where more octets than `light` are heavy.
fn prepare_above(
    source: &str,
    octets: Vec<u8>,
    still: bool,
    light: usize,
) -> Result<Prepared, String> {
    let (image, shown) = read(source, &octets)?;
    let turn = turn_of(&octets);
    let mut prepared = Prepared {
        natural: (image.width, image.height),
        image,
        octets: shown,
        notes: Vec::new(),
    };
    let moves = container::frames(&prepared.image.media_type, &prepared.octets) > 1;
    if moves && still {
        lighten(&mut prepared, turn, light, true)?;
    } else if turn != Orientation::NoTransforms || prepared.octets.len() > light {
        // What moves would stand still.
        if !moves {
            lighten(&mut prepared, turn, light, false)?;
        }
    }
    let size = prepared.octets.len();
    if size > SIZE_LIMIT {
        let limit = SIZE_LIMIT / 1024 / 1024;
        let or = match moves {
            true => ", or write `{motion=still}` behind it to send its first frame",
            false => "",
        };
        return Err(format!(
            "`{source}` is larger than {limit} MiB; make it smaller{or}"
        ));
    }
    Ok(prepared)
}

/// How a camera held its photograph: not every mailbox turns it by itself, and what said so is cut out.
fn turn_of(octets: &[u8]) -> Orientation {
    let turn = decoder(octets).and_then(|mut decoder| decoder.orientation());
    turn.unwrap_or(Orientation::NoTransforms)
}

/// Decodes, turns, scales down and encodes again; keeps the result if it is lighter or was turned, or only the first
/// of several frames is `wanted`.
fn lighten(
    prepared: &mut Prepared,
    turn: Orientation,
    light: usize,
    wanted: bool,
) -> Result<(), String> {
    let source = prepared.image.source.clone();
    let broken = |error| format!("`{source}` cannot be read to its end: {error}; save it again");
    let (mut decoded, profile) = decode(&prepared.octets).map_err(broken)?;
    decoded.apply_orientation(turn);
    prepared.natural = (decoded.width(), decoded.height());
    if decoded.width() > WIDTH_LIMIT {
        let height =
            u64::from(decoded.height()) * u64::from(WIDTH_LIMIT) / u64::from(decoded.width());
        let height = u32::try_from(height).unwrap_or(u32::MAX).max(1);
        let filter = imageops::FilterType::Lanczos3;
        decoded = decoded.resize_exact(WIDTH_LIMIT, height, filter);
    }
    let photograph = prepared.image.media_type == "image/jpeg";
    let (media_type, octets) = encode(&decoded, profile.as_deref(), photograph, light)
        .map_err(|error| format!("`{source}` cannot be made smaller: {error}"))?;
    let turned = turn != Orientation::NoTransforms;
    if octets.len() >= prepared.octets.len() && !turned && !wanted {
        return Ok(());
    }
    let before = prepared.octets.len();
    // Whoever asks for one frame knows that it is another file.
    if before > light && !wanted {
        let (was, is) = (prepared.natural, (decoded.width(), decoded.height()));
        prepared.notes.push((
            "image-recompressed",
            format!(
                "`{source}` is served as {} of {} by {} pixels instead of {} of {} by {}",
                shown(octets.len()),
                is.0,
                is.1,
                shown(before),
                was.0,
                was.1
            ),
        ));
    }
    prepared.image = Image {
        hash: hex(&Sha256::digest(&octets)),
        source,
        media_type: media_type.to_owned(),
        width: decoded.width(),
        height: decoded.height(),
    };
    prepared.octets = octets;
    Ok(())
}

fn decoder(octets: &[u8]) -> ImageResult<impl ImageDecoder> {
    let mut reader = ImageReader::new(Cursor::new(octets)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_LIMIT);
    limits.max_image_height = Some(SIDE_LIMIT);
    reader.limits(limits);
    reader.into_decoder()
}

/// The pixels, and what their red, green and blue mean where the file says it.
fn decode(octets: &[u8]) -> ImageResult<(DynamicImage, Option<Vec<u8>>)> {
    let mut decoder = decoder(octets)?;
    let profile = decoder.icc_profile().unwrap_or_default();
    // ICC.1:2022, section 7.2.6: one of inks or of grey says nothing of what is encoded here.
    let profile = profile.filter(|profile| profile.get(16..20) == Some(b"RGB "));
    Ok((DynamicImage::from_decoder(decoder)?, profile))
}

/// PNG where something is transparent or a PNG is light enough, JPEG else.
fn encode(
    decoded: &DynamicImage,
    profile: Option<&[u8]>,
    photograph: bool,
    light: usize,
) -> ImageResult<(&'static str, Vec<u8>)> {
    let clear = decoded.color().has_alpha()
        && decoded
            .to_rgba8()
            .pixels()
            .any(|pixel| pixel.0[3] != u8::MAX);
    if !photograph {
        let mut png = Vec::new();
        let mut encoder =
            PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive);
        if let Some(profile) = profile {
            encoder.set_icc_profile(profile.to_vec()).ok();
        }
        if clear {
            DynamicImage::from(decoded.to_rgba8()).write_with_encoder(encoder)?;
        } else {
            DynamicImage::from(decoded.to_rgb8()).write_with_encoder(encoder)?;
        }
        if clear || png.len() <= light {
            return Ok(("image/png", png));
        }
    }
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile.to_vec()).ok();
    }
    DynamicImage::from(decoded.to_rgb8()).write_with_encoder(encoder)?;
    Ok(("image/jpeg", jpeg))
}

fn shown(octets: usize) -> String {
    let tenths = (octets * 10).div_ceil(1024 * 1024);
    if tenths < 10 {
        return format!("{} KiB", octets.div_ceil(1024));
    }
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
