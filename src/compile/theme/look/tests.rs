//! What is said of a `theme.toml` with faults, and what is read of a sound one.

use super::{Look, WORDS};
use crate::diagnostic::Source;

/// What is said of a theme with all its words and `rest`, which begins in the second line.
fn told(rest: &str) -> Vec<String> {
    let words = WORDS.map(|(name, _)| format!("{name} = \"\"")).join("\n");
    let text = format!("\n{rest}\n[words]\n{words}\n");
    let source = Source {
        file: "theme.toml",
        text: &text,
    };
    let found = Look::read(source).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

const BOTH: &str = "[colors.light]\ntext = \"#000\"\n[colors.dark]\ntext = \"#fff\"\n";

#[test]
fn what_is_no_token_is_told_at_its_place_with_what_was_meant() {
    for (rest, place, message) in [
        ("[colours.light]", "2:2", "did you mean `colors`?"),
        ("[colors.lihgt]", "2:9", "did you mean `light`?"),
        (
            "[colors.light]\nacent = \"#000\"",
            "3:1",
            "did you mean `accent`?",
        ),
        (
            "[colors.light]\ntext = \"red\"",
            "3:8",
            "`text` must be a colour",
        ),
        (
            "[colors.light]\ntext = \"#12345\"",
            "3:8",
            "`text` must be a colour",
        ),
        ("[colors.light]\ntext = 0", "3:8", "`text` must be a colour"),
        (
            "[colors.light]\ntext = \"#000\"",
            "3:8",
            "no value in `[colors.dark]`",
        ),
        ("[type.bdy]", "2:7", "did you mean `body`?"),
        ("[type.body]\nszie = 1", "3:1", "did you mean `size`?"),
        (
            "[type.body]\nsize = \"1em\"",
            "3:8",
            "from \"8px\" to \"96px\"",
        ),
        (
            "[type.body]\nsize = \"97px\"",
            "3:8",
            "from \"8px\" to \"96px\"",
        ),
        (
            "[type.body]\nline_height = 16",
            "3:15",
            "a number from 0.9 to 2.5",
        ),
        (
            "[type.body]\nline_height = nan",
            "3:15",
            "a number from 0.9 to 2.5",
        ),
        ("[type.body]\nweight = 450", "3:10", "a weight: 100, 200"),
        ("[type.body]\nfamily = \"A;b:c\"", "3:10", "font families"),
        ("[type.body]\nfamily = \"'A\"", "3:10", "font families"),
        ("[space]\ngutter = 36", "3:10", "from \"0px\" to \"120px\""),
        (
            "[space]\ngutters = \"1px\"",
            "3:1",
            "did you mean `gutter`?",
        ),
        (
            "[style]\nblokquote = \"\"",
            "3:1",
            "did you mean `blockquote`?",
        ),
        ("[style]\np = 1", "3:5", "CSS declarations"),
        ("style = 1", "2:9", "is a section, written `[style]`"),
        (
            "[style]\np = \"{{ colors.text }}\"",
            "3:9",
            "is no token of this theme",
        ),
        ("[style]\np = \"{{\"", "3:5", "syntax error"),
    ] {
        let found = told(rest);
        let expected = format!("theme.toml:{place}: error[theme]");
        assert!(
            found
                .iter()
                .any(|one| one.starts_with(&expected) && one.contains(message)),
            "{rest}: {found:#?}"
        );
    }
}

#[test]
fn every_fault_is_told_and_a_sound_theme_has_none() {
    assert_eq!(told(BOTH), Vec::<String>::new());
    assert_eq!(
        told("[colors.light]\na = 1\nb = 2\n[space]\nc = 3").len(),
        3
    );
}

#[test]
fn a_style_names_tokens_and_faces_the_direction_of_the_language() {
    let words = WORDS.map(|(name, _)| format!("{name} = \"\"")).join("\n");
    let style = "[style]\np = \"color:{{ colors.text }}/{{ colors.dark.text }};{{ start }}:0\"";
    let text = format!("{BOTH}{style}\n[words]\n{words}\n");
    let look = Look::read(Source {
        file: "theme.toml",
        text: &text,
    });
    let look = look.expect("a sound theme");
    assert_eq!(look.style["p"], "color:#000000/#ffffff;left:0");
    assert_eq!(look.turned["p"], "color:#000000/#ffffff;right:0");
}

#[test]
fn a_missing_word_is_told() {
    let source = Source {
        file: "theme.toml",
        text: "[words]\nview = \"\"\n",
    };
    let found = Look::read(source).expect_err("words are missing");
    assert_eq!(found.len(), WORDS.len() - 1);
    assert_eq!(
        found[0].to_string(),
        "theme.toml:1:1: error[theme]: `[words]` lacks `unsubscribe`"
    );
}
