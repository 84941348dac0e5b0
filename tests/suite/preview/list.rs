//! Which list an issue is shown for.

use pressrun::http::preview::Target;

use super::Shown;
use crate::compile::desk::Desk;
use crate::harness::block_on;

#[test]
fn the_list_asked_for_wins_over_the_front_matter_and_that_over_the_configuration() {
    let own = "list: insiders\n";
    for (front, asked, expected) in [
        ("", None, "weekly"),
        (own, None, "insiders"),
        (own, Some("monthly"), "monthly"),
        ("", Some("monthly"), "monthly"),
    ] {
        block_on(async {
            let desk = Desk::new();
            let text = format!("---\ntitle: One\n{front}---\nThis goes to [[list.name]].\n");
            desk.write("issues/one/issue.md", text);
            let target = Target {
                list: asked.map(str::to_owned),
                ..Target::issue("one")
            };
            let shown = Shown::target(desk, target).await;
            let words = format!("This goes to {expected}.");
            for page in ["/frame", "/?show=text", "/frame?client=clipped"] {
                let body = shown.get(page).await.body;
                assert!(body.contains(&words), "{front}{asked:?} {page}: {body}");
            }
            shown.end().await;
        });
    }
}
