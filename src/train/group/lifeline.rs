//! How ranks notice that one of them is gone.
//!
//! A rank that is killed leaves the others waiting in a collective, and not every launcher ends them. So each rank keeps a
//! connection (TCP) to the first one, over which both send a sign of life every few seconds. A connection that closes
//! without a farewell, or stays silent, means that its rank is gone: the first rank tells the others, and all say so and
//! end.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Group;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use rand::Rng;

/// Time from one sign of life to the next.
const BEAT: Duration = Duration::from_secs(5);
/// Silence that is noted. At the second note in a row a rank is taken for gone: after a suspended job goes on, the first
/// note comes at once.
const SILENCE: Duration = Duration::from_secs(20);
/// Time to find one another.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is sent: a sign of life, a farewell, and the number of a rank that is gone, which follows as four bytes.
const ALIVE: u8 = b'.';
const FAREWELL: u8 = b'!';
const GONE: u8 = b'x';

/// The connections of a rank to the first one, or of the first to all others; they end with a farewell when this is dropped.
pub(super) struct Lifeline {
    ties: Arc<Ties>,
}

struct Ties {
    size: usize,
    hosts: Vec<String>,
    /// The other side's rank, and a way to write to it.
    streams: Mutex<Vec<(usize, TcpStream)>>,
    ended: AtomicBool,
    /// Wakes the thread that sends signs of life.
    wake: (Mutex<()>, Condvar),
}

impl Lifeline {
    /// Connects the ranks of `group`, which are on the machines `hosts`. Where a machine cannot be reached, a warning says
    /// that the launcher alone will notice its end.
    ///
    /// # Errors
    /// Those of the group.
    pub(super) fn tie(group: &Group, hosts: &[Vec<u8>]) -> Result<Self> {
        let one_machine = hosts.iter().all(|host| *host == hosts[0]);
        let hosts: Vec<String> =
            hosts.iter().map(|host| String::from_utf8_lossy(host).into_owned()).collect();
        let ties = Arc::new(Ties {
            size: group.size(),
            hosts,
            streams: Mutex::default(),
            ended: AtomicBool::new(false),
            wake: Default::default(),
        });
        let listener = if group.is_first() {
            let place = if one_machine { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
            TcpListener::bind((place, 0)).ok()
        } else {
            None
        };
        let port =
            listener.as_ref().and_then(|listener| listener.local_addr().ok()).map_or(0, |at| at.port());
        // Not a secret from people who can read this process's memory, but from other programs on the network.
        let key = u64::from(std::process::id()) << 32 | u64::from(port);
        let nanoseconds = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64;
        let token = stream(key, nanoseconds, 0, 0, Purpose::Start).next_u64();
        let mut told = port.to_le_bytes().to_vec();
        told.extend(token.to_le_bytes());
        let told = group.broadcast(told, 0)?;
        let (port, token) = told.split_at(2);
        let port = u16::from_le_bytes([port[0], port[1]]);
        let tied = match listener {
            Some(listener) => ties.accept(&listener, token),
            None if port > 0 && !group.is_first() => {
                let host = if one_machine { "127.0.0.1" } else { &ties.hosts[0] };
                ties.connect(host, port, token, group.rank())
            }
            None => 0,
        };
        let mut all = [tied as f64];
        group.sum(&mut all)?;
        // Both ends of a connection count.
        let missing = group.size() - 1 - (all[0] as usize / 2).min(group.size() - 1);
        if missing > 0 && group.is_first() {
            tracing::warn!(
                "{missing} ranks cannot be reached over the network: only the launcher will notice if they end"
            );
        }
        let beating = Arc::clone(&ties);
        thread::spawn(move || beating.beat());
        Ok(Self { ties })
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.ties.ended.store(true, Ordering::SeqCst);
        self.ties.send(&[FAREWELL], None);
        self.ties.wake.1.notify_all();
    }
}

impl Ties {
    /// Waits for the others; how many came.
    fn accept(self: &Arc<Self>, listener: &TcpListener, token: &[u8]) -> usize {
        let until = Instant::now() + PATIENCE;
        let mut tied = 0;
        if listener.set_nonblocking(true).is_err() {
            return 0;
        }
        while tied < self.size - 1 && Instant::now() < until {
            let Ok((mut stream, _)) = listener.accept() else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            let mut said = [0; 12];
            let heard = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_read_timeout(Some(Duration::from_secs(2))))
                .and_then(|()| stream.read_exact(&mut said));
            let (theirs, rank) = said.split_at(8);
            let rank = u32::from_le_bytes([rank[0], rank[1], rank[2], rank[3]]) as usize;
            if heard.is_ok() && theirs == token && (1..self.size).contains(&rank) && self.hold(rank, stream) {
                tied += 1;
            }
        }
        tied
    }

    /// Connects to the first rank; how many connections there are now.
    fn connect(self: &Arc<Self>, host: &str, port: u16, token: &[u8], rank: usize) -> usize {
        let addresses = (host, port).to_socket_addrs().map_or(Vec::new(), Iterator::collect);
        let open = |address| TcpStream::connect_timeout(address, PATIENCE / 4).ok();
        let Some(mut stream) = addresses.iter().find_map(open) else { return 0 };
        let said = [token, &(rank as u32).to_le_bytes()].concat();
        usize::from(stream.write_all(&said).is_ok() && self.hold(0, stream))
    }

    /// Keeps a connection to `rank`, and listens to it on a thread.
    fn hold(self: &Arc<Self>, rank: usize, stream: TcpStream) -> bool {
        let (Ok(writer), Ok(())) = (stream.try_clone(), stream.set_read_timeout(Some(SILENCE))) else {
            return false;
        };
        // A sign of life is worth nothing if it waits for more to be said.
        let _ = stream.set_nodelay(true);
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push((rank, writer));
        let ties = Arc::clone(self);
        thread::spawn(move || ties.listen(rank, stream));
        true
    }

    fn listen(&self, rank: usize, mut stream: TcpStream) {
        let mut silent = 0;
        loop {
            let mut said = [0];
            match stream.read(&mut said) {
                Ok(1) if said[0] == ALIVE => silent = 0,
                Ok(1) if said[0] == GONE => {
                    let mut gone = [0; 4];
                    let gone =
                        stream.read_exact(&mut gone).map_or(rank, |()| u32::from_le_bytes(gone) as usize);
                    return self.end(gone, "as the first rank says");
                }
                Ok(1) => return,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    silent += 1;
                    if silent == 2 {
                        return self.end(rank, "it gives no sign of life");
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return self.end(rank, "it was killed or has crashed"),
            }
        }
    }

    /// Says that a rank is gone, and ends this process: the main thread may wait in a collective for ever.
    fn end(&self, rank: usize, why: &str) {
        if self.ended.load(Ordering::SeqCst) {
            return;
        }
        let mut told = vec![GONE];
        told.extend((rank as u32).to_le_bytes());
        self.send(&told, Some(rank));
        let host = self.hosts.get(rank).map_or("", String::as_str);
        let error = Error::Rank {
            rank,
            of: self.size,
            problem: format!(
                "gone from {host}: {why}; the last checkpoint is whole, and the same command goes on from it"
            ),
        };
        tracing::error!("{error}");
        std::process::exit(1);
    }

    /// Sends to all but rank `but`; whether it arrives shows elsewhere.
    fn send(&self, bytes: &[u8], but: Option<usize>) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for (rank, stream) in streams.iter_mut().filter(|(rank, _)| Some(*rank) != but) {
            if let Err(error) = stream.write_all(bytes) {
                tracing::debug!("rank {rank} is not reached: {error}");
            }
        }
    }

    fn beat(&self) {
        let mut asleep = self.wake.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.ended.load(Ordering::SeqCst) {
            self.send(&[ALIVE], None);
            asleep = self.wake.1.wait_timeout(asleep, BEAT).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
