//! What hyper answers by itself says why.
//!
//! What is no HTTP, or has too long a head, hyper refuses before a request is made of it, with a status and nothing else. On its
//! way out such an answer is given the problem body that all others have.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::StatusCode;
use memchr::memmem;
use simo_common::{api::problem::MEDIA_TYPE, lang::Lang};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::api::ApiError;

/// A connection under way.
pub(super) struct Worded<I> {
    io: I,
    /// What is still to be written in the place of an answer of hyper's.
    waiting: Vec<u8>,
}

impl<I: AsyncWrite + Unpin> Worded<I> {
    pub(super) fn new(io: I) -> Self {
        Self { io, waiting: Vec::new() }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

/// How an answer says that it has no body.
const NOTHING: &str = "content-length: 0\r\n";

/// The answer with its body, if hyper made it: it alone knows of no `x-request-id`. It is written at once, and by itself, as the
/// connection ends with it.
fn with_body(answer: &[u8]) -> Option<Vec<u8>> {
    let status = answer.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    let has = |part: &str| memmem::find(answer, part.as_bytes()).is_some();
    if !answer.ends_with(b"\r\n\r\n") || !has(NOTHING) || has("x-request-id") {
        return None;
    }
    let status = StatusCode::from_bytes(&[b'4', status[0], status[1]]).ok()?;
    // What language the caller reads, his head did not come to say.
    let lang = Lang::En;
    let body = serde_json::to_string(&ApiError::not_http(status).problem(lang)).ok()?;
    let described = format!(
        "content-type: {MEDIA_TYPE}\r\ncontent-language: {}\r\ncontent-length: {}\r\n",
        lang.code(),
        body.len()
    );
    let head = str::from_utf8(answer).ok()?.replace(NOTHING, &described);
    Some((head + &body).into_bytes())
}

impl<I: AsyncRead + Unpin> AsyncRead for Worded<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Worded<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_waiting(cx))?;
        if let Some(answer) = with_body(bytes) {
            self.waiting = answer;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [part] = parts {
            return self.poll_write(cx, part);
        }
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_waiting(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
