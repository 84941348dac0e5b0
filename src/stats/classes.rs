//! Readers or events by what is thought of them: people, proxies, machines, and what nobody can tell.
//!
//! Promises: what was not counted, or is not told apart, is null in JSON and never nobody.

use serde::{Serialize, Serializer};

use crate::stats::tally::{Class, Part, Tally, What};

/// What is known of classes; what is not is null in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    #[default]
    All,
    /// Machines are not told from readers.
    NotMachines,
    /// Nothing was counted.
    Nothing,
}

/// Readers or events by what is thought of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    pub human: i64,
    /// Through Gmail's proxy: readers, whose devices nobody knows.
    pub gmail: i64,
    /// Through Apple's proxy, which loads every mail's images: perhaps.
    pub apple: i64,
    pub unsure: i64,
    pub machine: i64,
    pub known: Known,
}

impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row {
            human: Option<i64>,
            gmail: Option<i64>,
            apple: Option<i64>,
            unsure: Option<i64>,
            machine: Option<i64>,
        }
        let counted = |number: i64| (self.known != Known::Nothing).then_some(number);
        let row = Row {
            human: counted(self.human),
            gmail: counted(self.gmail),
            apple: counted(self.apple),
            unsure: counted(self.unsure),
            machine: self.machines(),
        };
        row.serialize(serializer)
    }
}

impl Classes {
    /// Those of machines, where they are told from readers.
    pub fn machines(&self) -> Option<i64> {
        (self.known == Known::All).then_some(self.machine)
    }

    /// All of them, where anything was counted.
    pub fn all(&self) -> Option<i64> {
        (self.known != Known::Nothing).then(|| self.total())
    }

    /// Those who read, or what they did.
    pub fn readers(&self) -> i64 {
        self.human + self.gmail
    }

    /// All of them.
    pub fn total(&self) -> i64 {
        self.readers() + self.apple + self.unsure + self.machine
    }

    pub(super) fn and(self, other: Classes) -> Classes {
        Classes {
            human: self.human + other.human,
            gmail: self.gmail + other.gmail,
            apple: self.apple + other.apple,
            unsure: self.unsure + other.unsure,
            machine: self.machine + other.machine,
            known: self.known,
        }
    }

    /// The same, and nothing of it where nothing was counted.
    pub(super) fn if_counted(self, told: bool) -> Classes {
        match told {
            true => self,
            false => Classes {
                known: Known::Nothing,
                ..Classes::default()
            },
        }
    }

    /// The same where machines are not told from readers.
    pub(super) fn without_machines(&mut self) {
        if self.known == Known::All {
            self.known = Known::NotMachines;
        }
    }

    /// So many in all: nobody knows who the others are.
    pub(super) fn fill_up(&mut self, all: i64) {
        self.unsure += (all - self.total()).max(0);
    }

    pub(super) fn read(
        tally: &Tally,
        part: Part,
        bucket: &str,
        what: fn(Class) -> What,
    ) -> Classes {
        let number = |class| tally.get(part, bucket, what(class));
        Classes {
            human: number(Class::Human),
            gmail: number(Class::Gmail),
            apple: number(Class::Apple),
            unsure: number(Class::Unsure),
            machine: number(Class::Machine),
            known: Known::All,
        }
    }
}
