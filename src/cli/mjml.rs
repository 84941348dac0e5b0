//! `pressrun mjml`: MJML to HTML, without a publication around it.
//!
//! Promises: HTML goes to stdout or the file of `-o` and findings to stderr, or both into one JSON; a
//! document with an error leaves the file of `-o` as it was; includes come from the folder of the document,
//! or from the wider one of `--root`, and from nowhere else.

mod disk;
mod watch;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::Exit;
use crate::cli::mjml::disk::Disk;
use crate::cli::output::print_file;
use crate::diagnostic::Diagnostic;
use crate::mjml::finding::more;
use crate::mjml::parser::SIZE_LIMIT;
use crate::mjml::{Level, Options, compile};
use crate::terminal;

/// How findings name a document that comes through a pipe.
const STDIN: &str = "<stdin>";

/// Compiles MJML to HTML.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The document; `-` reads it from stdin.
    file: PathBuf,
    /// Writes to this file instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What an error does: stop the document, be told as a warning, or not be looked for.
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "strict")]
    validate: Validate,
    /// `text` gives HTML, and findings on stderr; `json` gives both in one object.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Folder that includes may come from [default: the document's own].
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Compiles again whenever the document or a file it includes is saved.
    #[arg(long, requires = "out")]
    watch: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Validate {
    Strict,
    Soft,
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Compiles once, or until interrupted. Fails when an error stops the document.
pub async fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let job = Job::of(arguments)?;
    if arguments.watch {
        if job.name == STDIN {
            bail!("`--watch` needs a file to watch; stdin is read once");
        }
        return watch::run(&job).await;
    }
    job.compile().map(|done| done.exit())
}

/// What is to be compiled, and how.
struct Job<'a> {
    arguments: &'a Arguments,
    /// The document's path below the root.
    name: String,
    /// What stands before paths below the root, for whoever reads findings.
    shown: PathBuf,
    disk: Disk,
}

/// How a compile went.
struct Done {
    octets: Option<usize>,
    errors: usize,
    warnings: usize,
    took: Duration,
}

impl Done {
    fn exit(&self) -> Exit {
        match self.octets {
            Some(_) => Exit::Done,
            None => Exit::Failed,
        }
    }
}

impl Job<'_> {
    fn of(arguments: &Arguments) -> anyhow::Result<Job<'_>> {
        let file = &arguments.file;
        let stdin = file == Path::new("-");
        let parent = match file.parent() {
            Some(parent) if !stdin => parent.to_owned(),
            _ => PathBuf::new(),
        };
        let shown = arguments.root.clone().unwrap_or_else(|| parent.clone());
        let disk = Disk::below(&shown)?;
        let name = match stdin {
            true => STDIN.to_owned(),
            false => disk.name_of(file)?,
        };
        Ok(Job {
            arguments,
            name,
            shown,
            disk,
        })
    }

    fn compile(&self) -> anyhow::Result<Done> {
        let text = self.read()?;
        let options = Options {
            level: match self.arguments.validate {
                Validate::Strict => Level::Strict,
                Validate::Soft => Level::Soft,
                Validate::Skip => Level::Skip,
            },
            mark: false,
            // What npm's mjml gives for the same document.
            foreign_icons: true,
        };
        let from = Instant::now();
        let rendering = compile(&self.name, &text, &self.disk, &options);
        let took = from.elapsed();
        let findings = rendering.diagnostics.into_iter();
        let findings: Vec<Diagnostic> = findings.map(|found| self.as_known(found)).collect();
        let errors = findings.iter().filter(|found| found.is_error()).count();
        match self.arguments.format {
            Format::Text => tell(&findings, rendering.dropped),
            Format::Json => {
                let object = json!({
                    "html": rendering.html,
                    "diagnostics": findings,
                    "dropped": rendering.dropped,
                });
                self.write(&terminal::json(&format!("{object:#}\n")))?;
            }
        }
        if let (Format::Text, Some(html)) = (self.arguments.format, &rendering.html) {
            self.write(html)?;
        }
        Ok(Done {
            octets: rendering.html.map(|html| html.len()),
            errors,
            warnings: findings.len() - errors,
            took,
        })
    }

    /// The document. More of it than a document may have is not read.
    fn read(&self) -> anyhow::Result<String> {
        let file = &self.arguments.file;
        let shown = file.display();
        let limit = u64::try_from(SIZE_LIMIT).expect("a limit fits") + 1;
        let mut octets = Vec::new();
        if self.name == STDIN {
            let read = std::io::stdin().lock().take(limit).read_to_end(&mut octets);
            read.context("stdin cannot be read")?;
        } else {
            let open = std::fs::File::open(file);
            let open = open.with_context(|| format!("`{shown}` cannot be opened"))?;
            let read = open.take(limit).read_to_end(&mut octets);
            read.with_context(|| format!("`{shown}` cannot be read"))?;
        }
        if octets.len() > SIZE_LIMIT {
            // Cut somewhere, maybe within a character; it is refused for its size.
            return Ok(String::from_utf8_lossy(&octets).into_owned());
        }
        String::from_utf8(octets).map_err(|error| {
            let before = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..before].iter().filter(|&&b| b == b'\n');
            let line = line.count() + 1;
            anyhow::anyhow!("`{shown}` is not UTF-8 in line {line}; save it as UTF-8")
        })
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        match &self.arguments.out {
            None => print_file(text),
            Some(out) => std::fs::write(out, text)
                .with_context(|| format!("`{}` cannot be written", out.display())),
        }
    }

    /// A finding with paths as they were given on the command line.
    fn as_known(&self, mut found: Diagnostic) -> Diagnostic {
        let known = |file: &mut String| {
            if file != STDIN {
                *file = self.shown.join(&*file).display().to_string();
            }
        };
        known(&mut found.file);
        found
            .via
            .iter_mut()
            .for_each(|place| known(&mut place.file));
        found
    }
}

/// Findings with their code frames, on stderr.
fn tell(findings: &[Diagnostic], dropped: usize) {
    for finding in findings {
        eprintln!("{}\n", finding.framed());
    }
    if dropped > 0 {
        eprintln!("{}", more(dropped));
    }
}
