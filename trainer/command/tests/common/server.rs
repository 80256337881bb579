//! A server on this machine, one thread a connection, and the head of a request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Serves until the test's process ends: the state that `serve` sees, and `http://127.0.0.1:PORT`.
pub fn listen<S: Default + Send + 'static>(
    serve: fn(TcpStream, &Mutex<S>) -> std::io::Result<()>,
) -> (Arc<Mutex<S>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let state = Arc::new(Mutex::new(S::default()));
    let shared = state.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = shared.clone();
            // A client that goes away in the middle is what many of the tests are about.
            std::thread::spawn(move || drop(serve(stream, &state)));
        }
    });
    (state, url)
}

/// A request's path with its query, and its headers by lower-case names.
pub fn head(reader: &mut BufReader<TcpStream>) -> std::io::Result<(String, BTreeMap<String, String>)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { return Ok((path, headers)) };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}
