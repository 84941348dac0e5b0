//! The test app: a Pressrun with a database of its own, a fixed clock and a seeded generator.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use pressrun::store::Store;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::net::TcpSocket;
use tokio::sync::OnceCell;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Writes one test for each database: `on_both!(a_name_that_is_a_sentence, |engine| async { .. })`.
#[macro_export]
macro_rules! on_both {
    ($(#[$meta:meta])* $name:ident, $body:expr) => {
        mod $name {
            use super::*;

            $(#[$meta])*
            #[test]
            fn sqlite() {
                $crate::harness::block_on(($body)($crate::harness::Engine::Sqlite));
            }

            $(#[$meta])*
            #[test]
            fn postgres() {
                $crate::harness::block_on(($body)($crate::harness::Engine::Postgres));
            }
        }
    };
}

/// Runs a test's future on a runtime of its own.
pub fn block_on<F: Future<Output = ()>>(future: F) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future);
}

/// A port that nobody else is given: it stays bound here, and refuses whoever comes until somebody who names it
/// listens.
#[derive(Debug)]
pub struct Port {
    pub number: u16,
    _bound: TcpSocket,
}

impl Port {
    /// One of loopback.
    pub fn free() -> Port {
        Port::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// That of an address where somebody has ceased to listen, who may come back.
    pub fn at(address: SocketAddr) -> Port {
        let socket = TcpSocket::new_v4().expect("a socket");
        // As all who listen do: each leaves the port to the other, as long as one alone listens.
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(address).expect("a port");
        Port {
            number: socket.local_addr().expect("an address").port(),
            _bound: socket,
        }
    }
}

const FILE: &str = "pressrun.db";

/// What a test begins with: a copy of a migrated database costs a tenth of the migrations.
static SQLITE: OnceCell<Vec<u8>> = OnceCell::const_new();
static POSTGRES: OnceCell<String> = OnceCell::const_new();

async fn migrated_file() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&format!("sqlite:{FILE}"), folder.path(), 1).await;
    store.expect("a migrated store").close().await;
    let log = folder.path().join(format!("{FILE}-wal"));
    assert!(
        !log.exists(),
        "the log is folded back when the file is closed"
    );
    std::fs::read(folder.path().join(FILE)).expect("the file")
}

/// The name of the template on this server, which stays there under a name made of the migrations: the next test
/// run has it already.
async fn migrated_database(admin: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let entries = std::fs::read_dir(folder).expect("the migrations");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).expect("a migration").hash(&mut hasher);
    }
    let name = format!("pressrun_template_{:016x}", hasher.finish());
    let options: PgConnectOptions = admin.parse().expect("a URL");
    let mut conn = options.connect().await.expect("a connection");
    let known = "select count(*) from pg_database where datname = $1";
    let known: i64 = sqlx::query_scalar(known)
        .bind(&name)
        .fetch_one(&mut conn)
        .await
        .expect("a read");
    if known == 0 {
        let made = format!("pressrun_new_{}", std::process::id());
        let ask = async |statement: String| postgres(admin, statement).await;
        ask(format!("create database {made}"))
            .await
            .expect("a new database");
        let store = Store::open(&beside(admin, &made), Path::new("."), 1).await;
        store.expect("a migrated store").close().await;
        // Another test program may have been first.
        if ask(format!("alter database {made} rename to {name}"))
            .await
            .is_err()
        {
            ask(format!("drop database {made} with (force)"))
                .await
                .expect("one less");
        }
    }
    name
}

/// Has the server at `url` make or drop a database.
async fn postgres(url: &str, statement: String) -> sqlx::Result<()> {
    let mut conn = PgConnection::connect(url).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut conn)
        .await?;
    conn.close().await
}

/// The URL of the database `name` on the same server.
fn beside(admin: &str, name: &str) -> String {
    let (server, _) = admin
        .rsplit_once('/')
        .expect("postgres://user@host/postgres");
    format!("{server}/{name}")
}

/// A database of its own for one test; dropped with it.
pub struct Database {
    pub url: String,
    admin: Option<(String, String)>,
    pub folder: tempfile::TempDir,
}

impl Database {
    pub async fn new(engine: Engine) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().expect("a temporary folder");
        match engine {
            Engine::Sqlite => {
                let copy = SQLITE.get_or_init(migrated_file).await;
                let file = folder.path().join(FILE);
                std::fs::write(&file, copy).expect("a file");
                // As the program makes it.
                let owners = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(file, owners).expect("its owner's");
                Database {
                    url: format!("sqlite:{FILE}"),
                    admin: None,
                    folder,
                }
            }
            Engine::Postgres => {
                let admin = std::env::var("PRESSRUN_TEST_POSTGRES")
                    .expect("PRESSRUN_TEST_POSTGRES names a server; `./tests/run` starts one");
                let number = COUNT.fetch_add(1, Ordering::Relaxed);
                let name = format!("pressrun_test_{}_{number}", std::process::id());
                let template = POSTGRES.get_or_init(|| migrated_database(&admin)).await;
                let copied = format!("create database {name} template {template}");
                postgres(&admin, copied).await.expect("a new database");
                Database {
                    url: beside(&admin, &name),
                    admin: Some((admin, name)),
                    folder,
                }
            }
        }
    }

    pub async fn store(&self) -> Store {
        Store::open(&self.url, self.path(), 8)
            .await
            .expect("an open store")
    }

    /// Runs SQL of the test's own, past the store.
    pub async fn raw(&self, statements: &str) {
        let statements = sqlx::AssertSqlSafe(statements.to_owned());
        if let Some(file) = self.url.strip_prefix("sqlite:") {
            let options = SqliteConnectOptions::new().filename(self.path().join(file));
            let mut conn = options.connect().await.expect("a connection");
            let transaction = format!("begin; {} ; commit", statements.0);
            sqlx::raw_sql(sqlx::AssertSqlSafe(transaction))
                .execute(&mut conn)
                .await
                .expect("the test's own SQL");
        } else {
            let options: PgConnectOptions = self.url.parse().expect("a URL");
            let mut conn = options.connect().await.expect("a connection");
            sqlx::raw_sql(statements)
                .execute(&mut conn)
                .await
                .expect("the test's own SQL");
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((admin, name)) = self.admin.take() else {
            return;
        };
        let drop = async move {
            let statement = format!("drop database if exists {name} with (force)");
            postgres(&admin, statement).await.ok();
        };
        std::thread::spawn(|| block_on(drop)).join().ok();
    }
}
