//! The images of an issue: measured, named by their content.

use imagesize::ImageType;
use sha2::{Digest, Sha256};

use crate::compile::{Image, hex};

/// Mailboxes load images over slow links; more is a mistake.
const SIZE_LIMIT: usize = 8 * 1024 * 1024;

/// Measures the octets of `source`, the author's path. The error is a sentence.
pub fn measure(source: &str, octets: &[u8]) -> Result<Image, String> {
    if octets.len() > SIZE_LIMIT {
        return Err(format!(
            "`{source}` is larger than {} MiB; make it smaller",
            SIZE_LIMIT / 1024 / 1024
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
    let side =
        |length: usize| u32::try_from(length).map_err(|_| format!("`{source}` is too large"));
    Ok(Image {
        hash: hex(&Sha256::digest(octets)),
        source: source.to_owned(),
        media_type: media_type.to_owned(),
        width: side(size.width)?,
        height: side(size.height)?,
    })
}

#[cfg(test)]
mod tests {
    use super::measure;

    /// A GIF of 3 by 2 pixels, header only.
    const GIF: &[u8] = b"GIF89a\x03\x00\x02\x00\x00\x00\x00";

    #[test]
    fn an_image_is_named_by_its_content_and_measured() {
        let image = measure("a.gif", GIF).expect("an image");
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
            assert!(measure("a", octets).is_err());
        }
        assert!(measure("a.gif", &[GIF, &vec![0; 9 << 20]].concat()).is_err());
    }
}
