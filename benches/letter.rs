//! An issue of the size of a long weekly digest, for the benchmarks that need one.

use std::fmt::Write as _;

const PARAGRAPH: &str = "A paper asks how far a small model can go when its training text is chosen \
    with care, and answers: **further than its size suggests**. The authors filter, repeat and mix, \
    and then measure what each step was worth on tasks that nobody had trained for. What stays with \
    the reader is the table in which each ingredient is taken away in turn.";

/// The Markdown of an issue: an item every nine paragraphs, a link every three.
pub fn markdown(paragraphs: usize) -> String {
    let mut text = String::from("---\ntitle: A bench issue\n---\n");
    for number in 0..paragraphs {
        if number % 9 == 0 {
            write!(text, "\n## Headline {}\n", number / 9 + 1).expect("a string grows");
        }
        write!(text, "\n{PARAGRAPH}\n").expect("a string grows");
        if number % 3 == 0 {
            let link = format!("https://example.com/paper/{number}");
            write!(text, "\n[Read more]({link}), dear [[email]]\n").expect("a string grows");
        }
    }
    text
}
