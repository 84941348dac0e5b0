//! Who the readers of a finding are.

use pressrun::rehearse::{self, Kind};
use pressrun::store::audience::Whom;

use super::{FINE, ISSUE, built, pressrun, publication, told};
use crate::deliver::rig::{Rig, Wish, readers};
use crate::harness::Engine;
use crate::on_both;

on_both!(
    a_page_ends_no_rehearsal_and_examples_stay_few,
    async |engine: Engine| {
        let wish = Wish {
            readers: readers(4_100),
            ..Wish::default()
        };
        let rig = Rig::new(engine, wish).await;
        let built = built(&rig, ISSUE);
        rig.database
            .raw("update subscribers set name = 'null'")
            .await;
        let report =
            rehearse::run(&rig.app, &built, "weekly", Whom::default(), None, |_, _| {}).await;
        let report = report.expect("a rehearsal");
        assert_eq!(report.readers, 4_100);
        assert_eq!(told(&report), [(Kind::Suspicious, "name", 4_100)]);
        let first: Vec<i64> = report.findings[0]
            .examples
            .iter()
            .map(|one| one.subscriber)
            .collect();
        assert_eq!(first, [1, 2, 3, 4, 5]);
    }
);

#[test]
fn who_a_finding_is_about_is_found_by_key_and_in_a_file() {
    let folder = publication(FINE);
    let path = folder.path();
    let all = ["rehearse", "bees", "--list", "weekly", "--out", "found.csv"];
    let (code, out, error) = pressrun(path, &all);
    assert_eq!(code, 0, "{out}{error}");
    assert!(error.contains("`found.csv`"), "{error}");
    assert!(!out.contains("who they are"), "{out}");
    let found = std::fs::read_to_string(path.join("found.csv")).expect("a file");
    let (head, line) = found.split_once('\n').expect("two lines");
    assert_eq!(head, "subscriber,email,finding,field,detail");
    let (key, rest) = line.split_once(',').expect("a key");
    assert_eq!(
        rest,
        "grace@example.org,suspicious,first_name,`www.win.example` is an address of the web\n"
    );
    let (code, out, error) = pressrun(path, &["subscribers", "show", key]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.starts_with("grace@example.org\n"), "{out}");
    let (code, _, error) = pressrun(path, &["subscribers", "show", "12"]);
    assert_eq!(code, 1);
    assert!(error.contains("no reader has the key 12"), "{error}");
    let (code, out, _) = pressrun(path, &["rehearse", "bees", "--list", "weekly", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(code, 0);
    assert_eq!(json["findings"][0]["examples"][0]["subscriber"], key);
}
