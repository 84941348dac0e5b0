//! `check` and `build` from outside.

use std::path::Path;

use crate::compile::SAMPLE;
use crate::compile::desk::Desk;

#[test]
fn check_shows_findings_size_and_links() {
    let desk = Desk::new();
    let (code, out, _) = desk.run(&["check", SAMPLE]);
    assert_eq!(code, 0);
    insta::assert_snapshot!("check", out);
    let (code, out, _) = desk.run(&["check", SAMPLE, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (code, json["links"].as_array().map(Vec::len)),
        (0, Some(16))
    );
    desk.write(
        "issues/bad/issue.md",
        "---\ntitle: T\n---\n[[nmae|x]]\n\n[x](y)\n",
    );
    let (code, out, _) = desk.run(&["check", "bad"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!("check_bad", out);
    let (code, out, _) = desk.run(&["check", "bad", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (code, json["diagnostics"][1]["line"].as_u64()),
        (1, Some(4))
    );
    let (code, _, error) = desk.run(&["check", "nowhere"]);
    assert_eq!(code, 1);
    assert!(
        error.starts_with("error: there is no issue `nowhere`; there are: "),
        "{error}"
    );
}

#[test]
fn build_writes_what_a_reader_would_see() {
    let desk = Desk::new();
    let (code, out, _) = desk.run(&["build", SAMPLE, "--out", "out"]);
    assert_eq!(code, 0, "{out}");
    let read = |path: &str| std::fs::read_to_string(desk.folder.path().join(path)).expect("a file");
    let html = read("out/index.html");
    assert!(html.contains("Hello there,"));
    assert!(html.contains(
        "href=\"https://example.org/share?issue=this-week-in-ai-research&amp;from=email\""
    ));
    assert!(read("out/text.txt").contains("share?issue=this-week-in-ai-research&from=email"));
    let image = html
        .split("src=\"i/")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let image = desk
        .folder
        .path()
        .join("out/i")
        .join(image.expect("an image"));
    assert!(Path::new(&image).is_file());
}

#[test]
fn build_shows_the_picture_for_dense_screens_from_disk_too() {
    let desk = Desk::new();
    for (name, width, height) in [("pic.png", 40, 20), ("pic@2x.png", 80, 40)] {
        let picture = image::RgbImage::from_pixel(width, height, image::Rgb([200, 30, 30]));
        let mut octets = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut octets, image::ImageFormat::Png)
            .expect("an encoder");
        desk.write(&format!("issues/one/{name}"), octets.into_inner());
    }
    desk.write(
        "issues/one/issue.md",
        "---\ntitle: T\n---\n![A chart](pic.png)\n",
    );
    let (code, out, _) = desk.run(&["build", "one", "--out", "out"]);
    assert_eq!(code, 0, "{out}");
    let html = std::fs::read_to_string(desk.folder.path().join("out/index.html"));
    let html = html.expect("a page");
    let sources = html.split("srcset=\"").nth(1).expect("a srcset");
    let sources = sources.split('"').next().expect("its end");
    assert!(
        sources.starts_with("i/") && sources.contains(" 1x, i/"),
        "{sources}"
    );
}

#[test]
fn build_writes_the_whole_message_and_signs_it_when_there_is_a_key() {
    let desk = Desk::new();
    let built = |desk: &Desk| {
        let (code, out, error) = desk.run(&["build", SAMPLE, "--out", "out"]);
        assert_eq!(code, 0, "{out}{error}");
        let path = desk.folder.path().join("out/message.eml");
        (std::fs::read_to_string(path).expect("a message"), error)
    };
    let (message, _) = built(&desk);
    assert!(message.starts_with("From: "), "{message}");
    assert!(message.contains("\r\nTo: reader@example.org\r\n"));
    assert!(message.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    let config = desk.folder.path().join("pressrun.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let key = "[dkim]\nselector = \"news\"\nkey = \"dkim-news.pem\"";
    let text = text.replace("[dkim]\nselector = \"a\"", key);
    std::fs::write(&config, text).expect("a file");
    let (message, error) = built(&desk);
    assert!(!message.contains("DKIM-Signature"));
    assert!(error.contains("message.eml is not signed: "), "{error}");
    let (code, _, error) = desk.run(&["keys", "dkim", "--selector", "news"]);
    assert_eq!(code, 0, "{error}");
    let (message, _) = built(&desk);
    assert!(message.starts_with("DKIM-Signature: "), "{message}");
    assert!(message.contains("s=news"), "{message}");
}
