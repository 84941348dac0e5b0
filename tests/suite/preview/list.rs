//! Which list an issue is shown for.

use pressrun::clock::Timestamp;
use pressrun::http::preview::Target;
use pressrun::store::Store;

use super::Shown;
use crate::compile::desk::Desk;
use crate::harness::block_on;

#[test]
fn the_list_asked_for_wins_over_the_front_matter_and_that_over_the_configuration() {
    let own = "list: insiders\n";
    for (front, asked, expected) in [
        ("", None, "weekly, called The Paper Trail"),
        (own, None, "insiders, called The Inner Circle"),
        (own, Some("monthly"), "monthly, called monthly"),
        ("", Some("monthly"), "monthly, called monthly"),
    ] {
        block_on(async {
            let desk = Desk::new();
            let text = format!(
                "---\ntitle: One\n{front}---\nThis goes to [[list.name]], called [[list.title]].\n"
            );
            desk.write("issues/one/issue.md", text);
            let store = Store::open("sqlite:pressrun.db", desk.folder.path(), 2).await;
            let store = store.expect("a database");
            let added = store.add_list("insiders", "The Inner Circle", "1", Timestamp(0));
            assert!(added.await.expect("a write"));
            store.close().await;
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
