//! What a refused request still sends is read, so that its sender comes to read why: a connection that is closed with bytes unread is
//! reset, and a browser then tells of no answer at all.

use crate::photos::files::PHOTO_BYTES_MAX;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Version, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes that are read and dropped; who sends more finds the connection closed.
const UNREAD_BYTES_MAX: usize = 2 * PHOTO_BYTES_MAX;
/// How long that may take.
const UNREAD_TIME: Duration = Duration::from_secs(10);

/// A body that is still at hand when its request has been answered.
#[derive(Clone)]
struct Kept(Arc<Mutex<Body>>);

impl Kept {
    fn body(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.body()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}

pub(super) async fn finish(request: Request, next: Next) -> Response {
    // HTTP/2 ends one request without the others; and who asks before it sends has nothing on its way.
    if request.version() >= Version::HTTP_2 || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut kept = Kept(Arc::new(Mutex::new(body)));
    let response = next.run(Request::from_parts(parts, Body::new(kept.clone()))).await;
    let rest = async {
        let mut bytes = 0;
        while bytes < UNREAD_BYTES_MAX && !kept.is_end_stream() {
            match std::future::poll_fn(|cx| Pin::new(&mut kept).poll_frame(cx)).await {
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => break,
            }
        }
    };
    // What came of it changes nothing of the answer.
    let _ = tokio::time::timeout(UNREAD_TIME, rest).await;
    response
}
