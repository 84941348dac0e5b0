//! What the subscribe form asks besides the address: which lists, and fields and tags of the author's choice.
//!
//! Promises: only lists that the configuration offers, only fields and tags it names, only values of their kind. All of it
//! is optional but a list and the fields that no reader may lack, and none of it depends on who asks. A reader's own page
//! empties none of these either.

use crate::app::App;
use crate::id::ListId;
use crate::import::field_table;
use crate::signup::Submission;
use crate::subscriber::clean_name;
use crate::subscriber::field::{FieldKind, FieldTable, Fields};

/// The name a reader has without any declaration.
const NAME: &str = "name";

/// The form's questions, as they are configured.
#[derive(Debug)]
pub(super) struct Asked {
    table: FieldTable,
    fields: Vec<AskedField>,
    tags: Vec<AskedTag>,
}

/// What a form offers now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    pub lists: Vec<OfferedList>,
    pub fields: Vec<AskedField>,
    pub tags: Vec<AskedTag>,
}

/// A list that may be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedList {
    pub(super) id: ListId,
    pub slug: String,
    pub title: String,
}

/// A field that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedField {
    pub name: String,
    /// What people read: `first_name` is `First name`.
    pub label: String,
    pub kind: FieldKind,
    /// It is not to be left empty.
    pub required: bool,
}

/// A tag that may be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedTag {
    pub name: String,
    /// What people read: `local-events` is `Local events`.
    pub label: String,
}

/// A form's answers, read.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) name: String,
    /// As one JSON object.
    pub(super) fields: String,
    pub(super) lists: Vec<ListId>,
    pub(super) tags: Vec<String>,
}

/// An answer that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What it is called in the form.
    pub field: String,
    /// What to do.
    pub what: String,
}

impl Wrong {
    fn of_lists(what: &str) -> Wrong {
        Wrong {
            field: "list".to_owned(),
            what: what.to_owned(),
        }
    }
}

impl Asked {
    /// The questions that the configuration names. A field that is not declared is not asked for, and the author is
    /// told.
    pub(super) fn of(app: &App) -> Asked {
        let names = &app.config.signup.fields;
        let table = match names.is_empty() {
            true => FieldTable::default(),
            false => field_table(app).unwrap_or_else(|error| {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "the form asks for no field: `fields.toml` cannot be read"
                );
                FieldTable::default()
            }),
        };
        let mut fields = Vec::new();
        for name in names {
            let kind = match name.as_str() {
                NAME => Some(FieldKind::Text),
                declared => table.kind(declared),
            };
            match kind {
                Some(kind) => fields.push(AskedField {
                    name: name.clone(),
                    label: label(name),
                    kind,
                    required: table.required(name),
                }),
                None => tracing::warn!(
                    field = name,
                    "the form does not ask for a field that `fields.toml` does not declare"
                ),
            }
        }
        let tag = |name: &String| AskedTag {
            name: name.clone(),
            label: label(&name.replace('-', "_")),
        };
        let tags = app.config.signup.tags.iter().map(tag).collect();
        Asked {
            table,
            fields,
            tags,
        }
    }

    /// The questions, with the lists that are there now.
    pub(super) async fn offer(&self, app: &App) -> anyhow::Result<Offer> {
        let slugs: Vec<&str> = app.config.offered_lists().collect();
        let lists = app.store.offered_lists(&slugs).await?;
        let list = |(id, slug, title)| OfferedList { id, slug, title };
        Ok(Offer {
            lists: lists.into_iter().map(list).collect(),
            fields: self.fields.clone(),
            tags: self.tags.clone(),
        })
    }

    /// Reads the answers; the error says what to do.
    pub(super) fn read(&self, offer: &Offer, form: &Submission) -> Result<Typed, Wrong> {
        let chosen = |list: &&OfferedList| form.lists.contains(&list.slug);
        let mut lists: Vec<ListId> = offer.lists.iter().filter(chosen).map(|l| l.id).collect();
        if lists.is_empty() {
            if offer.lists.len() > 1 && form.asked_lists {
                return Err(Wrong::of_lists("Please choose at least one of the lists."));
            }
            // One that names what is not offered any more must not come to another list in silence.
            if !form.lists.is_empty() {
                return Err(Wrong::of_lists(
                    "The list that this form is for is not offered any more. Press the button once more for what is.",
                ));
            }
            // A form that did not ask means the publication's own list, which is offered first.
            lists.extend(offer.lists.first().map(|list| list.id));
        }
        let mut typed = self.whole(&form.values, &form.tags)?;
        typed.lists = lists;
        Ok(typed)
    }

    /// The questions that a reader's page asks, too.
    pub(super) fn offer_of_herself(&self) -> Offer {
        Offer {
            lists: Vec::new(),
            fields: self.fields.clone(),
            tags: self.tags.clone(),
        }
    }

    /// Boxes that were left without a tick: a browser sends none of them.
    pub(super) fn unticked(&self, values: &[(String, String)]) -> Vec<String> {
        let boxes = self.fields.iter().filter(|asked| {
            asked.kind == FieldKind::Bool && !values.iter().any(|(name, _)| *name == asked.name)
        });
        boxes.map(|asked| asked.name.clone()).collect()
    }

    /// As [`Asked::answers`]: what no reader may lack is not to be left empty, and a box of it without a tick is a no.
    pub(super) fn whole(
        &self,
        values: &[(String, String)],
        tags: &[String],
    ) -> Result<Typed, Wrong> {
        let mut values = values.to_vec();
        let unticked = self.unticked(&values).into_iter();
        let asked = unticked.filter(|name| self.table.required(name));
        values.extend(asked.map(|name| (name, "false".to_owned())));
        let typed = self.answers(&values, tags)?;
        let fields = Fields::from_json(&typed.fields);
        let empty = self
            .fields
            .iter()
            .find(|asked| asked.required && !fields.0.contains_key(&asked.name));
        match empty {
            Some(AskedField { name, label, .. }) => Err(Wrong {
                field: format!("field_{name}"),
                what: format!("Please fill in “{label}”."),
            }),
            None => Ok(typed),
        }
    }

    /// Whether it asks for the name.
    pub(super) fn asks_name(&self) -> bool {
        self.fields.iter().any(|asked| asked.name == NAME)
    }

    /// The declared fields that it asks for.
    pub(super) fn declared(&self) -> Vec<String> {
        let names = self.fields.iter().map(|asked| asked.name.clone());
        names.filter(|name| name != NAME).collect()
    }

    /// A reader's values as they would be typed.
    pub(super) fn typed(&self, name: &str, fields: &Fields) -> Vec<(String, String)> {
        let value = |asked: &AskedField| {
            let text = match asked.name.as_str() {
                NAME => name.to_owned(),
                declared => fields.text(declared).unwrap_or_default(),
            };
            // A box that is not ticked is not sent.
            let unticked = asked.kind == FieldKind::Bool && text != "true";
            let text = if unticked { String::new() } else { text };
            (asked.name.clone(), text)
        };
        self.fields.iter().map(value).collect()
    }

    /// Reads values and tags, without any list; the error says what to do.
    pub(super) fn answers(
        &self,
        values: &[(String, String)],
        tags: &[String],
    ) -> Result<Typed, Wrong> {
        let mut name = String::new();
        let mut fields = Fields::default();
        for asked in &self.fields {
            let typed = values.iter().find(|(field, _)| *field == asked.name);
            let Some((_, text)) = typed else {
                continue;
            };
            if asked.name == NAME {
                name = clean_name(text);
                continue;
            }
            match self.table.value(&asked.name, text) {
                Ok(Some(value)) => {
                    fields.0.insert(asked.name.clone(), value);
                }
                Ok(None) => {}
                Err(_) => {
                    let AskedField { label, kind, .. } = asked;
                    let kind = kind.to_string().replace('`', "");
                    return Err(Wrong {
                        field: format!("field_{}", asked.name),
                        what: format!("Please look at “{label}” again: it takes {kind}."),
                    });
                }
            }
        }
        let chosen = self.tags.iter().filter(|tag| tags.contains(&tag.name));
        Ok(Typed {
            name,
            fields: fields.to_json(),
            lists: Vec::new(),
            tags: chosen.map(|tag| tag.name.clone()).collect(),
        })
    }
}

/// A field's name as people read it.
fn label(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
