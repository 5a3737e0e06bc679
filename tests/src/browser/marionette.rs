//! Marionette, Firefox's own remote control: `LENGTH:[0, id, command, parameters]` over TCP.

use std::{io, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Longer than any command takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection to Firefox.
pub struct Marionette {
    stream: TcpStream,
    calls: u64,
}

impl Marionette {
    /// Connects, and reads the greeting.
    ///
    /// # Errors
    /// Firefox does not listen yet.
    pub async fn connect(port: u16) -> io::Result<Self> {
        let mut marionette = Self { stream: TcpStream::connect(("127.0.0.1", port)).await?, calls: 0 };
        marionette.read().await?;
        Ok(marionette)
    }

    /// Calls a command and returns its result.
    ///
    /// # Errors
    /// Firefox's error message, or that Firefox is gone.
    pub async fn call(&mut self, command: &str, parameters: Value) -> Result<Value, String> {
        self.calls += 1;
        let text = json!([0, self.calls, command, parameters]).to_string();
        let said = async {
            self.stream.write_all(format!("{}:{text}", text.len()).as_bytes()).await?;
            self.read().await
        };
        let answer = tokio::time::timeout(PATIENCE, said)
            .await
            .map_err(|_| format!("{command}: no answer in {PATIENCE:?}"))?
            .map_err(|error| format!("{command}: {error}"))?;
        match &answer[2] {
            Value::Null => Ok(answer[3].clone()),
            refused => Err(format!("{command}: {}: {}", refused["error"], refused["message"])),
        }
    }

    async fn read(&mut self) -> io::Result<Value> {
        let mut length = 0;
        loop {
            match self.stream.read_u8().await? {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).await?;
        Ok(serde_json::from_slice(&text)?)
    }
}
