//! The effective configuration for a person or a script, with origins and without secrets.

use serde_json::{Value, json};
use url::Url;

use super::load::{Origin, Settings};
use super::schema::{REFERENCE, Schema};

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// Every key with its default and a sentence.
pub fn reference() -> &'static str {
    REFERENCE
}

/// As TOML that could be read again, with each origin in a comment; secrets are replaced.
pub fn as_toml(settings: &Settings) -> String {
    let mut text = String::new();
    let mut section = "";
    for (path, setting) in settings.in_order() {
        let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
        if parent != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}[{parent}]\n"));
            section = parent;
        }
        let value = redacted(path, &setting.value);
        let origin = match &setting.origin {
            Origin::Default => "default".to_owned(),
            Origin::File(line) => format!("line {line}"),
            Origin::Environment(variable) => variable.clone(),
        };
        let assignment = format!("{key} = {value}");
        text.push_str(&format!("{assignment:<50} # {origin}\n"));
    }
    text
}

/// As one JSON object: key to value and origin; secrets are replaced.
pub fn as_json(settings: &Settings) -> Value {
    let entry = |(path, setting): (&str, &super::load::Setting)| {
        let value = json!(redacted(path, &setting.value));
        let entry = match &setting.origin {
            Origin::Default => json!({ "value": value, "origin": "default" }),
            Origin::File(line) => json!({ "value": value, "origin": "file", "line": line }),
            Origin::Environment(variable) => {
                json!({ "value": value, "origin": "environment", "variable": variable })
            }
        };
        (path.to_owned(), entry)
    };
    Value::Object(settings.in_order().into_iter().map(entry).collect())
}

fn redacted(path: &str, value: &toml::Value) -> toml::Value {
    let secret = Schema::get().key(path).is_none_or(|key| key.secret);
    match value {
        toml::Value::String(text) if secret && !text.is_empty() => {
            toml::Value::String(redact_secret(text))
        }
        other => other.clone(),
    }
}

/// A database's URL keeps what helps to find it; any other secret keeps nothing.
fn redact_secret(text: &str) -> String {
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    match Url::parse(text) {
        // A password may also stand among the parameters, so these go as well.
        Ok(mut url) if url.scheme().starts_with("postgres") => {
            if url.query().is_some() {
                url.set_query(Some(HIDDEN));
            }
            let hidden = url.password().is_none() || url.set_password(Some(HIDDEN)).is_ok();
            if hidden {
                url.into()
            } else {
                HIDDEN.to_owned()
            }
        }
        _ => HIDDEN.to_owned(),
    }
}
