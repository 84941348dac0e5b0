//! Newsletters written elsewhere, as they are pasted or exported, and the way from there to Send.

use std::io::{Read, Write};

use crate::compile::desk::Desk;

/// Any picture that is one.
const PNG: &[u8] = include_bytes!("../../../emails/issues/this-week-in-ai-research/lora.png");

/// The text of a newsletter, in the file that its tool would write.
fn text(file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/compile/imports");
    std::fs::read_to_string(format!("{folder}/{file}")).expect("a newsletter")
}

/// Imports a newsletter; gives the folder, the slug and what the command said.
fn imported(file: &str) -> (Desk, String, String) {
    let desk = Desk::new();
    std::fs::write(desk.folder.path().join(file), text(file)).expect("a file");
    let (code, out, error) = desk.run(&["import-issue", file]);
    assert_eq!(code, 0, "{file}: {out}{error}");
    let slug = out
        .rsplit_once("next: pressrun check ")
        .expect("a next step")
        .1;
    let slug = slug.trim().to_owned();
    (desk, slug, out)
}

fn issue(desk: &Desk, slug: &str) -> String {
    let file = desk.emails().join("issues").join(slug).join("issue.md");
    std::fs::read_to_string(file).expect("an issue")
}

/// What `check` says, as `code@line`, errors only.
fn errors(desk: &Desk, slug: &str) -> Vec<String> {
    let (_, out, error) = desk.run(&["check", slug, "--json"]);
    let json: serde_json::Value =
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{slug}: {out}{error}"));
    let found = json["diagnostics"].as_array().expect("findings");
    let errors = found.iter().filter(|found| found["severity"] == "error");
    let named = errors.map(|found| format!("{}@{}", found["code"], found["line"]).replace('"', ""));
    named.collect()
}

/// Does what an author does: fills in what is marked, and nothing else.
fn filled_in(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split("](TODO").enumerate() {
        if number > 0 {
            out.push_str(&format!("](https://example.org/{number}"));
        }
        out.push_str(part);
    }
    out.replace("![TODO]", "![The picture that stood here]")
}

#[test]
fn a_newsletter_of_every_tool_becomes_an_issue_that_wants_its_marks_filled_in_and_nothing_else() {
    for file in [
        "pasted.txt",
        "wrapped.txt",
        "forwarded.txt",
        "letter.txt",
        "mailchimp.txt",
        "notes.md",
        "substack.html",
        "medium.html",
        "beehiiv.html",
        "docs.html",
        "substack-page.html",
        "medium-story.html",
        "beehiiv-post.html",
        "docs-notes.html",
    ] {
        let (desk, slug, said) = imported(file);
        let text = issue(&desk, &slug);
        let name = file.replace(['.', '-'], "_");
        insta::assert_snapshot!(
            format!("import_{name}"),
            format!("{text}\n======\n\n{said}")
        );

        // Each error leads to a mark of ours, or to a picture that the author must bring.
        let lines: Vec<&str> = text.lines().collect();
        for error in errors(&desk, &slug) {
            let (_, line) = error.split_once('@').expect("a line");
            let line: usize = line.parse().expect("a number");
            let marked = lines[line - 1].contains("TODO") || lines[line - 1].starts_with("![");
            assert!(marked, "{file}: {error}: {}", lines[line - 1]);
        }
        for picture in ["images/coast.png", "images/image1.png"] {
            desk.write(&format!("issues/{slug}/{picture}"), PNG);
        }
        desk.write(&format!("issues/{slug}/issue.md"), filled_in(&text));
        assert_eq!(errors(&desk, &slug), [""; 0], "{file}");
        let (code, out, error) = desk.run(&["build", &slug, "--out", "look"]);
        assert_eq!(code, 0, "{file}: {out}{error}");
    }
}

#[test]
fn no_word_of_a_newsletter_is_lost_without_being_told() {
    for file in [
        "pasted.txt",
        "wrapped.txt",
        "forwarded.txt",
        "letter.txt",
        "mailchimp.txt",
        "notes.md",
    ] {
        let words = text(file);
        let (desk, slug, said) = imported(file);
        let kept = format!("{}{said}", issue(&desk, &slug)).to_lowercase();
        let kept: String = kept.chars().filter(|c| c.is_alphanumeric()).collect();
        // Of the mail's own head only the title and the day are wanted, of front matter the like.
        let body = words.split_once("\n\n").expect("a body").1;
        let each = body.split(|c: char| !c.is_alphanumeric());
        // Dates are written as the front matter has them.
        for word in each.filter(|word| word.len() > 2 && *word != "June") {
            assert!(kept.contains(&word.to_lowercase()), "{file}: {word}");
        }
    }
}

#[test]
fn pictures_beside_an_imported_text_come_along_and_no_file_from_elsewhere() {
    let desk = Desk::new();
    let home = desk.folder.path().join("brought");
    std::fs::create_dir_all(home.join("images")).expect("a folder");
    std::fs::write(home.join("images/image1.png"), PNG).expect("a picture");
    std::fs::write(home.join("notes.txt"), "x").expect("a file");
    std::fs::write(desk.folder.path().join("secret.png"), PNG).expect("a picture");
    let page = "<h1>Maps</h1><h2>One</h2><p>a</p><img src=\"images/image1.png\" alt=\"A map\">\
                <img src=\"../secret.png\" alt=\"None\"><img src=\"notes.txt\" alt=\"No picture\">";
    std::fs::write(home.join("doc.html"), page).expect("a page");
    let (code, out, error) = desk.run(&["import-issue", "brought/doc.html", "--slug", "maps"]);
    assert_eq!(code, 0, "{out}{error}");
    let folder = desk.emails().join("issues/maps");
    let copied = std::fs::read(folder.join("images/image1.png")).expect("a copy");
    assert_eq!(copied, PNG);
    assert!(!folder.join("notes.txt").exists());
    assert!(!desk.emails().join("issues/secret.png").exists());
    assert_eq!(errors(&desk, "maps").len(), 2);
}

/// A host of pictures on this machine, which says what it likes of them.
fn host() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut octets = vec![0; 4096];
            let length = stream.read(&mut octets).unwrap_or_default();
            let request = String::from_utf8_lossy(&octets[..length]).into_owned();
            let path = request.split_whitespace().nth(1).unwrap_or_default();
            let (head, body): (&str, &[u8]) = match path {
                "/a%20map.png" | "/again/a%20map.png?w=2" => ("200 OK\r\n", PNG),
                "/page.png" => ("200 OK\r\ncontent-type: image/png\r\n", b"<html></html>"),
                "/heavy.png" => ("200 OK\r\ncontent-length: 99999999\r\n", PNG),
                "/inside.png" => ("302 Found\r\nlocation: http://10.1.2.3/x.png\r\n", b""),
                _ => ("404 Not Found\r\n", b""),
            };
            let head = format!("HTTP/1.1 {head}connection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).ok();
            stream.write_all(body).ok();
        }
    });
    base
}

#[test]
fn pictures_of_other_hosts_are_fetched_only_when_asked_for_and_only_if_they_are_some() {
    let desk = Desk::new();
    let base = host();
    let paths = [
        "/a%20map.png",
        "/again/a%20map.png?w=2",
        "/page.png",
        "/heavy.png",
        "/inside.png",
        "/none.png",
    ];
    let images = paths.map(|path| format!("<img src=\"{base}{path}\" alt=\"A map of it\">"));
    let page = format!("<h1>Maps</h1><h2>One</h2><p>a</p>{}", images.concat());
    std::fs::write(desk.folder.path().join("page.html"), page).expect("a page");

    // Who is not asked for pictures asks nobody, and `check` names each by its line.
    let (code, out, error) = desk.run(&["import-issue", "page.html", "--slug", "plain"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("`--fetch-images` saves them"), "{out}");
    assert!(issue(&desk, "plain").contains(&format!("]({base}/a%20map.png)")));

    // A publication of the public web asks nothing inside.
    let (code, out, error) = desk.run(&[
        "import-issue",
        "page.html",
        "--slug",
        "away",
        "--fetch-images",
    ]);
    assert_eq!(code, 0, "{out}{error}");
    let inside = "leads to a private address, which was not asked";
    assert_eq!(out.matches(inside).count(), paths.len(), "{out}");

    let file = desk.folder.path().join("pressrun.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let home = text.replace("https://news.example.org", "http://localhost:8080");
    std::fs::write(&file, home).expect("a configuration");
    let (code, out, error) = desk.run(&[
        "import-issue",
        "page.html",
        "--slug",
        "maps",
        "--fetch-images",
    ]);
    assert_eq!(code, 0, "{out}{error}");
    let text = issue(&desk, "maps");
    assert!(text.contains("![A map of it](a-map.png)"), "{text}");
    assert!(text.contains("![A map of it](a-map-2.png)"), "{text}");
    for name in ["a-map.png", "a-map-2.png"] {
        let file = desk.emails().join("issues/maps").join(name);
        assert_eq!(std::fs::read(file).expect("a picture"), PNG);
    }
    for (path, why) in [
        ("/page.png", "is no PNG, JPEG, GIF or WebP"),
        ("/heavy.png", "is larger than 16 MiB"),
        ("/inside.png", inside),
        ("/none.png", "is not given out (404)"),
    ] {
        let told = format!("`{base}{path}` {why}");
        assert!(out.contains(&told), "{told}: {out}");
        assert!(text.contains(&format!("]({base}{path})")), "{text}");
    }
    assert!(out.contains("pictures stay on another host: 4"), "{out}");
    let files = std::fs::read_dir(desk.emails().join("issues/maps")).expect("a folder");
    assert_eq!(files.count(), 3);
}

#[test]
fn a_picture_of_another_host_is_told_by_its_line() {
    let (desk, slug, _) = imported("beehiiv-post.html");
    let text = issue(&desk, &slug);
    let line = text.lines().position(|line| line.starts_with("!["));
    let line = line.expect("a picture") + 1;
    let (_, out, error) = desk.run(&["check", &slug]);
    let told = format!("issue.md:{line}:1: warning[remote-image]");
    assert!(out.contains(&told), "{told}: {out}{error}");
}
