//! Images among components of the author's own: files of the issue, each with a text.

use crate::compile::desk::Desk;
use crate::compile::filled;

const PNG: &[u8] = include_bytes!("../../../emails/issues/this-week-in-ai-research/lora.png");

#[test]
fn a_file_named_in_components_is_an_image_of_the_issue() {
    let desk = Desk::new();
    desk.write("issues/one/pic.png", PNG);
    let body = ":::mjml\n<mj-image src=\"pic.png\" alt=\"A chart\" width=\"200px\" />\n\
                <mj-text>[[first_name|you]] <img src='pic.png' alt=\"\" width=\"20\"></mj-text>\n:::";
    let built = desk.body(body).expect("an issue");
    let [image] = built.compiled.images.as_slice() else {
        panic!("{:?}", built.compiled.images);
    };
    let html = filled(&built.compiled.html);
    let address = format!("src=\"https://news.example.org/i/{}\"", image.hash);
    assert_eq!(html.matches(&address).count(), 1, "{html}");
    assert!(!html.contains("pic.png"), "{html}");
    let tag = html.split("<img ").find(|tag| tag.contains(&address));
    let tag = tag.and_then(|tag| tag.split('>').next()).expect("a tag");
    assert!(tag.contains(" height=\"") && !tag.contains("auto\""), "{tag}");
    // What is wrong with it is told where it is named.
    let missing = desk.refused(&body.replacen("pic.png", "pci.png", 1));
    let place = "issue.md:5:16: error[image]: there is no file `pci.png`";
    assert!(missing.contains(place), "{missing}");
}

#[test]
fn an_image_of_components_without_a_text_is_told_by_its_line() {
    let desk = Desk::new();
    desk.write("issues/one/pic.png", PNG);
    let told = desk.refused(
        "a\n\n:::mjml\n<mj-image src=\"pic.png\" />\n<!-- <mj-image src=\"no.png\" /> -->\n\
         <mj-image src=\"https://x.example/y.png\" alt=\"\" />\n:::",
    );
    let place = "issue.md:7:2: error[alt]: this image has no text";
    assert!(told.contains(place), "{told}");
    assert!(!told.contains("no.png") && !told.contains(":9:"), "{told}");
}
