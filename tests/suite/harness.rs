//! The test app: a Pressrun with a database of its own, a fixed clock and a seeded generator.

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use pressrun::store::{Store, postgres_admin};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

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
            #[allow(unused_imports)]
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
            Engine::Sqlite => Database {
                url: "sqlite:pressrun.db".into(),
                admin: None,
                folder,
            },
            Engine::Postgres => {
                let admin = std::env::var("PRESSRUN_TEST_POSTGRES")
                    .expect("PRESSRUN_TEST_POSTGRES names a server; `./tests/run` starts one");
                let number = COUNT.fetch_add(1, Ordering::Relaxed);
                let name = format!("pressrun_test_{}_{number}", std::process::id());
                postgres_admin(&admin, format!("create database {name}"))
                    .await
                    .expect("a new database");
                let (server, _) = admin
                    .rsplit_once('/')
                    .expect("postgres://user@host/postgres");
                Database {
                    url: format!("{server}/{name}"),
                    admin: Some((admin.clone(), name)),
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
            postgres_admin(&admin, statement).await.ok();
        };
        std::thread::spawn(|| block_on(drop)).join().ok();
    }
}
