//! Photographs of an issue: what they show is published, where and with what they were taken is not.

use crate::compile::desk::Desk;

/// What a camera writes beside the pixels.
const SECRET: &[u8] = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\0\0\0\0\0 SecretCam 52.5163N 13.3777E";

/// A small JPEG as a camera would have written it.
pub fn photograph() -> Vec<u8> {
    let mut octets = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(40, 20, image::Rgb([200, 30, 30]))
        .write_to(&mut octets, image::ImageFormat::Jpeg)
        .expect("an encoder");
    let plain = octets.into_inner();
    let length = u16::try_from(SECRET.len() + 2)
        .expect("short")
        .to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &length, SECRET, &plain[2..]].concat()
}

/// Whether these octets tell of the camera.
pub fn tells(octets: &[u8]) -> bool {
    octets.windows(9).any(|part| part == b"SecretCam")
}

#[test]
fn a_photograph_is_published_without_what_its_camera_wrote_into_it() {
    let desk = Desk::new();
    assert!(tells(&photograph()));
    for name in ["roof.jpg", "roof@2x.jpg"] {
        desk.write(&format!("issues/one/{name}"), photograph());
    }
    let text = "---\ntitle: T\n---\n![A roof](roof.jpg)\n\n:::mjml\n<mj-image src=\"roof.jpg\" alt=\"A roof\" />\n:::\n";
    desk.write("issues/one/issue.md", text);
    let built = desk.compile("one").expect("an issue");
    assert!(!built.images.is_empty());
    for (image, octets) in &built.images {
        assert!(!tells(octets), "{}", image.source);
    }
    let (code, out, error) = desk.run(&["build", "one", "--out", "out"]);
    assert_eq!(code, 0, "{out}{error}");
    let images = std::fs::read_dir(desk.folder.path().join("out/i")).expect("a folder");
    for image in images {
        let path = image.expect("an entry").path();
        assert!(!tells(&std::fs::read(&path).expect("a file")), "{path:?}");
    }
}
