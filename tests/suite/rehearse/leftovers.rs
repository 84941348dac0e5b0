//! What rehearsals leave that are killed.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use pressrun::rehearse::speed;

use super::{ISSUE, built};
use crate::deliver::rig::{Rig, Wish};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    what_a_killed_rehearsal_left_is_gone_with_the_next_after_a_day,
    async |engine: Engine| {
        let rig = Rig::new(engine, Wish::default()).await;
        let place = match rig.app.store.sqlite_path() {
            Some(file) => file.parent().expect("a folder").to_owned(),
            None => rig.app.path(&rig.app.config.paths.state),
        };
        let [old, young, other] = ["rehearsal-old", "rehearsal-young", "issues-old"];
        let now = u64::try_from(rig.app.clock.now().0).expect("a time after 1970");
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
        let days = now - Duration::from_secs(2 * 86_400);
        for (name, made) in [(old, days), (young, now), (other, days)] {
            let folder = place.join(name);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("rehearsal.db"), "addresses").expect("a file");
            let folder = File::open(folder).expect("a folder");
            folder.set_modified(made).expect("its time");
        }
        let wish = speed::Wish {
            recipients: Some(5),
            direct: false,
            at_most: Duration::from_secs(60),
        };
        let forecast = speed::run(&rig.app, built(&rig, ISSUE), "weekly", &wish, |_, _| ());
        assert_eq!(forecast.await.expect("a forecast").sent, 5);
        let left = fs::read_dir(&place).expect("a folder");
        let left = left.map(|entry| entry.expect("an entry").file_name());
        let left = left.filter_map(|name| name.into_string().ok());
        let mut left: Vec<String> = left.filter(|name| name.contains('-')).collect();
        left.retain(|name| {
            [old, young, other].contains(&name.as_str()) || name.starts_with("rehearsal-")
        });
        left.sort();
        assert_eq!(left, [other, young]);
    }
);
