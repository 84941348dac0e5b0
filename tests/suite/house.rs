//! The house of ARCHITECTURE.md, checked: who may use whom, and how a file must look.
//!
//! `src/lib.rs` is the plan: its headings name the layers, the modules below a heading live there. The
//! rules are pure functions of a path and a text, so that each is shown a text that breaks it.

mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{code_only, crate_paths, words};

/// The layers from the ground up; a layer uses itself and what stands before it.
const LAYERS: [&str; 5] = ["Ground", "Domain", "Store", "Services", "Edges"];
const GROUND: usize = 0;
const DOMAIN: usize = 1;
const STORE: usize = 2;
const EDGES: usize = 4;

const LINES: usize = 500;
const FORBIDDEN_NAMES: [&str; 6] = ["utils", "util", "common", "types", "models", "helpers"];

/// What a pure module may not name: time, chance, sockets, files and tasks come as arguments or not at all.
const IMPURE: [&str; 18] = [
    "async",
    "await",
    "axum",
    "clap",
    "getrandom",
    "hyper",
    "sqlx",
    "tokio",
    "Instant",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixListener",
    "UnixStream",
    "use rand",
    "std::env",
    "std::fs",
];

/// `(module, layer)` for every module of `src/lib.rs`.
type Plan = Vec<(String, usize)>;

/// Reads the plan from the text of `src/lib.rs`.
fn plan(lib: &str) -> Plan {
    let mut layer = None;
    let mut plan = Plan::new();
    for line in lib.lines() {
        if let Some(heading) = line.strip_prefix("// ") {
            let name = heading.split(['.', ':']).next().unwrap_or_default();
            layer = LAYERS.iter().position(|&known| known == name);
            assert!(layer.is_some(), "`{name}` in src/lib.rs is no layer");
        }
        let module = line
            .split_once("mod ")
            .and_then(|(_, rest)| rest.strip_suffix(';'));
        if let Some(module) = module {
            let layer = layer.unwrap_or_else(|| panic!("`{module}` stands under no heading"));
            plan.push((module.to_owned(), layer));
        }
    }
    plan
}

fn layer_of(plan: &Plan, module: &str) -> Option<usize> {
    let found = plan.iter().find(|(name, _)| name == module);
    found.map(|&(_, layer)| layer)
}

/// The module of a path relative to `src/`: `store/meta.rs` belongs to `store`.
fn module_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// What is wrong with the looks of a Rust file, wherever it stands.
fn look_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push(format!("{path}: does not open with `//!`"));
    }
    let lines = text.lines().count();
    if lines > LINES {
        faults.push(format!("{path}: {lines} lines; at most {LINES}"));
    }
    if path.ends_with("/mod.rs") || path == "mod.rs" {
        faults.push(format!(
            "{path}: a module is `foo.rs` beside `foo/`, not `mod.rs`"
        ));
    }
    let names = path.split('/').map(|part| part.trim_end_matches(".rs"));
    for name in names.filter(|name| FORBIDDEN_NAMES.contains(name)) {
        faults.push(format!("{path}: `{name}` says nothing; name what is in it"));
    }
    faults
}

/// What is wrong with how a file of `src/` uses the others.
fn layer_faults(plan: &Plan, path: &str, text: &str) -> Vec<String> {
    let module = module_of(path);
    if module == "lib" || module == "main" {
        return Vec::new();
    }
    let Some(own) = layer_of(plan, module) else {
        return vec![format!("{path}: `{module}` is not in src/lib.rs")];
    };
    let mut faults = Vec::new();
    let code = code_only(text);
    let depth = path.matches('/').count() + 1;
    for used in crate_paths(&code, depth) {
        let above = layer_of(plan, &used).filter(|&layer| layer > own);
        if let Some(layer) = above {
            let (from, to) = (LAYERS[own], LAYERS[layer]);
            faults.push(format!("{path}: uses `{used}`: {from} may not use {to}"));
        }
    }
    let is_test = path.ends_with("/tests.rs");
    let program = code.split("#[cfg(test)]").next().unwrap_or_default();
    let named = words(if is_test { "" } else { program });
    let names = |word: &str| named.iter().any(|name| name == word);
    if own == DOMAIN {
        // A crate and not a module of that name: a signature asks aws-lc-rs for its generator, and
        // PKCS#1 v1.5 then uses none of it.
        let spelled = |word: &&&str| match word.strip_prefix("use ") {
            Some(name) => uses_crate(program, name),
            None => names(word),
        };
        for word in IMPURE.iter().filter(spelled) {
            faults.push(format!("{path}: `{word}` in the domain, which is pure"));
        }
    }
    if own != STORE && names("sqlx") {
        faults.push(format!("{path}: `sqlx` outside the store"));
    }
    if own < EDGES {
        for word in ["axum", "clap"].into_iter().filter(|word| names(word)) {
            faults.push(format!("{path}: `{word}` below the edges"));
        }
    }
    if own == GROUND && names("tokio") {
        faults.push(format!("{path}: `tokio` in the ground"));
    }
    for line in program.lines().map(str::trim) {
        let public = ["pub use ", "pub(crate) use ", "pub(super) use "];
        let named = public.iter().find_map(|start| line.strip_prefix(start));
        // `pub(crate) use name;` without a path is how a macro is handed to other modules.
        if named.is_some_and(|path| path.contains("::")) {
            faults.push(format!("{path}: re-exports; a thing has one name"));
        }
    }
    if own != STORE && !is_test {
        let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
        for verb in ["\"select ", "\"insert into ", "\"delete from ", "\"update "] {
            let statements = before_tests.match_indices(verb);
            let mut rest = statements.map(|(at, _)| &before_tests[at..]);
            let sql = |rest: &str| {
                let statement = rest[1..].split('"').next().unwrap_or_default();
                verb == "\"insert into "
                    || [" from ", " set "].iter().any(|w| statement.contains(w))
            };
            if rest.any(sql) {
                faults.push(format!("{path}: SQL outside the store"));
            }
        }
    }
    faults
}

/// Whether `code` names the crate `name` at the root of a path.
fn uses_crate(code: &str, name: &str) -> bool {
    let rooted = |(at, _): (usize, &str)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c == ':' || c == '_' || c.is_ascii_alphanumeric())
    };
    code.match_indices(&format!("{name}::")).any(rooted)
}

/// Every Rust file below `folder`, as paths relative to it.
fn rust_files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                let short = path.strip_prefix(folder).expect("a path below");
                files.push((short.display().to_string(), text));
            }
        }
    }
    files.sort();
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_layer_uses_one_above_it() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let plan = plan(&lib);
    let files = rust_files(&root().join("src"));
    assert!(files.len() > 20, "the walk found {} files", files.len());
    let faults: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| layer_faults(&plan, path, text))
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_fits_a_sitting() {
    let mut faults = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for (path, text) in rust_files(&root().join(folder)) {
            faults.extend(look_faults(&format!("{folder}/{path}"), &text));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_module_of_the_plan_has_its_file() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let plan = plan(&lib);
    for (module, _) in &plan {
        let file = root().join(format!("src/{module}.rs"));
        assert!(file.is_file(), "src/{module}.rs is missing");
    }
    for (layer, name) in LAYERS.iter().enumerate() {
        assert!(plan.iter().any(|&(_, own)| own == layer), "{name} is empty");
    }
}

// ---- The rules can fail ----

const SMALL_PLAN: &str = "//! A plan.\n\n// Ground.\npub mod clock;\n\n// Domain: pure.\npub mod retry;\n\n\
    // Store: all the SQL.\npub mod store;\n\n// Services.\npub mod run;\n\n// Edges.\npub mod cli;\n";

#[track_caller]
fn assert_fault(path: &str, text: &str, expected: &str) {
    let faults = layer_faults(&plan(SMALL_PLAN), path, text);
    let found = faults.iter().any(|fault| fault.contains(expected));
    assert!(found, "expected `{expected}` among {faults:?}");
}

#[track_caller]
fn assert_fine(path: &str, text: &str) {
    let faults = layer_faults(&plan(SMALL_PLAN), path, text);
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn an_upward_use_is_found_however_it_is_written() {
    assert_fault("retry.rs", "use crate::store::Store;", "uses `store`");
    assert_fault(
        "retry.rs",
        "use crate::{clock::Clock, run::Run};",
        "uses `run`",
    );
    assert_fault(
        "retry.rs",
        "use crate::{\n    clock,\n    store::{meta, Store},\n};",
        "uses `store`",
    );
    assert_fault(
        "store/meta.rs",
        "fn f() { crate::run::go() }",
        "Store may not use Services",
    );
    assert_fault("run.rs", "use super::cli::Cli;", "uses `cli`");
    assert_fault("store/meta.rs", "use super::super::cli::Cli;", "uses `cli`");
    assert_fault("clock.rs", "use crate::retry;", "Ground may not use Domain");
    assert_fault("lost.rs", "", "not in src/lib.rs");
}

#[test]
fn a_downward_use_and_a_mere_mention_are_fine() {
    assert_fine(
        "cli.rs",
        "use crate::{run, store::Store, retry, clock};\nuse clap::Parser;",
    );
    assert_fine("store.rs", "use crate::store::meta;\nuse sqlx::Row;");
    assert_fine(
        "retry.rs",
        "//! Leaves `crate::store` alone.\n// async, tokio\nconst A: &str = \"sqlx crate::cli::x\";",
    );
    assert_fine(
        "retry.rs",
        "#[cfg(test)]\nmod tests { use std::time::Instant; }",
    );
    assert_fine("store/meta.rs", "use super::cli;");
}

#[test]
fn the_domain_is_kept_pure() {
    assert_fault("retry.rs", "pub async fn wait() {}", "`async`");
    assert_fault(
        "retry.rs",
        "fn now() { std::time::SystemTime::now(); }",
        "`SystemTime`",
    );
    assert_fault(
        "retry.rs",
        "use std::time::{Duration, Instant};",
        "`Instant`",
    );
    assert_fault("retry.rs", "use std::net::TcpStream;", "`TcpStream`");
    assert_fault("retry.rs", "fn f() { std::fs::read(\"x\"); }", "`std::fs`");
    assert_fault("retry/wait.rs", "use rand::Rng;", "`use rand`");
    assert_fault("retry.rs", "fn f() -> u8 { rand::random() }", "`use rand`");
    assert_fine("retry.rs", "use aws_lc_rs::rand::SystemRandom;");
}

#[test]
fn tools_stay_in_their_layer() {
    assert_fault("run.rs", "use sqlx::Row;", "`sqlx` outside the store");
    assert_fault(
        "cli.rs",
        "fn f() { sqlx::query(\"x\"); }",
        "`sqlx` outside the store",
    );
    assert_fault("run.rs", "use axum::Router;", "`axum` below the edges");
    assert_fault("store.rs", "use clap::Parser;", "`clap` below the edges");
    assert_fault(
        "run.rs",
        "const Q: &str = \"select id from runs\";",
        "SQL outside the store",
    );
    assert_fault(
        "cli.rs",
        "const Q: &str = \"insert into runs (id) values (1)\";",
        "SQL outside",
    );
    assert_fault("run.rs", "pub use crate::store::Store;", "re-exports");
    assert_fine("store/meta.rs", "pub(crate) use a_macro;");
    assert_fine("run.rs", "const HELP: &str = \"select a list first\";");
}

#[test]
fn a_file_that_looks_wrong_is_found() {
    let long = format!("//! Long.\n{}", "\n".repeat(LINES));
    let cases = [
        ("src/run.rs", "use std::fmt;", "does not open"),
        ("src/run.rs", long.as_str(), "501 lines"),
        ("src/run/mod.rs", "//! A module.", "not `mod.rs`"),
        ("src/utils.rs", "//! Things.", "`utils` says nothing"),
        (
            "src/run/common/x.rs",
            "//! Things.",
            "`common` says nothing",
        ),
    ];
    for (path, text, expected) in cases {
        let faults = look_faults(path, text);
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{path}: {faults:?}"
        );
    }
    assert!(look_faults("src/run.rs", "//! A run.\n").is_empty());
}
