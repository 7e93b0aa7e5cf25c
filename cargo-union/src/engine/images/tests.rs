#![allow(clippy::unwrap_used)]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::EngineLocator;
use super::*;

/// An engine that responds to a load with these chunks, one at a time.
async fn engine_with_response(chunks: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = String::new();
                let mut buffer = [0; 4096];
                while !read.ends_with("\r\n\r\n") {
                    let count = stream.read(&mut buffer).await.unwrap();
                    read.push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
                let version =
                    [r#"{"Version":"29","ApiVersion":"1.52","Os":"linux","Arch":"amd64"}"#];
                let is_load = read.contains("/images/load");
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                for chunk in if is_load { chunks } else { &version } {
                    stream
                        .write_all(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes())
                        .await
                        .unwrap();
                    stream.flush().await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                stream.write_all(b"0\r\n\r\n").await.unwrap();
            });
        }
    });
    address
}

async fn load(chunks: &'static [&'static str]) -> Result<()> {
    let engines = EngineLocator::at([engine_with_response(chunks).await]);
    let archive = futures_util::stream::iter([Ok(Bytes::from_static(b"archive"))]);
    engines.engine().await?.import(archive, "hello").await
}

#[tokio::test]
async fn line_end_may_arrive_in_a_separate_chunk() {
    load(&[r#"{"stream":"Loaded image: hello"}"#, "\r\n"])
        .await
        .unwrap();
    load(&[r#"{"stream":"Loaded "#, r#"image: hello"}"#, "\r", "\n"])
        .await
        .unwrap();
}

#[tokio::test]
async fn error_message_in_the_response_body_is_returned() {
    let error = load(&[
        r#"{"status":"Loading"}"#,
        "\r\n",
        r#"{"errorDetail":{"message":"no space left"},"#,
        "\"error\":\"no space left\"}\r\n",
    ])
    .await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::EngineFailed);
    assert!(
        error.chain().join(": ").contains("no space left"),
        "{error:?}"
    );
}
