//! `pressrun diff`: what changed between two issues.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::check::{configuration, findings};
use crate::cli::output::{print, print_json};
use crate::compile::diff::{Difference, Target, diff};
use crate::preflight;
use crate::publication::{Publication, Rejected, compile_issue};
use crate::terminal::plain;

/// Shows what changed in text, links and size since another issue.
#[derive(Debug, Args)]
pub struct Diff {
    /// Slug or folder of the issue.
    issue: String,
    /// Slug or folder of the one to compare with; the issue before it when absent.
    other: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Compares two issues; fails when one of them cannot be compiled.
pub(super) async fn run(config: &Path, arguments: &Diff) -> anyhow::Result<Exit> {
    let path = std::path::absolute(config)?;
    let (config, emails) = configuration(&path)?;
    let titles = preflight::titles_of(&config, path.parent().unwrap_or(&path)).await;
    let build = |issue: &str| match compile_issue(&config, &emails, issue, &titles) {
        Ok(built) => Ok(Some(built)),
        Err(error) => {
            let rejected = error.downcast::<Rejected>()?;
            eprint!("{}", findings(&rejected.found));
            anyhow::Ok(None)
        }
    };
    let Some(after) = build(&arguments.issue)? else {
        return Ok(Exit::Failed);
    };
    let slug = &after.compiled.slug;
    let other = match &arguments.other {
        Some(other) => other.clone(),
        None => Publication::load(&emails)?
            .previous(slug)?
            .with_context(|| format!("no issue stands before `{slug}`; name the other one"))?,
    };
    let Some(before) = build(&other)? else {
        return Ok(Exit::Failed);
    };
    let public_url = config.publication.url.trim_end_matches('/');
    let found = diff(&before.compiled, &after.compiled, public_url);
    if arguments.json {
        print_json(&json!({
            "before": before.compiled.slug,
            "after": slug,
            "same": found.is_empty(),
            "difference": found,
        }))?;
    } else {
        print(&report(&before.compiled.slug, slug, &found))?;
    }
    Ok(Exit::Done)
}

/// What differs between the contents named `old` and `new`.
pub(super) fn report(old: &str, new: &str, found: &Difference) -> String {
    let mut out = format!("--- {old}\n+++ {new}\n");
    for (name, before, after) in &found.headers {
        out.push_str(&format!(
            "\n{name}\n- {}\n+ {}\n",
            plain(before),
            plain(after)
        ));
    }
    out.push_str("\nsize\n");
    for (name, before, after) in &found.sizes {
        let change = after.cast_signed() - before.cast_signed();
        let change = match change {
            0 => String::new(),
            _ => format!("  ({change:+})"),
        };
        out.push_str(&format!("  {name:<7} {before:>7} -> {after:>7}{change}\n"));
    }
    out.push_str(&format!("\nlinks ({} in both)\n", found.links_kept));
    for (sign, targets) in [('-', &found.links_removed), ('+', &found.links_added)] {
        for target in targets {
            out.push_str(&link(sign, target));
        }
    }
    out.push_str("\ntext\n");
    for hunk in &found.text {
        out.push_str(&format!("@ line {}\n", hunk.line));
        for line in &hunk.lines {
            out.push_str(format!("{} {}", line.sign, plain(&line.text)).trim_end());
            out.push('\n');
        }
    }
    if found.is_empty() {
        out.push_str("  the same\n");
    }
    out
}

fn link(sign: char, target: &Target) -> String {
    let times = match target.count {
        1 => String::new(),
        count => format!(" x{count}"),
    };
    let names: Vec<String> = target.names.iter().map(|name| plain(name)).collect();
    format!(
        "{sign} {}{times}  ({})\n",
        plain(&target.url),
        names.join("; ")
    )
}
