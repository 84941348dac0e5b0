//! A wire that fails: between the sender and the sink, it resets connections and stalls them, by a seeded plan.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to connections, in parts of a hundred.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Reset within the first octets: the greeting, or the TLS handshake.
    pub early: f64,
    /// Reset somewhere later.
    pub late: f64,
    /// Stand still for `stall` somewhere, and go on.
    pub stalls: f64,
    pub stall: Duration,
}

/// A wire in front of a server; it ends with the test.
pub struct Proxy {
    pub address: SocketAddr,
    server: watch::Sender<Option<SocketAddr>>,
    done: Arc<Done>,
    task: JoinHandle<()>,
}

/// How often each happened.
#[derive(Debug, Default)]
struct Done {
    resets: AtomicUsize,
    stalls: AtomicUsize,
    connections: AtomicUsize,
}

/// What happens to one connection, after so many octets of the sender.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Well,
    Reset(usize),
    Stall(usize, Duration),
}

impl Proxy {
    /// Listens; connections wait until [`Proxy::leads_to`] says where they go.
    pub async fn start(plan: Plan) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let done = Arc::new(Done::default());
        let told = Arc::clone(&done);
        let (server, goal) = watch::channel(None);
        let task = tokio::spawn(async move {
            let mut chance = StdRng::seed_from_u64(plan.seed);
            while let Ok((near, _)) = listener.accept().await {
                told.connections.fetch_add(1, Ordering::SeqCst);
                let fate = plan.fate(&mut chance);
                let (told, mut goal) = (Arc::clone(&told), goal.clone());
                tokio::spawn(async move {
                    let Ok(server) = goal.wait_for(Option::is_some).await.map(|found| *found)
                    else {
                        return;
                    };
                    let server: SocketAddr = server.expect("it was waited for");
                    if let Ok(far) = TcpStream::connect(server).await {
                        carry(near, far, fate, &told).await;
                    }
                });
            }
        });
        Proxy {
            address,
            server,
            done,
            task,
        }
    }

    /// Where connections go.
    pub fn leads_to(&self, server: SocketAddr) {
        self.server.send_replace(Some(server));
    }

    /// Connections that were reset, that stood still, and all of them.
    pub fn done(&self) -> (usize, usize, usize) {
        let Done {
            resets,
            stalls,
            connections,
        } = &*self.done;
        let count = |number: &AtomicUsize| number.load(Ordering::SeqCst);
        (count(resets), count(stalls), count(connections))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Plan {
    fn fate(&self, chance: &mut StdRng) -> Fate {
        let drawn = chance.random_range(0.0..100.0);
        let (early, late) = (self.early, self.early + self.late);
        // A handshake has some hundred octets; a connection carries some ten thousand.
        match drawn {
            _ if drawn < early => Fate::Reset(chance.random_range(0..400)),
            _ if drawn < late => Fate::Reset(chance.random_range(400..40_000)),
            _ if drawn < late + self.stalls => {
                Fate::Stall(chance.random_range(0..40_000), self.stall)
            }
            _ => Fate::Well,
        }
    }
}

async fn carry(near: TcpStream, far: TcpStream, fate: Fate, told: &Done) {
    near.set_nodelay(true).ok();
    far.set_nodelay(true).ok();
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let back = tokio::spawn(async move {
        tokio::io::copy(&mut from_far, &mut to_near).await.ok();
        to_near.shutdown().await.ok();
    });
    let mut fate = fate;
    let mut seen = 0;
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from_near.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        seen += read;
        match fate {
            Fate::Reset(at) if seen > at => {
                told.resets.fetch_add(1, Ordering::SeqCst);
                // A socket that lingers for nothing ends with RST and no FIN.
                from_near.as_ref().set_zero_linger().ok();
                back.abort();
                return;
            }
            Fate::Stall(at, time) if seen > at => {
                told.stalls.fetch_add(1, Ordering::SeqCst);
                fate = Fate::Well;
                tokio::time::sleep(time).await;
            }
            _ => {}
        }
        if to_far.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    to_far.shutdown().await.ok();
    back.await.ok();
}
