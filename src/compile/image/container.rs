//! What an image's file holds beside its pixels, cut out: where and with what it was taken, whose it is, what was
//! cropped away.
//!
//! Promises: no pixel is decoded or changed; what is needed to show them stays (colour profiles, palettes, the
//! times of a moving picture), and of the rest only what is known stays. Leaves how a camera was held to its
//! caller, who asks before it is cut.

/// One kind of file, by its media type.
type Cutter = fn(&[u8]) -> Option<(Vec<u8>, usize)>;

fn cutter(media_type: &str) -> Cutter {
    match media_type {
        "image/png" => png,
        "image/jpeg" => jpeg,
        "image/gif" => gif,
        _ => webp,
    }
}

/// The file without what tells of anything but its pixels; none if it ends before its end.
pub(super) fn cleaned(media_type: &str, octets: &[u8]) -> Option<Vec<u8>> {
    cutter(media_type)(octets).map(|(octets, _)| octets)
}

/// The pictures in a file that is shown one after the other; one where it stands still or is broken.
pub fn frames(media_type: &str, octets: &[u8]) -> usize {
    cutter(media_type)(octets).map_or(1, |(_, frames)| frames.max(1))
}

/// Segments up to the end of the image (ITU-T T.81, annex B). What follows it, other pictures of the same moment
/// or a film, is left out with the comments and the applications' own segments.
fn jpeg(octets: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets.strip_prefix(&[0xff, 0xd8])?;
    out.extend_from_slice(&[0xff, 0xd8]);
    loop {
        // B.1.1.2: a marker may have any number of 0xff before it.
        rest = &rest[memchr::memchr(0xff, rest)?..];
        let (marker, after) = rest.get(1..)?.split_first()?;
        rest = match *marker {
            0xff => &rest[1..],
            0xd9 => {
                out.extend_from_slice(&[0xff, 0xd9]);
                return Some((out, 1));
            }
            0x00 | 0x01 | 0xd0..=0xd8 => after,
            marker => {
                let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
                let (body, after) = after.split_at_checked(length.max(2))?;
                jpeg_segment(marker, body.get(2..)?, &mut out);
                if marker == 0xda {
                    let scan = scan_length(after)?;
                    out.extend_from_slice(&after[..scan]);
                    &after[scan..]
                } else {
                    after
                }
            }
        };
    }
}

/// Keeps what a segment says of the pixels.
fn jpeg_segment(marker: u8, body: &[u8], out: &mut Vec<u8>) {
    /// Where JFIF counts the pixels of its own small picture, which shows what was cropped since.
    const THUMBNAIL: usize = 12;
    let mut jfif = [0; THUMBNAIL + 2];
    let kept = match marker {
        0xe0 if body.starts_with(b"JFIF\0") && body.len() >= jfif.len() => {
            jfif[..THUMBNAIL].copy_from_slice(&body[..THUMBNAIL]);
            &jfif[..]
        }
        0xe2 if body.starts_with(b"ICC_PROFILE\0") => body,
        // How its colours were turned (Adobe TN 5116, section 18).
        0xee if body.starts_with(b"Adobe") => &body[..body.len().min(12)],
        0xe0..=0xef | 0xfe => return,
        _ => body,
    };
    let length = u16::try_from(kept.len() + 2).expect("no longer than the segment was");
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(kept);
}

/// Octets of a scan up to the next marker that does not belong to it.
fn scan_length(octets: &[u8]) -> Option<usize> {
    memchr::memchr_iter(0xff, octets).find(|at| {
        let next = octets.get(at + 1);
        next.is_some_and(|next| !matches!(next, 0x00 | 0xd0..=0xd7 | 0xff))
    })
}

/// Chunks up to `IEND` (PNG, section 5). Of those that a decoder may ignore, the ones of colour and motion stay.
fn png(octets: &[u8]) -> Option<(Vec<u8>, usize)> {
    const KEPT: [&[u8; 4]; 15] = [
        b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD",
        b"pHYs", b"sPLT", b"acTL", b"fcTL", b"fdAT",
    ];
    let (head, mut rest) = octets.split_first_chunk::<8>()?;
    let mut out = Vec::with_capacity(octets.len());
    out.extend_from_slice(head);
    let mut frames = 0;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?);
        let whole = usize::try_from(length).ok()?.checked_add(12)?;
        let (chunk, after) = rest.split_at_checked(whole)?;
        let kind: &[u8; 4] = chunk[4..].first_chunk()?;
        // Section 5.4: a small first letter says that pixels can be had without it.
        if kind[0].is_ascii_uppercase() || KEPT.contains(&kind) {
            out.extend_from_slice(chunk);
        }
        match kind {
            b"fcTL" => frames += 1,
            b"IEND" => return Some((out, frames)),
            _ => {}
        }
        rest = after;
    }
}

/// Blocks up to the trailer (GIF89a, appendix A).
fn gif(octets: &[u8]) -> Option<(Vec<u8>, usize)> {
    /// Applications whose blocks say how it moves, or in which colours.
    const KEPT: [&[u8; 11]; 3] = [b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"];
    /// Octets of a table of colours, by the flags before it.
    const fn table(flags: u8) -> usize {
        if flags & 0x80 == 0 {
            return 0;
        }
        3 << ((flags & 0x07) + 1)
    }
    let global = table(*octets.get(10)?);
    let (head, mut rest) = octets.split_at_checked(13 + global)?;
    let mut out = Vec::with_capacity(octets.len());
    out.extend_from_slice(head);
    let mut frames = 0;
    loop {
        let (kind, after) = rest.split_first()?;
        let (length, kept) = match kind {
            b';' => {
                out.push(b';');
                return Some((out, frames));
            }
            b'!' => {
                let label = *after.first()?;
                let named = after.get(2..13);
                let known = named.is_some_and(|name| KEPT.iter().any(|kept| name == *kept));
                (
                    2 + sub_blocks(&after[1..])?,
                    label == 0xf9 || label == 0xff && known,
                )
            }
            b',' => {
                frames += 1;
                let pixels = 10 + table(*after.get(8)?) + 1;
                (pixels + sub_blocks(rest.get(pixels..)?)?, true)
            }
            // Section 12 knows no others; between blocks some programs leave an empty one.
            0 => (1, false),
            _ => return None,
        };
        let (block, after) = rest.split_at_checked(length)?;
        if kept {
            out.extend_from_slice(block);
        }
        rest = after;
    }
}

/// Octets of a row of sub-blocks with the empty one at its end.
fn sub_blocks(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = usize::from(*octets.get(at)?);
        at += length + 1;
        if length == 0 {
            return Some(at);
        }
    }
}

/// Chunks of a RIFF file as long as its head says (RFC 9649, section 2.4).
fn webp(octets: &[u8]) -> Option<(Vec<u8>, usize)> {
    let length = u32::from_le_bytes(*octets.get(4..)?.first_chunk()?);
    let rest = octets.get(12..usize::try_from(length).ok()?.checked_add(8)?)?;
    let mut out = octets[..12].to_vec();
    let frames = webp_chunks(rest, Within::File, &mut out)?;
    let length = u32::try_from(out.len() - 8).expect("no longer than it was");
    out[4..8].copy_from_slice(&length.to_le_bytes());
    Some((out, frames))
}

/// Where chunks stand. A frame holds none (RFC 9649, section 2.7.1.1), however many a file nests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    File,
    Frame,
}

/// Keeps the chunks of pixels, colour and motion; gives how many frames there are.
fn webp_chunks(octets: &[u8], within: Within, out: &mut Vec<u8>) -> Option<usize> {
    /// What `VP8X` says of chunks that are cut: EXIF and XMP (section 2.7.1).
    const TOLD: u8 = 0x08 | 0x04;
    /// Octets of a frame before its own chunks (section 2.7.1.1).
    const FRAME: usize = 16;
    let mut rest = octets;
    let mut frames = 0;
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes(*head[4..].first_chunk()?);
        let length = usize::try_from(length).ok()?;
        let body = after.get(..length)?;
        let start = out.len();
        match (&head[..4], within) {
            (b"VP8X", Within::File) => {
                out.extend_from_slice(head);
                out.extend_from_slice(body);
                *out.get_mut(start + 8)? &= !TOLD;
            }
            (b"ANMF", Within::File) => {
                frames += 1;
                out.extend_from_slice(head);
                out.extend_from_slice(body.get(..FRAME)?);
                webp_chunks(&body[FRAME..], Within::Frame, out)?;
                let length = u32::try_from(out.len() - start - 8).ok()?;
                out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
            }
            (b"VP8 " | b"VP8L" | b"ALPH", _) | (b"ANIM" | b"ICCP", Within::File) => {
                out.extend_from_slice(head);
                out.extend_from_slice(body);
            }
            _ => {}
        }
        if (out.len() - start) % 2 == 1 {
            out.push(0);
        }
        // The one that fills up an odd chunk may be missing at the end.
        rest = after.get(length + length % 2..).unwrap_or_default();
    }
    Some(frames)
}

#[cfg(test)]
mod tests;
