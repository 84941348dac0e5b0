//! `pressrun theme preview` over real sockets: the specimen, anew at each save.

use pressrun::http::preview::{self, Target};
use tokio::sync::watch;

use super::{Events, Shown};
use crate::compile::desk::Desk;
use crate::harness::block_on;

#[test]
fn a_themes_specimen_is_shown_anew_at_each_save_with_what_is_wrong_with_the_theme() {
    block_on(async {
        let desk = Desk::new();
        assert_eq!(desk.run(&["theme", "new", "mine"]).0, 0);
        let shown = Shown::target(desk, Target::theme(Some("mine"))).await;
        let mut events = Events::of(&shown).await;
        assert_eq!(events.next().await["broken"], false);
        let page = shown.get("/").await.body;
        assert!(page.contains("the specimen of mine"), "{page}");
        assert!(!page.contains("literal-colour"), "{page}");

        let file = shown.desk.emails().join("themes/mine/layout.mjml");
        let layout = std::fs::read_to_string(&file).expect("a layout");
        let save = |text: &str| {
            // As editors do: a new file takes the place of the old one.
            let new = file.with_extension("new");
            std::fs::write(&new, text).expect("a file");
            std::fs::rename(&new, &file).expect("a rename");
        };
        let changed = layout.replacen("{{ colors.background }}", "rgb(1, 2, 3)", 1);
        assert_ne!(changed, layout);
        save(&changed);
        assert_eq!(events.next().await["broken"], false);
        let state = shown.state().await;
        let mut found = state["findings"].as_array().expect("findings").iter();
        let literal = found.find(|found| found["code"] == "literal-colour");
        let literal = literal.expect("what `theme check` says");
        let path = file.canonicalize().expect("a path").display().to_string();
        assert_eq!(literal["file"], path);
        assert!(shown.get("/frame").await.body.contains("rgb(1, 2, 3)"));

        save(&layout.replace("</mj-body>", ""));
        assert_eq!(events.next().await["broken"], true);
        assert_eq!(shown.state().await["errors"][0]["file"], path);
        shown.end().await;

        let (_, stop) = watch::channel(false);
        let file = Desk::new().folder.path().join("pressrun.toml");
        let refused = preview::open(&file, Target::theme(Some("nine")), stop).await;
        assert!(refused.is_err());
    });
}
