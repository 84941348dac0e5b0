//! The author at the admin site of any app: logged in by a link, pressing buttons as the pages do.

use std::net::SocketAddr;

use pressrun::access;
use pressrun::app::App;
use pressrun::http::admin;
use pressrun::http::listener::{self, Limits};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::site::session_of;
use super::wire::{Answer, request};

pub struct Author {
    pub at: SocketAddr,
    pub cookie: String,
    stop: watch::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Author {
    /// Serves the admin site of `app` and logs in.
    pub async fn of(app: &App) -> Author {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = socket.local_addr().expect("an address");
        let limits = Limits::new(&app.config.http);
        let (stop, closing) = watch::channel(());
        let file = app.base.join("pressrun.toml");
        let router = admin::router(app.clone(), file, closing.clone(), &limits);
        let task = tokio::spawn(async move {
            let mut stopped = closing;
            let stopped = async move {
                stopped.changed().await.ok();
            };
            listener::run(socket, router, limits, stopped).await;
        });
        let mut author = Author {
            at,
            cookie: String::new(),
            stop,
            task,
        };
        let token = access::new_link(app).await.expect("a link");
        let answer = author.press(&format!("/login/{token}"), "").await;
        author.cookie = session_of(&answer).expect("a session");
        author
    }

    pub async fn get(&self, path: &str) -> Answer {
        let cookie = [("Cookie", self.cookie.as_str())];
        request(self.at, "GET", path, &cookie, "").await
    }

    pub async fn press(&self, path: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.at);
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", origin.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
            ("Cookie", self.cookie.as_str()),
        ];
        request(self.at, "POST", path, &headers, body).await
    }

    pub async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("no panic");
    }
}
