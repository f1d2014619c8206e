//! Reads the rest of a refused request's body, so that its sender gets to read the refusal: a connection that is closed with unread
//! bytes is reset, and a browser then reports no answer at all.

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

/// Bytes that are read and dropped; a longer body finds the connection closed.
const DRAINED_BYTES_MAX: usize = 2 * PHOTO_BYTES_MAX;
/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A body that can still be read when its request has been answered.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Body>>);

impl SharedBody {
    fn body(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for SharedBody {
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

pub(super) async fn drain_body(request: Request, next: Next) -> Response {
    // HTTP/2 ends one request without the others; and a client that expects “100 Continue” has sent no body yet.
    if request.version() >= Version::HTTP_2 || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut body_too = SharedBody(Arc::new(Mutex::new(body)));
    let response = next.run(Request::from_parts(parts, Body::new(body_too.clone()))).await;
    let rest = async {
        let mut bytes = 0;
        while bytes < DRAINED_BYTES_MAX && !body_too.is_end_stream() {
            match std::future::poll_fn(|cx| Pin::new(&mut body_too).poll_frame(cx)).await {
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => break,
            }
        }
    };
    // What came of it changes nothing of the answer.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, rest).await;
    response
}
