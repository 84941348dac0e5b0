//! The lints of the images.

use pressrun::lint::Facts;

use super::{PREHEADER, found, front};
use crate::compile::desk::Desk;

/// A GIF of one pixel with `frames` images.
fn gif(frames: usize) -> Vec<u8> {
    let mut octets = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff".to_vec();
    for _ in 0..frames {
        octets.extend_from_slice(b"\x21\xf9\x04\x00\x00\x00\x00\x00");
        octets.extend_from_slice(b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00");
    }
    octets.push(0x3b);
    octets
}

/// A PNG that a decoder may show as two pictures (PNG, section 11.3.2); nobody reads its sums.
fn moving_png() -> Vec<u8> {
    let mut octets = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(2, 2, image::Rgb([200, 30, 30]))
        .write_to(&mut octets, image::ImageFormat::Png)
        .expect("an encoder");
    let plain = octets.into_inner();
    let frame = [b"\0\0\0\x1afcTL", &[0; 30][..]].concat();
    [
        &plain[..33],
        &frame,
        &plain[33..plain.len() - 12],
        &frame,
        &plain[plain.len() - 12..],
    ]
    .concat()
}

#[test]
fn each_lint_of_the_images_fires_at_its_line_and_not_beside_it() {
    let desk = Desk::new();
    desk.write("issues/one/still.gif", gif(1));
    desk.write("issues/one/moving.gif", gif(3));
    desk.write("issues/one/moving.png", moving_png());
    let mut heavy = gif(1);
    heavy.splice(heavy.len() - 2..heavy.len() - 2, vec![255; 400 * 1024]);
    desk.write("issues/one/heavy.gif", heavy);
    for (body, expected) in [
        ("![Two hives on a roof](still.gif)", vec![]),
        ("a\n\n![still](still.gif)", vec!["alt-text@8"]),
        ("![Screenshot](still.gif)", vec!["alt-text@6"]),
        ("![A bee dances](moving.gif)", vec!["image-animated@6"]),
        ("![A bee dances](moving.png)", vec!["image-animated@6"]),
        ("a\n\n![A bee dances](heavy.gif)", vec!["image-weight@8"]),
    ] {
        let found = found(
            &desk,
            &front("Bees", "Bees", PREHEADER),
            body,
            &Facts::default(),
        );
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn what_moves_and_is_heavy_is_told_with_what_to_do_and_stands_still_when_asked() {
    let desk = Desk::new();
    let mut heavy = gif(2);
    let end = heavy.len() - 2;
    heavy.splice(end..end, vec![255; 2 * 1024 * 1024]);
    desk.write("issues/one/dance.gif", &heavy);
    let told = |body: &str| {
        let text = format!("---\ntitle: Bees\npreheader: {PREHEADER}\n---\n{body}\n");
        desk.write("issues/one/issue.md", text);
        let (code, out, error) = desk.run(&["check", "one"]);
        (code, format!("{out}{error}"))
    };
    let (code, out) = told("![A bee dances](dance.gif)");
    assert_eq!(code, 0, "{out}");
    for expected in [
        "issue.md:5:1: warning[image-weight]: `dance.gif` weighs ",
        "`gifsicle -O3 --lossy=80 --colors 128 --resize-fit-width 600 dance.gif -o small.gif` makes it smaller",
        "`{motion=still}` behind it sends its first frame only",
        "issue.md:5:1: warning[image-animated]",
        "image     dance.gif (1 x 1, 2",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    let (code, out) = told("![A bee dances](dance.gif){motion=still}");
    assert_eq!(code, 0, "{out}");
    assert!(!out.contains("[image-"), "{out}");
    assert!(out.contains("image     dance.gif (1 x 1, 0."), "{out}");
    for (body, expected) in [
        (
            "![A bee dances](dance.gif){motion=sitll}",
            "issue.md:5:35: error[image]: `sitll` is no `motion` of an image",
        ),
        (
            "![A bee dances](dance.gif){moton=still}",
            "did you mean `motion`?",
        ),
        (
            "![A bee dances](dance.gif){motion=still}\n\n![And again](dance.gif)",
            "issue.md:7:1: error[image]: `dance.gif` moves in one place and stands still in another",
        ),
    ] {
        let (code, out) = told(body);
        assert_eq!(code, 1, "{body}: {out}");
        assert!(out.contains(expected), "{body}: {out}");
    }
    let end = heavy.len() - 2;
    heavy.splice(end..end, vec![255; 7 * 1024 * 1024]);
    desk.write("issues/one/dance.gif", heavy);
    let (code, out) = told("![A bee dances](dance.gif)");
    assert_eq!(code, 1, "{out}");
    let expected = "larger than 8 MiB; make it smaller, or write `{motion=still}` behind it";
    assert!(out.contains(expected), "{out}");
    assert_eq!(told("![A bee dances](dance.gif){motion=still}").0, 0);
}
