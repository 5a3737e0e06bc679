//! A pool whose connections go to the suitable host.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    Connection as _, PgPool, Postgres,
    pool::{PoolConnection, PoolOptions},
};
use tokio::sync::Mutex;

use super::hosts::{Hosts, shown};
use crate::store::db::engine::{Faults, in_time};

/// How long after its last use a connection is taken to be alive: it was checked when it was returned.
const FRESH: Duration = Duration::from_secs(1);

/// How long an idle connection may take to prove that it is alive, before another one is made.
const WAIT_FOR_IDLE: Duration = Duration::from_secs(1);

/// How long to wait for a connection before checking whether the server has moved, and how long that answer is valid.
const PATIENCE: Duration = Duration::from_millis(300);

/// The pool. sqlx's own connects to one host, which is replaced when another one is suitable.
#[derive(Debug)]
pub(crate) struct Pool {
    connections: PgPool,
    hosts: Hosts,
    /// The host that connections go to.
    place: AtomicUsize,
    /// Held while looking for a suitable host: when we last looked, and why in vain.
    looking: Mutex<Option<(Instant, Result<(), String>)>>,
    faults: Arc<Faults>,
}

impl Pool {
    /// Connects on first use, to the host at this place. A connection as old as a fault is replaced unchecked.
    pub(super) fn new(options: PoolOptions<Postgres>, hosts: Hosts, place: usize) -> Self {
        let faults = Arc::<Faults>::default();
        let noted = faults.clone();
        let connections = options
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let faults = noted.clone();
                Box::pin(async move {
                    let made = Instant::now().checked_sub(meta.age);
                    if made.is_none_or(|made| faults.condemn(made)) {
                        return Ok(false);
                    }
                    if meta.idle_for < FRESH {
                        return Ok(true);
                    }
                    match in_time(WAIT_FOR_IDLE, connection.ping()).await {
                        Ok(()) => return Ok(true),
                        Err(error) => faults.note(&error),
                    };
                    Ok(false)
                })
            })
            .connect_lazy_with(hosts.options(place).clone());
        Self { connections, hosts, place: AtomicUsize::new(place), looking: Mutex::default(), faults }
    }

    pub(crate) fn faults(&self) -> Arc<Faults> {
        self.faults.clone()
    }

    /// Whether connections made at that time are unusable by now.
    pub(super) fn condemns(&self, made: Instant) -> bool {
        self.faults.condemn(made)
    }

    /// A connection to the suitable host.
    ///
    /// # Errors
    /// sqlx's error, or why no host is suitable.
    pub(crate) async fn acquire(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        if !self.hosts.are_several() {
            return self.connections.acquire().await;
        }
        // Boxed, or every future that holds this one would grow with it.
        Box::pin(self.acquire_where_it_is()).await
    }

    async fn acquire_where_it_is(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        let place = self.place.load(Ordering::Acquire);
        let mut waiting = pin!(self.connections.acquire());
        let mut in_vain = None;
        loop {
            // All connections may be in use, and one may be returned meanwhile.
            let looked = async {
                tokio::time::sleep(PATIENCE).await;
                self.look(place).await
            };
            tokio::select! {
                biased;
                acquired = &mut waiting => match acquired {
                    Ok(_) | Err(sqlx::Error::PoolClosed) => return acquired,
                    Err(sqlx::Error::PoolTimedOut) => return Err(in_vain.unwrap_or(sqlx::Error::PoolTimedOut)),
                    Err(_) => {
                        self.look(place).await?;
                        return self.connections.acquire().await;
                    }
                },
                // A host may become suitable in a moment: in the middle of a switch.
                moved = looked => match moved {
                    Ok(true) => return self.connections.acquire().await,
                    Ok(false) => in_vain = None,
                    Err(error) => in_vain = Some(error),
                },
            }
        }
    }

    /// Looks for a suitable host; returns whether it is another than the one at `place`. Concurrent callers share the
    /// answer.
    async fn look(&self, place: usize) -> sqlx::Result<bool> {
        let began = Instant::now();
        let mut last = self.looking.lock().await;
        if self.place.load(Ordering::Acquire) != place {
            return Ok(true);
        }
        match &*last {
            Some((ended, Ok(()))) if *ended + PATIENCE > began => return Ok(false),
            Some((ended, Err(why))) if *ended > began => return Err(unreached(why)),
            _ => {}
        }
        let found = self.hosts.connect(place).await.map(|(found, _)| found).map_err(|e| e.to_string());
        *last = Some((Instant::now(), found.as_ref().map(|_| ()).map_err(Clone::clone)));
        let found = found.map_err(|why| unreached(&why))?;
        if found != place {
            let options = self.hosts.options(found);
            tracing::warn!("switched to another database host: {}", shown(options));
            self.connections.set_connect_options(options.clone());
            self.place.store(found, Ordering::Release);
        }
        Ok(found != place)
    }

    /// sqlx's own pool, whose connections may go to a host that was left.
    pub(super) fn inner(&self) -> &PgPool {
        &self.connections
    }

    pub(super) fn is_closed(&self) -> bool {
        self.connections.is_closed()
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}

fn unreached(why: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(why.to_owned()))
}
