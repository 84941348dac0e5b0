//! Newsletters written elsewhere, as they are pasted or exported, and the way from there to Send.

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
    ] {
        let (desk, slug, said) = imported(file);
        let text = issue(&desk, &slug);
        let name = file.replace('.', "_");
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
