//! Layers: the defaults, over them the file, over it the environment.
//!
//! Promises: every setting knows where it came from; all unknown keys and wrong kinds are told at once,
//! each with its line or its variable; no value of a secret is ever in an error.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

use super::schema::{Key, Kind, Schema, join, pattern_of, plain};
use super::spelling;

/// Variables that begin so and have a `__` are settings; `spelling` knows what others are meant by.
pub(super) const PREFIX: &str = "PRESSRUN_";

/// Every key that is set, by its dotted path.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file's name, for errors.
    file: String,
    values: BTreeMap<String, Setting>,
    /// Relays by name, with the place that named them first.
    relays: BTreeMap<String, Origin>,
}

/// One value and its origin.
#[derive(Clone, Debug)]
pub struct Setting {
    pub value: toml::Value,
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// Line of the configuration file, from 1.
    File(usize),
    /// Name of the variable.
    Environment(String),
}

/// What is wrong with the configuration: one line each.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl Settings {
    /// Reads `text`, the content of `file`, and the variables of `environment` over it.
    pub(super) fn read(
        file: &str,
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings, Problems> {
        let mut settings = Settings {
            file: file.to_owned(),
            values: BTreeMap::new(),
            relays: BTreeMap::new(),
        };
        let mut problems = Problems::default();
        settings.read_file(text, &mut problems);
        let mut variables: Vec<_> = environment
            .filter(|(name, value)| spelling::is_setting(name, value))
            .collect();
        variables.sort();
        for (variable, value) in variables {
            if let Err(problem) = settings.read_variable(&variable, &value) {
                let message = format!("environment variable `{variable}`: {problem}");
                problems.0.push(message);
            }
        }
        if problems.0.is_empty() {
            settings.add_defaults(&mut problems);
        }
        if problems.0.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }

    /// The setting at `path`.
    pub fn get(&self, path: &str) -> Option<&Setting> {
        self.values.get(path)
    }

    /// Every setting, in the order of the reference file, relays by name.
    pub fn in_order(&self) -> Vec<(&str, &Setting)> {
        let keys = &Schema::get().keys;
        let place = |path: &str| {
            let pattern = pattern_of(path);
            keys.iter().position(|key| key.pattern == pattern)
        };
        let relay = |path: &str| path.strip_prefix("relay.").map(str::to_owned);
        let name = |path: &str| relay(path).and_then(|p| p.split('.').next().map(str::to_owned));
        let first_relay = keys
            .iter()
            .position(|key| key.pattern.starts_with("relay."));
        let mut all: Vec<_> = self.values.iter().map(|(p, s)| (p.as_str(), s)).collect();
        all.sort_by_key(|(path, _)| match name(path) {
            Some(name) => (first_relay, Some(name), place(path)),
            None => (place(path), None, None),
        });
        all
    }

    /// Every setting under its path.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, &toml::Value)> {
        self.values
            .iter()
            .map(|(path, s)| (path.as_str(), &s.value))
    }

    /// Where a person finds the setting at `path`: file and line, or variable.
    pub(super) fn place(&self, path: &str) -> String {
        let origin = self.values.get(path).map(|setting| &setting.origin);
        self.place_of(origin.unwrap_or(&Origin::Default))
    }

    fn place_of(&self, origin: &Origin) -> String {
        match origin {
            Origin::Default => self.file.clone(),
            Origin::File(line) => format!("{}:{line}", self.file),
            Origin::Environment(variable) => format!("environment variable `{variable}`"),
        }
    }

    fn read_file(&mut self, text: &str, problems: &mut Problems) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                let mut message = error.message().replace('\n', "; ");
                if message == "duplicate key"
                    && let Some(key) = error.span().and_then(|span| text.get(span))
                {
                    message = format!("`{}` stands here twice", key.trim());
                }
                problems.0.push(format!("{}:{line}: {message}", self.file));
                return;
            }
        };
        let mut found = Vec::new();
        self.walk(text, table.get_ref(), "", &mut found);
        // The order of the file is the order in which a person mends it.
        found.sort();
        let lines = found.into_iter();
        let lines = lines.map(|(line, problem)| format!("{}:{line}: {problem}", self.file));
        problems.0.extend(lines);
    }

    fn walk(
        &mut self,
        text: &str,
        table: &DeTable<'_>,
        section: &str,
        problems: &mut Vec<(usize, String)>,
    ) {
        for (key, value) in table {
            let line = line_of(text, key.span().start);
            let path = join(section, key.get_ref());
            let taken = match value.get_ref() {
                _ if key.get_ref().contains('.') => {
                    Err(unknown(&path, section, key.get_ref(), "key"))
                }
                DeValue::Table(inner) => {
                    let fine = self.enter(section, key.get_ref(), &path, line);
                    if fine.is_ok() {
                        self.walk(text, inner, &path, problems);
                    }
                    fine
                }
                leaf => self.take(section, key.get_ref(), &path, line, plain(leaf)),
            };
            if let Err(problem) = taken {
                problems.push((line, problem));
            }
        }
    }

    /// Steps into the section `path`.
    fn enter(&mut self, section: &str, name: &str, path: &str, line: usize) -> Result<(), String> {
        let schema = Schema::get();
        if let Some(key) = schema.key(path) {
            let kind = Kind::of(&key.example);
            return Err(format!("`{path}` takes {kind}, and this is a section"));
        }
        if !schema.is_section(path) {
            return Err(unknown(path, section, name, "section"));
        }
        if section == "relay" {
            check_relay_name(name)?;
            self.relays.insert(name.to_owned(), Origin::File(line));
        }
        Ok(())
    }

    /// Takes the value of the key `path`.
    fn take(
        &mut self,
        section: &str,
        name: &str,
        path: &str,
        line: usize,
        value: toml::Value,
    ) -> Result<(), String> {
        let schema = Schema::get();
        let Some(key) = schema.key(path) else {
            return Err(match schema.is_section(path) {
                true => format!("`{path}` is a section, written `[{path}]`"),
                false => unknown(path, section, name, "key"),
            });
        };
        let value = fit(key, path, value)?;
        let origin = Origin::File(line);
        self.values
            .insert(path.to_owned(), Setting { value, origin });
        Ok(())
    }

    fn read_variable(&mut self, variable: &str, value: &str) -> Result<(), String> {
        let lower = variable[PREFIX.len()..].to_ascii_lowercase();
        let mut parts: Vec<&str> = lower.split("__").collect();
        // A relay's name keeps its hyphens in the file; the environment has only underscores.
        let relay = (parts[0] == "relay" && parts.len() == 3).then(|| self.relay_named(parts[1]));
        if let Some(name) = &relay {
            check_relay_name(name)?;
            parts[1] = name;
        }
        // So do the codes of the lints.
        let code = parts
            .last()
            .map_or(String::new(), |name| name.replace('_', "-"));
        if parts[0] == "lint" && parts.len() == 2 {
            parts[1] = &code;
        }
        let path = parts.join(".");
        let (section, name) = path.rsplit_once('.').unwrap_or(("", &path));
        let schema = Schema::get();
        let (target, text) = match schema.key(&path) {
            Some(_) => (path.clone(), value.to_owned()),
            None => self.read_secret(variable, &path, value)?,
        };
        let Some(key) = schema.key(&target) else {
            // Written with one underscore where two divide, it is a key of no section.
            let meant = match variable.contains("__") {
                true => spelling::underscored(variable),
                false => spelling::meant(variable),
            };
            return Err(match meant {
                Some(meant) => format!("is no setting; did you mean `{meant}`?"),
                None => unknown(&path, section, name, "key"),
            });
        };
        let value = fit(key, &target, from_text(Kind::of(&key.example), &text))?;
        let origin = Origin::Environment(variable.to_owned());
        if let Some(name) = relay {
            self.relays.entry(name).or_insert_with(|| origin.clone());
        }
        self.values.insert(target, Setting { value, origin });
        Ok(())
    }

    /// The content of the file that `..._FILE` names, and the key it is for; what is no such variable
    /// comes back as it is.
    fn read_secret(
        &self,
        variable: &str,
        path: &str,
        value: &str,
    ) -> Result<(String, String), String> {
        let stem = path.strip_suffix("_file").unwrap_or(path);
        let Some(key) = Schema::get().key(stem) else {
            return Ok((path.to_owned(), value.to_owned()));
        };
        if !key.secret {
            return Err(format!(
                "`{stem}` is no secret; only secrets come from files"
            ));
        }
        let beside = variable.strip_suffix("_FILE").unwrap_or(variable);
        let taken = Origin::Environment(beside.to_owned());
        if self
            .get(stem)
            .is_some_and(|setting| setting.origin == taken)
        {
            return Err(format!("`{beside}` is set as well; one of them is enough"));
        }
        let mut text = std::fs::read_to_string(value)
            .map_err(|error| format!("the file it names cannot be read: {error}"))?;
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        Ok((stem.to_owned(), text))
    }

    fn relay_named(&self, name: &str) -> String {
        let same = |known: &&String| known.to_ascii_lowercase().replace('-', "_") == name;
        let known = self.relays.keys().find(same);
        known.cloned().unwrap_or_else(|| name.to_owned())
    }

    fn add_defaults(&mut self, problems: &mut Problems) {
        for key in &Schema::get().keys {
            let places: Vec<(String, String)> = match key.pattern.strip_prefix("relay.*.") {
                Some(rest) => self
                    .relays
                    .iter()
                    .map(|(name, origin)| (format!("relay.{name}.{rest}"), self.place_of(origin)))
                    .collect(),
                None => vec![(key.pattern.clone(), self.file.clone())],
            };
            for (path, place) in places {
                if self.values.contains_key(&path) {
                    continue;
                }
                match &key.default {
                    Some(value) => {
                        let value = value.clone();
                        let origin = Origin::Default;
                        self.values.insert(path, Setting { value, origin });
                    }
                    None if key.required => problems.0.push(format!(
                        "{place}: `{path}` is missing; it takes {} such as `{}`",
                        Kind::of(&key.example),
                        key.example
                    )),
                    None => {}
                }
            }
        }
    }
}

/// The value in the kind that the key takes.
fn fit(key: &Key, path: &str, value: toml::Value) -> Result<toml::Value, String> {
    let wanted = Kind::of(&key.example);
    match (&value, wanted) {
        (toml::Value::Integer(number), Kind::Number) => {
            // A fraction is far below 2^53, where every whole number still has its own float.
            #[expect(clippy::cast_precision_loss, reason = "small numbers only")]
            let number = *number as f64;
            return Ok(toml::Value::Float(number));
        }
        (toml::Value::Array(items), Kind::List) if items.iter().all(toml::Value::is_str) => {
            return Ok(value);
        }
        (_, Kind::List) => {}
        _ if Kind::of(&value) == wanted => return Ok(value),
        _ => {}
    }
    let example = match key.secret {
        true => String::new(),
        false => format!(" such as `{}`", key.example),
    };
    Err(format!(
        "`{path}` takes {wanted}{example}, and this is {}",
        match Kind::of(&value) {
            Kind::List => "another list".to_owned(),
            other => other.to_string(),
        }
    ))
}

/// A variable's text as the kind its key takes; what does not read so stays a text.
fn from_text(kind: Kind, text: &str) -> toml::Value {
    let trimmed = text.trim();
    let read = match kind {
        Kind::Whole => trimmed.parse().ok().map(toml::Value::Integer),
        Kind::Number => trimmed.parse().ok().map(toml::Value::Float),
        Kind::Switch => trimmed.parse().ok().map(toml::Value::Boolean),
        // As the file writes it, for whoever copies it from there.
        Kind::List if trimmed.starts_with('[') => {
            let table = toml::from_str::<toml::Table>(&format!("list = {trimmed}")).ok();
            table.and_then(|mut table| table.remove("list"))
        }
        Kind::List => {
            let items = trimmed
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            let items = items.map(|item| toml::Value::String(item.to_owned()));
            Some(toml::Value::Array(items.collect()))
        }
        Kind::Text | Kind::Other => None,
    };
    read.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn unknown(path: &str, section: &str, name: &str, what: &str) -> String {
    let schema = Schema::get();
    let hint = match schema.nearest(section, name) {
        Some(near) => format!("did you mean `{near}`?"),
        None if schema.is_section(section) => {
            let mut known: Vec<&str> = schema.children(section).collect();
            known.dedup();
            format!("there are `{}`", known.join("`, `"))
        }
        None => "`pressrun config reference` lists every key".to_owned(),
    };
    format!("`{path}` is not a {what}; {hint}")
}

fn check_relay_name(name: &str) -> Result<(), String> {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    // Two underscores in a row divide section and key in the environment.
    if !name.is_empty() && name.len() <= 32 && name.bytes().all(fine) && !name.contains("__") {
        return Ok(());
    }
    Err(format!(
        "`{name}` cannot name a relay; it takes up to 32 lower-case letters, digits and single hyphens"
    ))
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}
