//! Photos between devices: fetched piece by piece, at a lower priority than everything else.
//!
//! The receiver opens a stream and requests pieces of a photo; the sender answers each request. So the receiver decides how much is in
//! flight, and keeps it so small that the network's queue stays short: a status that is recorded meanwhile must not wait behind a photo.
//! (QUIC's own priorities order only data that has not been sent; data in the buffers of a slow network has been.) A piece is written
//! to the file as it arrives, and a new connection continues after the last byte that the old one brought.

use crate::photos::files::{self, PHOTO_BYTES_MAX};
use crate::quic::connection::Connections;
use creel_protocol::core::io::PhotoNews;
use creel_protocol::id::{DeviceKey, FileHash};
use quinn::{Connection, RecvStream, SendStream};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant, SystemTime};

/// Request: send a piece of a photo.
const GET: u8 = 1;
/// Request: take note that the photo is durable at the requester.
const KEPT: u8 = 2;
/// Answer: the photo is not here, or the peer may not have it.
const NOT_HERE: u8 = 0;
/// Answer: a piece follows.
const HERE: u8 = 1;
/// A request: kind, photo, offset, length.
const REQUEST_BYTES: usize = 1 + 32 + 8 + 4;
/// A piece's header: the photo's size, the piece's length.
const HEADER_BYTES: usize = 8 + 4;
/// The shortest and the longest piece.
const PIECE_BYTES: (u32, u32) = (1_024, 64 * 1024);
/// The bytes in flight at first, and at most.
const WINDOW_BYTES: (f64, f64) = (2_048.0, 4.0 * 1024.0 * 1024.0);
/// How much longer than with empty queues a piece may take, as in LEDBAT (RFC 6817), but with a shorter queue.
const QUEUE_DELAY_TARGET: Duration = Duration::from_millis(200);
/// Photos yield to everything else on their connection.
const STREAM_PRIORITY: i32 = -1;
/// How often the list of wanted photos is read when nothing was requested.
const WANTED_POLL: Duration = Duration::from_secs(20);

/// How much of the disk photos leave free, or a twentieth of a small disk: the store needs room.
const FREE_BYTES_MIN: u64 = 2_000_000_000;

/// A part of a photo that is not wanted is removed at this age; until then the photo may be wanted again.
const PART_AGE_MAX: Duration = Duration::from_secs(86_400);

/// Why a photo did not come.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("it is not there")]
    NotThere,
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    NoRoom(String),
    #[error("it could not be written: {0}")]
    File(#[from] io::Error),
}

fn broken(error: impl std::fmt::Display) -> FetchError {
    FetchError::Broken(error.to_string())
}

/// A stream on which photos are requested, and how much may be in flight.
struct FetchStream {
    send: SendStream,
    receive: RecvStream,
    window: f64,
    /// The shortest time that a piece took.
    base: Duration,
}

impl Connections {
    /// Answers a peer's requests for photos, on every stream that it opens.
    pub(crate) async fn serve_photos(&self, connection: &Connection, peer: DeviceKey) -> String {
        loop {
            let (send, receive) = match connection.accept_bi().await {
                Ok(streams) => streams,
                Err(error) => return error.to_string(),
            };
            let connections = self.clone();
            tokio::spawn(async move {
                if let Err(error) = connections.answer(peer, send, receive).await {
                    tracing::debug!(peer = %peer.short(), "a peer's asking for photos ended: {error}");
                }
            });
        }
    }

    async fn answer(&self, peer: DeviceKey, mut send: SendStream, mut receive: RecvStream) -> Result<(), FetchError> {
        // The stream may be closed already.
        let _ = send.set_priority(STREAM_PRIORITY);
        let mut allowed = HashSet::new();
        loop {
            let mut request = [0; REQUEST_BYTES];
            match receive.read_exact(&mut request).await {
                Ok(()) => {}
                Err(quinn::ReadExactError::FinishedEarly(0)) => return Ok(()),
                Err(error) => return Err(broken(error)),
            }
            let (kind, photo, offset, length) = parse_request(&request);
            match kind {
                GET => {
                    if !allowed.contains(&photo) && self.store.may_fetch(peer, photo).await {
                        allowed.insert(photo);
                    }
                    let piece = if allowed.contains(&photo) { self.piece(photo, offset, length).await? } else { None };
                    let Some((size, piece)) = piece else {
                        send.write_all(&[NOT_HERE]).await.map_err(broken)?;
                        continue;
                    };
                    let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
                    let header = [&[HERE][..], &size.to_be_bytes(), &length.to_be_bytes()].concat();
                    send.write_all(&header).await.map_err(broken)?;
                    send.write_all(&piece).await.map_err(broken)?;
                }
                KEPT => {
                    if peer == self.hub {
                        self.store.photo(photo, PhotoNews::AtHub).await;
                    }
                    send.write_all(&[HERE]).await.map_err(broken)?;
                }
                _ => return Err(FetchError::Wrong("the peer asks for something unknown".to_owned())),
            }
        }
    }

    /// A piece of a photo that is here, and the photo's size.
    async fn piece(&self, photo: FileHash, offset: u64, length: u32) -> Result<Option<(u64, Vec<u8>)>, FetchError> {
        let path = files::path(&self.folder, &photo);
        let read = move || -> io::Result<(u64, Vec<u8>)> {
            let mut file = File::open(path)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(offset.min(size)))?;
            let mut piece = Vec::new();
            file.take(length.min(PIECE_BYTES.1).into()).read_to_end(&mut piece)?;
            Ok((size, piece))
        };
        // A photo that can't be read counts as absent, and does not end the session.
        Ok(tokio::task::spawn_blocking(read).await.map_err(broken)?.ok())
    }

    /// Fetches wanted photos from a peer, until the connection ends.
    pub(crate) async fn fetch_photos(&self, connection: &Connection, peer: DeviceKey) -> String {
        let mut turn = self.wanted.turn(peer);
        loop {
            turn.begins().await;
            tokio::select! {
                why = self.fetch_all(connection, peer) => return why,
                // This connection may still carry other things.
                () = turn.ends() => {}
            }
        }
    }

    async fn fetch_all(&self, connection: &Connection, peer: DeviceKey) -> String {
        // Devices ask the hub; the hub asks the device that named a photo.
        let from = if peer == self.hub { Some(None) } else { (self.hub == self.own).then_some(Some(peer)) };
        let Some(from) = from else { return std::future::pending().await };
        let mut changes = self.store.signals.changes.subscribe();
        let mut fetch_stream: Option<FetchStream> = None;
        if self.wanted.is_sweep_due()
            && let Err(error) = self.sweep().await
        {
            tracing::debug!("parts of photos that nobody wants any more could not be removed: {error}");
        }
        // Where to continue in the list, and whether anything was found since its beginning.
        let (mut after, mut found) = (None, false);
        loop {
            let requested = self.wanted.new_request.notified();
            let page = self.store.wanted_photos(from, after).await;
            let among: Vec<FileHash> = page.iter().map(|(_, photo)| *photo).collect();
            let Some(taken) = self.wanted.begin_transfer(peer, peer == self.hub, &among) else {
                after = page.last().copied();
                if after.is_some() || std::mem::take(&mut found) {
                    continue;
                }
                tokio::select! {
                    () = requested => {}
                    _ = changes.recv() => {
                        tokio::time::sleep(WANTED_POLL / 100).await;
                        // One reading of the list covers all changes so far.
                        changes = changes.resubscribe();
                    }
                    () = tokio::time::sleep(WANTED_POLL) => {}
                }
                continue;
            };
            let photo = taken.photo;
            found = true;
            let named = page.into_iter().find(|(_, named)| *named == photo);
            match self.fetch(connection, peer, &mut fetch_stream, photo).await {
                Ok(bytes) => {
                    self.wanted.count_bytes(peer, bytes);
                    self.wanted.arrived(peer, &photo);
                    after = named.or(after);
                }
                Err(FetchError::Broken(why)) if connection.close_reason().is_some() => return why,
                Err(why) => {
                    // The rest of the stream belongs to a photo that is no longer awaited.
                    fetch_stream = None;
                    tracing::debug!(%photo, peer = %peer.short(), "a photo did not come: {why}");
                    self.wanted.note_missing(peer, photo);
                    // Continue with another author: an author who names many photos that nobody has must not delay the photos of
                    // others.
                    after = named.map(|(author, _)| (author, FileHash([0xff; 32]))).or(after);
                    if matches!(why, FetchError::NoRoom(_)) {
                        if self.wanted.is_log_due() {
                            tracing::warn!("photos are not fetched: {why}");
                        }
                        // Other photos find no room either.
                        tokio::select! {
                            () = requested => {}
                            () = tokio::time::sleep(WANTED_POLL) => {}
                        }
                    }
                }
            }
        }
    }

    /// Fetches a photo, unless a pack brought it meanwhile, and returns the bytes that came.
    async fn fetch(
        &self,
        connection: &Connection,
        peer: DeviceKey,
        fetch_stream: &mut Option<FetchStream>,
        photo: FileHash,
    ) -> Result<u64, FetchError> {
        let folder = self.folder.clone();
        let here = tokio::task::spawn_blocking(move || files::load(&folder, &photo)).await.map_err(broken)?;
        let is_here = matches!(here, Ok(Some(_)));
        let stream = match fetch_stream {
            Some(fetch_stream) => fetch_stream,
            None => fetch_stream.insert(FetchStream::open(connection).await?),
        };
        let (mut came, mut is_all_theirs) = (0, false);
        if !is_here {
            self.make_room().await?;
            let part = files::fetched_part(&self.folder, &photo);
            // Who only ends what others sent has not shown to have the photo.
            is_all_theirs = part.metadata().map_or(0, |part| part.len()) == 0;
            stream.pieces(photo, &part).await?;
            let folder = self.folder.clone();
            came = tokio::task::spawn_blocking(move || files::complete(&folder, &photo))
                .await
                .map_err(broken)?
                .map_err(|error| FetchError::Wrong(error.to_string()))?;
        }
        if self.hub == self.own {
            stream.send.write_all(&request(KEPT, photo, 0, 0)).await.map_err(broken)?;
            // Until the device has confirmed this, the photo is requested again on the next connection, and found to be here.
            let mut heard = [0];
            stream.receive.read_exact(&mut heard).await.map_err(broken)?;
        } else {
            // A photo from a pack may not be at the hub yet. It is asked for again until it is.
            if is_here && !stream.is_there(photo).await? {
                return Err(FetchError::NotThere);
            }
            self.store.photo(photo, PhotoNews::AtHub).await;
        }
        self.store.photo(photo, PhotoNews::Kept { from: is_all_theirs.then_some(peer) }).await;
        Ok(came)
    }

    async fn stored_photos(&self) -> Result<files::StoredPhotos, FetchError> {
        let folder = self.folder.clone();
        Ok(tokio::task::spawn_blocking(move || files::StoredPhotos::read(&folder)).await.map_err(broken)??)
    }

    /// Which of some files are wanted.
    async fn wanted_among(&self, files: &[files::StoredFile]) -> HashSet<FileHash> {
        let files: HashSet<FileHash> = files.iter().map(|(_, photo, _)| *photo).collect();
        let (mut wanted, mut after) = (HashSet::new(), None);
        loop {
            let page = self.store.wanted_photos(None, after).await;
            wanted.extend(page.iter().map(|(_, photo)| *photo).filter(|photo| files.contains(photo)));
            after = page.last().copied();
            if after.is_none() {
                return wanted;
            }
        }
    }

    /// Removes parts of photos that are no longer wanted.
    async fn sweep(&self) -> Result<(), FetchError> {
        let mut held = self.stored_photos().await?;
        if held.parts.is_empty() {
            return Ok(());
        }
        let wanted = self.wanted_among(&held.parts).await;
        let is_old = |modified: &SystemTime| modified.elapsed().is_ok_and(|age| age > PART_AGE_MAX);
        held.remove_parts(&self.folder, |(modified, photo, _)| {
            is_old(modified) && !wanted.contains(photo) && !self.wanted.is_awaited(photo)
        })?;
        Ok(())
    }

    /// Where photos and parts have used up the quota: removes parts that are no longer wanted, then the least recently written photos
    /// that are at the hub, until a quarter of the quota is free, and at last every part that nobody waits for.
    async fn make_room(&self) -> Result<(), FetchError> {
        let (free, all) = (fs2::available_space(self.folder.path())?, fs2::total_space(self.folder.path())?);
        if free < FREE_BYTES_MIN.min(all / 20) {
            return Err(FetchError::NoRoom("the disk is nearly full: free some space".to_owned()));
        }
        let quota = self.wanted.quota_bytes;
        if quota == u64::MAX {
            return Ok(());
        }
        let mut held = self.stored_photos().await?;
        if held.bytes() <= quota {
            return Ok(());
        }
        let wanted = self.wanted_among(&held.parts).await;
        held.remove_parts(&self.folder, |(_, photo, _)| !wanted.contains(photo) && !self.wanted.is_awaited(photo))?;
        let mut bytes = held.bytes();
        // A photo at the hub need not be kept elsewhere.
        if self.hub != self.own {
            for (_, photo, size) in &held.photos {
                if bytes <= quota / 4 * 3 {
                    return Ok(());
                }
                if self.store.photo_at_hub(*photo).await {
                    std::fs::remove_file(files::path(&self.folder, photo))?;
                    bytes -= size;
                }
            }
        }
        if bytes > quota {
            let parts: u64 = held.parts.iter().map(|(_, _, size)| size).sum();
            held.remove_parts(&self.folder, |(_, photo, _)| !self.wanted.is_awaited(photo))?;
            bytes -= parts - held.parts.iter().map(|(_, _, size)| size).sum::<u64>();
        }
        if bytes <= quota {
            return Ok(());
        }
        if self.hub == self.own {
            return Err(FetchError::NoRoom("the quota for photos is used up".to_owned()));
        }
        Err(FetchError::NoRoom("the quota for photos is used up by such as the hub does not have yet".to_owned()))
    }
}

impl FetchStream {
    async fn open(connection: &Connection) -> Result<Self, FetchError> {
        let (send, receive) = connection.open_bi().await.map_err(broken)?;
        // The stream may be closed already; then the first request fails.
        let _ = send.set_priority(STREAM_PRIORITY);
        Ok(Self { send, receive, window: WINDOW_BYTES.0, base: Duration::MAX })
    }

    /// Whether the peer has a photo: requests a piece of no bytes.
    async fn is_there(&mut self, photo: FileHash) -> Result<bool, FetchError> {
        self.send.write_all(&request(GET, photo, 0, 0)).await.map_err(broken)?;
        let mut here = [0];
        self.receive.read_exact(&mut here).await.map_err(broken)?;
        if here != [HERE] {
            return Ok(false);
        }
        let mut header = [0; HEADER_BYTES];
        self.receive.read_exact(&mut header).await.map_err(broken)?;
        if header[8..] != [0; 4] {
            return Err(FetchError::Wrong("the peer sends more than it was asked for".to_owned()));
        }
        Ok(true)
    }

    /// Requests the missing pieces of a photo, and writes them as they come.
    async fn pieces(&mut self, photo: FileHash, part: &std::path::Path) -> Result<(), FetchError> {
        let mut file = File::options().create(true).append(true).open(part)?;
        let mut have = file.metadata()?.len();
        let (mut next, mut size) = (have, None);
        let mut under_way: VecDeque<(u32, Instant)> = VecDeque::new();
        loop {
            loop {
                let bytes: u64 = under_way.iter().map(|(length, _)| u64::from(*length)).sum();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the window is small and positive"
                )]
                let (window, quarter) = (self.window as u64, (self.window / 4.0) as u32);
                let length = quarter.clamp(PIECE_BYTES.0, PIECE_BYTES.1);
                // Before the size is known only one piece is requested.
                let more = size.map_or(under_way.is_empty(), |size| next < size);
                if !more || (!under_way.is_empty() && bytes + u64::from(length) > window) {
                    break;
                }
                let left = size.map_or(u64::from(length), |size| size - next);
                let length = u32::try_from(left).unwrap_or(u32::MAX).min(length);
                self.send.write_all(&request(GET, photo, next, length)).await.map_err(broken)?;
                under_way.push_back((length, Instant::now()));
                next += u64::from(length);
            }
            let Some((length, since)) = under_way.pop_front() else { return Ok(file.sync_all()?) };
            let mut here = [0];
            self.receive.read_exact(&mut here).await.map_err(broken)?;
            if here != [HERE] {
                return Err(FetchError::NotThere);
            }
            let mut header = [0; HEADER_BYTES];
            self.receive.read_exact(&mut header).await.map_err(broken)?;
            let (total, coming) = header.split_at(8);
            let total = u64::from_be_bytes(total.try_into().unwrap_or_default());
            let coming = u32::from_be_bytes(coming.try_into().unwrap_or_default());
            let expected = u64::from(length).min(total.saturating_sub(have));
            if total > PHOTO_BYTES_MAX as u64 || size.is_some_and(|size| size != total) || u64::from(coming) != expected
            {
                return Err(FetchError::Wrong("the peer sends something else than it was asked for".to_owned()));
            }
            if size.is_none() {
                size = Some(total);
                next = have + expected;
            }
            let mut left = usize::try_from(coming).unwrap_or(usize::MAX);
            while left > 0 {
                let chunk = self.receive.read_chunk(left, true).await.map_err(broken)?;
                let bytes = chunk.ok_or_else(|| FetchError::Broken("the stream ended".to_owned()))?.bytes;
                file.write_all(&bytes)?;
                left -= bytes.len();
                have += bytes.len() as u64;
            }
            self.adapt_window(since.elapsed(), length);
        }
    }

    /// Adapts the window to how long a piece took: while the queue is short, more may be in flight.
    fn adapt_window(&mut self, took: Duration, length: u32) {
        self.base = self.base.min(took);
        let queue = took.saturating_sub(self.base);
        if queue > QUEUE_DELAY_TARGET {
            self.window *= 0.8;
        } else {
            let room = 1.0 - queue.as_secs_f64() / QUEUE_DELAY_TARGET.as_secs_f64();
            self.window += f64::from(length) * room;
        }
        self.window = self.window.clamp(WINDOW_BYTES.0, WINDOW_BYTES.1);
    }
}

fn request(kind: u8, photo: FileHash, offset: u64, length: u32) -> Vec<u8> {
    [&[kind][..], &photo.0, &offset.to_be_bytes(), &length.to_be_bytes()].concat()
}

fn parse_request(request: &[u8; REQUEST_BYTES]) -> (u8, FileHash, u64, u32) {
    let (mut photo, mut offset, mut length) = ([0; 32], [0; 8], [0; 4]);
    photo.copy_from_slice(&request[1..33]);
    offset.copy_from_slice(&request[33..41]);
    length.copy_from_slice(&request[41..]);
    (request[0], FileHash(photo), u64::from_be_bytes(offset), u32::from_be_bytes(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request is parsed as it was written.
    #[test]
    fn a_request_is_read_as_written() {
        let photo = FileHash([7; 32]);
        let bytes: [u8; REQUEST_BYTES] = request(GET, photo, 3_000_000, 4_096).try_into().expect("it has that length");
        assert_eq!(parse_request(&bytes), (GET, photo, 3_000_000, 4_096));
    }
}
