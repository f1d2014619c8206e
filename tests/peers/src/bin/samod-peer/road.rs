//! The driver's road to the hub: samod's own TCP dialer, but that small messages are not held back (`TCP_NODELAY`).

use futures::FutureExt;
use futures::future::BoxFuture;
use samod::{DialError, Dialer, Transport};
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use url::Url;

pub(crate) struct Road {
    pub(crate) hub: SocketAddr,
    pub(crate) url: Url,
}

impl Dialer for Road {
    type Error = Infallible;

    fn url(&self) -> Url {
        self.url.clone()
    }

    fn connect(&self) -> BoxFuture<'static, Result<Transport, DialError<Self::Error>>> {
        let hub = self.hub;
        async move {
            let socket = TcpStream::connect(hub).await.map_err(DialError::transient)?;
            socket.set_nodelay(true).map_err(DialError::transient)?;
            Ok(Transport::from_tokio_io(socket))
        }
        .boxed()
    }
}
