//! Mistakes that are easily made and hardly seen, each with its neighbours that are none.

use super::{PREHEADER, facts, found, front};
use crate::compile::desk::Desk;

/// What is found in an issue of this body, which begins on line 6.
fn mistakes(body: &str) -> Vec<String> {
    let desk = Desk::new();
    found(&desk, &front("Bees", "Bees", PREHEADER), body, &facts())
}

#[test]
fn a_broken_link_blames_no_other_of_its_host() {
    let broken = "See [the first](https://a.example/1) paper.\n\nSee [the second](https://a.example/2) one.\n\n\
                  See [the third](https://a.example/ 3) one.\n\n[![A fourth bee](https://a.example/4.png)\
                  {width=60 height=40}](https://a.example/4)";
    assert_eq!(mistakes(broken), ["link-syntax@10"]);
    let twice =
        "See [one](https://a.example/ 3) and [one](https://a.example/ 3), <https://a.example/>.";
    assert_eq!(mistakes(twice), ["link-syntax@6", "link-syntax@6"]);
    let meant = "A link is written \\[x\\](https://a.example/1) or \\[x](https://a.example/1), \
                 see [Markdown](https://a.example/1).";
    assert_eq!(mistakes(meant), [""; 0]);
    let set = "See [one](https://a.example/*b* c) here.";
    assert_eq!(mistakes(set), ["link-syntax@6"]);
}

#[test]
fn a_note_within_components_and_brackets_is_found() {
    let body = "It was XX % more, says [NAME].\n\n%%first_name%% of [Insert link here], TK's.";
    let (note, mark) = ("leftover-note", "leftover-template@8");
    let expected = [
        &format!("{note}@6"),
        &format!("{note}@6"),
        mark,
        &format!("{note}@8"),
        &format!("{note}@8"),
    ];
    assert_eq!(mistakes(body), expected);
}

/// The errors that keep an issue of this body from being compiled, as `code@line`.
fn refused(body: &str) -> Vec<String> {
    let desk = Desk::new();
    let found = desk.body(body).err().unwrap_or_default();
    let named = found.iter().filter_map(|found| {
        let (place, rest) = found.split_once(": error[")?;
        let (code, _) = rest.split_once(']')?;
        let line = place.split(':').nth_back(1)?;
        Some(format!("{code}@{line}"))
    });
    named.collect()
}

#[test]
fn cells_beyond_the_head_of_a_table_are_not_lost_in_silence() {
    let table = "| a | b |\n|---|---|\n| 1 | 2 | [three](https://a.example/3) |\n| `x|y` | z |\n\
                 | [[first_name|you]] | `x\\|y` |\n| 1 | 2 | |\n| 1 |";
    assert_eq!(refused(table), ["table@6", "table@7"]);
    let quoted = "> | a |\n> |---|\n> | 1 | 2 |";
    assert_eq!(refused(quoted), ["table@6"]);
}

#[test]
fn a_link_of_components_that_leads_nowhere_is_told() {
    let body = ":::mjml\n<mj-text><a href=\"\">nowhere</a> <a>no address</a> <a name=\"x\"></a></mj-text>\n\
                <mj-button href=\" \">Read</mj-button>\n:::";
    assert_eq!(refused(body), ["link@5", "link@5", "link@6"]);
    for link in ["mailto:", "tel:", "https://example..org/"] {
        assert_eq!(refused(&format!("[x]({link})")), ["link@4"], "{link}");
    }
}

#[test]
fn a_closing_tag_that_tears_the_frame_is_an_error_and_a_crossed_one_a_warning() {
    let torn = ":::mjml\n<mj-text>a</div></td></tr></table>b</mj-text>\n:::";
    assert_eq!(refused(torn), ["stray-closing-tag@5"; 4]);
    let fine = ":::mjml\n<mj-text><table><tr><td>a<tr><td>b</table><div><p>c</div> <b>d<br></b></mj-text>\n\
                <mj-raw></div><div></mj-raw>\n:::";
    assert_eq!(refused(fine), [""; 0]);
    let desk = Desk::new();
    let crossed = ":::mjml\n<mj-text>a <b>b <i>c</b> d</i> <b>e</i></b></mj-text>\n:::";
    let built = desk.body(crossed).expect("an issue");
    let told = built.diagnostics.iter();
    let told = told.filter(|found| found.code == "stray-closing-tag" && !found.is_error());
    assert_eq!(told.map(|found| found.line).collect::<Vec<_>>(), [5, 5]);
}

#[test]
fn an_end_that_cannot_be_read_and_an_address_that_leads_elsewhere_are_told() {
    let promo = |until: &str| {
        mistakes(&format!(
            ":::promo {{code=\"A\" until=\"{until}\" url=\"https://a.example/\"}}\nBuy.\n:::"
        ))
    };
    assert_eq!(promo("06/07/2026"), ["promo-unread@6"]);
    assert_eq!(promo("31 May 2027"), [""; 0]);
    let links = "[https://www.good.example/real](https://evil.example/other) and [good.example](https://www.good.example/) \
                 and [the paper](https://a.example/).";
    assert_eq!(mistakes(links), ["shown-address@6"]);
}

#[test]
fn the_subject_is_looked_at_although_the_issue_cannot_be_compiled() {
    let desk = Desk::new();
    let text = "---\ntitle: T\nsubject: \"RE: [[first_name|YOU]] SHOULD KNOW!!!\"\npreheader: Re you should know, \
                and now you do\n---\n[x](TODO)\n";
    desk.write("issues/one/issue.md", text);
    let (code, out, _) = desk.run(&["check", "one"]);
    assert_eq!(code, 1, "{out}");
    for code in [
        "[link]",
        "[subject-reply]",
        "[subject-shouting]",
        "[preheader-repeats]",
    ] {
        assert!(out.contains(code), "{code}: {out}");
    }
}

#[test]
fn words_that_promise_a_link_and_are_none_are_told_by_their_line() {
    let body = "The rooms open in May, and there are\nforty seats. **Register**\n\n\
                It is in the report (TODO)\n\nThe report [link] is out.\n\nRead more here:\n\n\
                - [one](https://a.example/1)\n- the slides, available here\n\n> Paper | Code\n\n\
                Sign up now\n\n:::button {url=\"https://a.example/2\"}\nSign up\n:::\n\n\
                Read the full story\n\n[The story](https://a.example/3)\n\nA \\[link\\] is [written][so] so.\n\n\
                [so]: https://a.example/4";
    let lost = "lost-link";
    let expected = [
        format!("{lost}@7"),
        "leftover-note@9".to_owned(),
        format!("{lost}@11"),
        format!("{lost}@16"),
        format!("{lost}@18"),
    ];
    assert_eq!(mistakes(body), expected);
}

#[test]
fn no_specimen_and_no_corpus_has_a_lost_link() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let read = |path: &str| std::fs::read_to_string(format!("{root}{path}")).expect("an issue");
    for path in [
        "emails/themes/digest/specimen/issue.md",
        "emails/themes/letter/specimen/issue.md",
        "emails/themes/magazine/specimen/issue.md",
        "emails/issues/this-week-in-ai-research/issue.md",
        "tests/suite/compile/torture.md",
        "tests/suite/compile/every_block.md",
    ] {
        let desk = Desk::new();
        let text = read(path);
        let text = match text.starts_with("---\n") {
            true => text,
            false => format!("---\ntitle: One\n---\n{text}"),
        };
        desk.write("issues/one/issue.md", text);
        let (_, out, error) = desk.run(&["check", "one", "--json"]);
        assert!(out.contains("\"diagnostics\""), "{path}: {out}{error}");
        assert!(!out.contains("lost-link"), "{path}: {out}");
    }
}
