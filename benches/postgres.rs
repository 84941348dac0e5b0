//! The PostgreSQL server for tests, told to make and drop databases.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Has the server at `url` do what `statement` says, outside any transaction.
pub async fn ask(url: &str, statement: String) -> sqlx::Result<()> {
    let mut conn = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut conn)
        .await?;
    conn.close().await
}
